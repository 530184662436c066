//! Small steps through the syntax tree. Each returns what it was asked for, or reports why it cannot.

use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::{Range, Ranged};

use crate::Code;
use crate::diagnostics::{Findings, quoted};
use crate::source::Span;

/// The keys an object may have.
pub(super) struct Keys {
    /// What the object is, for messages.
    pub(super) of: &'static str,
    pub(super) known: &'static [&'static str],
}

pub(super) fn span(range: Range) -> Span {
    range.start..range.end
}

/// The brace an object opens with: a place to point at when something is missing in there.
pub(super) fn brace(object: &Object<'_>) -> Span {
    object.range.start..object.range.start + 1
}

/// A short place that stands for a value however long it is.
pub(super) fn opening(value: &Value<'_>) -> Span {
    match value {
        Value::Object(_) | Value::Array(_) => value.range().start..value.range().start + 1,
        Value::StringLit(_) | Value::NumberLit(_) | Value::BooleanLit(_) | Value::NullKeyword(_) => span(value.range()),
    }
}

pub(super) fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "a boolean",
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::NullKeyword(_) => "null",
    }
}

pub(super) fn member<'o, 't>(object: &'o Object<'t>, key: &str) -> Option<&'o Value<'t>> {
    object.properties.iter().find(|property| property.name.as_str() == key).map(|property| &property.value)
}

/// The members with a known key; all others are reported.
pub(super) fn members<'o, 't>(
    object: &'o Object<'t>,
    keys: &Keys,
    findings: &mut Findings,
) -> Vec<(&'o str, &'o Value<'t>)> {
    let mut members = Vec::with_capacity(object.properties.len());
    for property in &object.properties {
        let key = property.name.as_str();
        let here = span(property.name.range());
        if keys.known.contains(&key) {
            members.push((key, &property.value));
        } else {
            let finding = findings.error(Code::UnknownKey, here, format!("unknown key {} in {}", quoted(key), keys.of));
            finding.label("no such key").advise(key_advice(key, keys.known));
        }
    }
    members
}

fn key_advice(key: &str, known: &[&str]) -> String {
    let is_action = ["allow", "deny", "require_approval"].contains(&key) && known.contains(&"action");
    if is_action {
        return format!("write \"action\": \"{key}\", and any text for the agent as its \"reason\"");
    }
    did_you_mean(key, known)
}

/// More are not listed.
const MOST_KNOWN: usize = 24;

pub(crate) fn did_you_mean(written: &str, known: &[&str]) -> String {
    match nearest(written, known) {
        Some((distance, near)) if distance <= near.len().div_ceil(3) => format!("did you mean `{near}`?"),
        _ if known.is_empty() => "nothing is known here".to_owned(),
        _ => {
            let more = if known.len() > MOST_KNOWN { ", …" } else { "" };
            let first = known.iter().take(MOST_KNOWN).copied().collect::<Vec<_>>();
            format!("known here: {}{more}", first.join(", "))
        }
    }
}

/// With how many letters differ.
pub(super) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<(usize, &'k str)> {
    // No key is that long, and comparing takes time and space by length.
    let written = if written.len() <= 64 { written } else { "" };
    known.iter().map(|known| (strsim::osa_distance(written, known), *known)).min()
}

pub(super) fn wrong_type(value: &Value<'_>, key: &str, wanted: &str, findings: &mut Findings) {
    findings.error(Code::WrongType, opening(value), format!("{} must be {wanted}", quoted(key))).label(kind(value));
}

pub(super) fn expect_string<'v>(value: &'v Value<'_>, key: &str, findings: &mut Findings) -> Option<&'v str> {
    let string = value.as_string_lit().map(|string| &*string.value);
    if string.is_none() {
        wrong_type(value, key, "a string", findings);
    }
    string
}

pub(super) fn expect_object<'v, 't>(
    value: &'v Value<'t>,
    key: &str,
    findings: &mut Findings,
) -> Option<&'v Object<'t>> {
    if value.as_object().is_none() {
        wrong_type(value, key, "an object", findings);
    }
    value.as_object()
}

pub(super) fn expect_array<'v, 't>(value: &'v Value<'t>, key: &str, findings: &mut Findings) -> Option<&'v Array<'t>> {
    if value.as_array().is_none() {
        wrong_type(value, key, "a list", findings);
    }
    value.as_array()
}

/// One of a few words, each with its meaning.
pub(super) fn one_of<T: Copy>(
    value: &Value<'_>,
    key: &str,
    choices: &[(&str, T)],
    findings: &mut Findings,
) -> Option<T> {
    let Value::StringLit(written) = value else {
        let words = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        wrong_type(value, key, &format!("one of \"{}\"", words.join("\", \"")), findings);
        return None;
    };
    let written = &*written.value;
    let meaning = choices.iter().find(|(word, _)| *word == written).map(|(_, meaning)| *meaning);
    if meaning.is_none() {
        unknown_word(written, span(value.range()), key, choices, findings);
    }
    meaning
}

pub(super) fn unknown_word<T>(written: &str, here: Span, key: &str, choices: &[(&str, T)], findings: &mut Findings) {
    let words = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    findings
        .error(Code::UnknownValue, here, format!("{} cannot be {}", quoted(key), quoted(written)))
        .label("no such word")
        .advise(did_you_mean(written, &words));
}
