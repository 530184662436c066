//! Reads the text of a document into its written form. Never stops at the first error: what cannot be read is reported
//! and left out, and a document with an error in it is never used.

mod approval;
mod cases;
mod catalogue;
mod condition;
mod dialect;
mod limit;
mod number;
mod object;
mod operand;
mod path;
mod rule;
pub(crate) mod schema;
mod syntax;
mod yaml;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;

use crate::Code;
use crate::catalogue::{Category, Risk};
use crate::diagnostics::{Findings, quoted};
use crate::source::{Classified, Document, Fallback, KeyedRule, ReverseEntry, Spanned};
pub(crate) use cases::cases;
pub(crate) use catalogue::catalogue;
pub(crate) use object::did_you_mean;
use object::{
    Keys, brace, expect_object, expect_string, member, members, one_of, opening, span, unknown_word, wrong_type,
};
use rule::{pattern, patterns, rule};
pub(crate) use syntax::tokens;

const DOCUMENT: Keys = Keys {
    of: "a policy",
    known: &[
        "$schema",
        "all_tools",
        "categories",
        "default",
        "description",
        "hide",
        "mode",
        "prompts",
        "resources",
        "reverse",
        "risks",
        "tools",
        "version",
    ],
};

/// By whether it is shadow.
const MODES: [(&str, bool); 2] = [("enforce", false), ("shadow", true)];

const DEFAULTS: [(&str, Fallback); 2] = [("allow", Fallback::Allow), ("deny", Fallback::Deny)];

/// By whether the server may ask.
const ASKS: [(&str, bool); 2] = [("allow", true), ("deny", false)];

const REVERSE: Keys = Keys { of: "`reverse`", known: &["elicitation", "roots", "sampling"] };

pub(crate) fn document(text: &str, findings: &mut Findings) -> Document {
    let mut document = Document::default();
    let parsed = if findings.is_yaml() { yaml::parse(text, findings) } else { syntax::parse(text, findings) };
    let Some(root) = parsed else {
        return document;
    };
    version_is_there(&root, "a policy", findings);
    for (key, value) in members(&root, &DOCUMENT, findings) {
        match key {
            "version" => version(value, findings),
            "$schema" => drop(expect_string(value, key, findings)),
            "description" => document.description = expect_string(value, key, findings).map(str::to_owned),
            "default" => document.default = fallback(value, findings),
            "mode" => document.shadow = one_of(value, key, &MODES, findings).unwrap_or_default(),
            "hide" => document.hide = patterns(value, "hide", findings),
            "categories" => document.categories = classified(value, key, &Category::ALL, findings),
            "risks" => document.risks = classified(value, key, &Risk::ALL, findings),
            "all_tools" => {
                document.all_tools = Some(Spanned { value: rule(value, "*", findings), span: opening(value) })
            }
            "tools" => document.tools = keyed_rules(value, "tools", findings),
            "resources" => document.resources = keyed_rules(value, "resources", findings),
            "prompts" => document.prompts = keyed_rules(value, "prompts", findings),
            "reverse" => document.reverse = reverse(value, findings),
            _ => {}
        }
    }
    document
}

fn version_is_there(root: &Object<'_>, of: &str, findings: &mut Findings) {
    if member(root, "version").is_none() {
        findings
            .error(Code::MissingKey, brace(root), format!("{of} must say its `version`"))
            .label("no `version` in here")
            .advise("write \"version\": \"1\"");
    }
}

fn version(value: &Value<'_>, findings: &mut Findings) {
    let span = value.range().start..value.range().end;
    match value {
        Value::StringLit(text) if text.value == "1" => {}
        Value::StringLit(text) => {
            findings
                .error(Code::UnknownVersion, span, format!("unknown version {}", quoted(&text.value)))
                .label("not a version this program can read")
                .advise("write \"version\": \"1\"");
        }
        Value::NumberLit(number) if number.value == "1" => {
            findings
                .error(Code::UnknownVersion, span, "`version` must be the string \"1\", not the number 1")
                .label("a number")
                .advise("write \"1\", with quotation marks");
        }
        Value::NumberLit(_) | Value::BooleanLit(_) | Value::Object(_) | Value::Array(_) | Value::NullKeyword(_) => {
            wrong_type(value, "version", "the string \"1\"", findings);
        }
    }
}

fn fallback(value: &Value<'_>, findings: &mut Findings) -> Fallback {
    one_of(value, "default", &DEFAULTS, findings).unwrap_or_default()
}

fn keyed_rules(value: &Value<'_>, key: &str, findings: &mut Findings) -> Vec<KeyedRule> {
    let Some(object) = expect_object(value, key, findings) else {
        return Vec::new();
    };
    let mut rules = Vec::with_capacity(object.properties.len());
    for property in &object.properties {
        let rule = rule(&property.value, property.name.as_str(), findings);
        if let Some(pattern) = pattern(property.name.as_str(), property.name.range(), findings) {
            rules.push(KeyedRule { pattern, rule });
        }
    }
    rules
}

/// Rules keyed by a category or a risk.
fn classified<T: Copy>(
    value: &Value<'_>,
    key: &str,
    words: &[(&str, T)],
    findings: &mut Findings,
) -> Vec<Classified<T>> {
    let Some(object) = expect_object(value, key, findings) else {
        return Vec::new();
    };
    let mut rules = Vec::with_capacity(object.properties.len());
    for property in &object.properties {
        let rule = rule(&property.value, property.name.as_str(), findings);
        let (written, here) = (property.name.as_str(), span(property.name.range()));
        match words.iter().find(|(word, _)| *word == written) {
            Some((_, class)) => rules.push(Classified { class: Spanned { value: *class, span: here }, rule }),
            None => unknown_word(written, here, key, words, findings),
        }
    }
    rules
}

fn reverse(value: &Value<'_>, findings: &mut Findings) -> ReverseEntry {
    let mut entry = ReverseEntry::default();
    let Some(object) = expect_object(value, "reverse", findings) else {
        return entry;
    };
    for (key, value) in members(object, &REVERSE, findings) {
        let allowed = one_of(value, key, &ASKS, findings).unwrap_or_default();
        match key {
            "sampling" => entry.sampling = allowed,
            "elicitation" => entry.elicitation = allowed,
            "roots" => entry.roots = allowed,
            _ => {}
        }
    }
    entry
}
