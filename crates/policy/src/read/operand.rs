//! Reads the operator of a condition together with its value, into the test that both mean.

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;
use regex::{Regex, RegexBuilder};

use super::object::{expect_array, expect_string, one_of, opening, span, wrong_type};
use crate::Code;
use crate::decimal::Decimal;
use crate::diagnostics::{Findings, quoted};
use crate::folders::Folder;
use crate::hosts::ListedHost;
use crate::literal::Literal;
use crate::pattern::Pattern;
use crate::test::{Relation, Test, Type};

/// Compiled, in bytes: room for any sensible expression, and a bound on what one may cost.
const LARGEST_REGEX: usize = 1 << 20;

#[derive(Clone, Copy)]
pub(super) enum Op {
    Equals { negated: bool },
    OneOf { negated: bool },
    Compare(Relation),
    Length(Relation),
    Exists,
    Contains,
    StartsWith,
    EndsWith,
    Glob,
    Regex,
    Within,
    HostIn,
    Type,
}

pub(super) const OPS: [(&str, Op); 21] = [
    ("eq", Op::Equals { negated: false }),
    ("neq", Op::Equals { negated: true }),
    ("lt", Op::Compare(Relation::Less)),
    ("lte", Op::Compare(Relation::AtMost)),
    ("gt", Op::Compare(Relation::More)),
    ("gte", Op::Compare(Relation::AtLeast)),
    ("in", Op::OneOf { negated: false }),
    ("not_in", Op::OneOf { negated: true }),
    ("exists", Op::Exists),
    ("contains", Op::Contains),
    ("starts_with", Op::StartsWith),
    ("ends_with", Op::EndsWith),
    ("glob", Op::Glob),
    ("regex", Op::Regex),
    ("path_within", Op::Within),
    ("url_host_in", Op::HostIn),
    ("type", Op::Type),
    ("len_lt", Op::Length(Relation::Less)),
    ("len_lte", Op::Length(Relation::AtMost)),
    ("len_gt", Op::Length(Relation::More)),
    ("len_gte", Op::Length(Relation::AtLeast)),
];

pub(super) const TYPES: [(&str, Type); 7] = [
    ("string", Type::String),
    ("number", Type::Number),
    ("integer", Type::Integer),
    ("boolean", Type::Boolean),
    ("object", Type::Object),
    ("array", Type::Array),
    ("null", Type::Null),
];

/// The test, and whether its complement is meant.
pub(super) fn test(op: &Value<'_>, value: &Value<'_>, findings: &mut Findings) -> Option<(Test, bool)> {
    let op = one_of(op, "op", &OPS, findings)?;
    let text = |findings: &mut Findings| expect_string(value, "value", findings);
    let test = match op {
        Op::Equals { .. } => Test::Equals(literal(value, findings)?),
        Op::OneOf { .. } => {
            let elements = &expect_array(value, "value", findings)?.elements;
            Test::OneOf(all(elements.iter().map(|element| literal(element, findings)))?)
        }
        Op::Compare(relation) => Test::Compare(relation, number(value, findings)?),
        Op::Length(relation) => Test::Length(relation, length(value, findings)?),
        Op::Exists if value.as_boolean_lit().is_none() => return refuse(value, "true or false", findings),
        Op::Exists => Test::Exists,
        Op::Contains => Test::Contains(literal(value, findings)?),
        Op::StartsWith => Test::StartsWith(text(findings)?.into()),
        Op::EndsWith => Test::EndsWith(text(findings)?.into()),
        Op::Glob => Test::Glob(Pattern::of_text(text(findings)?)),
        Op::Regex => Test::Regex(regex(value, text(findings)?, findings)?),
        Op::Within => Test::Within(folders(value, findings)?),
        Op::HostIn => Test::HostIn(hosts(value, findings)?),
        Op::Type => Test::Type(one_of(value, "value", &TYPES, findings)?),
    };
    let absent = matches!(test, Test::Exists) && value.as_boolean_lit().is_some_and(|exists| !exists.value);
    let negated = absent || matches!(op, Op::Equals { negated: true } | Op::OneOf { negated: true });
    Some((test, negated))
}

/// Keys stand once in each object, or the document is refused anyway.
fn literal(value: &Value<'_>, findings: &mut Findings) -> Option<Literal> {
    Some(match value {
        Value::NullKeyword(_) => Literal::Null,
        Value::BooleanLit(literal) => Literal::Bool(literal.value),
        Value::NumberLit(_) => Literal::Number(number(value, findings)?),
        Value::StringLit(text) => Literal::String(text.value.as_ref().into()),
        Value::Array(array) => Literal::Array(all(array.elements.iter().map(|element| literal(element, findings)))?),
        Value::Object(object) => {
            let member = |property: &jsonc_parser::ast::ObjectProp<'_>| {
                Some((property.name.as_str().into(), literal(&property.value, findings)?))
            };
            Literal::Object(all(object.properties.iter().map(member))?)
        }
    })
}

fn number(value: &Value<'_>, findings: &mut Findings) -> Option<Decimal<Box<str>>> {
    let Value::NumberLit(literal) = value else {
        return refuse(value, "a number", findings);
    };
    let number = Decimal::parse(literal.value).to_owned();
    if number.is_none() {
        bad(value, "no number of a policy may be that far out", "an enormous exponent", findings)
            .advise("leave the condition out: hardly a number lies beyond");
    }
    number
}

fn length(value: &Value<'_>, findings: &mut Findings) -> Option<u64> {
    let length = number(value, findings)?.scaled(0);
    if length.is_none() {
        bad(value, "a length must be a whole number, and not below zero", "not a length", findings)
            .advise("write a whole number such as 100");
    }
    length
}

/// The expression on its own first: one that closes more than it opens would undo the anchors.
fn regex(value: &Value<'_>, text: &str, findings: &mut Findings) -> Option<Regex> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(LARGEST_REGEX).dfa_size_limit(LARGEST_REGEX).build();
    match build(text).and_then(|_| build(&format!(r"\A(?:{text})\z"))) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let label = if matches!(error, regex::Error::CompiledTooBig(_)) {
                "too large when compiled".to_owned()
            } else {
                error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            };
            findings
                .error(Code::BadRegex, span(value.range()), format!("cannot use regular expression {}", quoted(text)))
                .label(label)
                .advise("the syntax is that of Rust's regex: no look-around, no back-references; it matches the whole string");
            None
        }
    }
}

fn folders(value: &Value<'_>, findings: &mut Findings) -> Option<Vec<Folder>> {
    let texts = match value {
        Value::StringLit(text) => vec![&*text.value],
        Value::Array(array) => {
            let folder = |element| expect_string(element, "each folder of value", findings);
            all(array.elements.iter().map(folder))?
        }
        Value::NumberLit(_) | Value::BooleanLit(_) | Value::Object(_) | Value::NullKeyword(_) => {
            return refuse(value, "a folder, or a list of folders", findings);
        }
    };
    if texts.contains(&"") {
        bad(value, "a folder must not be empty", "names no folder", findings)
            .advise("write `/` for the root, `.` for the folder a path starts in");
        return None;
    }
    if let Some(text) = texts.iter().find(|text| text.contains('*')) {
        let message = format!("`*` means nothing but itself in the folder {}", quoted(text));
        let finding = findings.warn(Code::NotAGlob, opening(value), message);
        finding.label("a folder of this very name").advise("write the folder; all that is below it is inside");
    }
    Some(texts.into_iter().map(Folder::new).collect())
}

fn hosts(value: &Value<'_>, findings: &mut Findings) -> Option<Vec<ListedHost>> {
    let elements = expect_array(value, "value", findings)?.elements.iter();
    let host = |element| {
        let text = expect_string(element, "each host of value", findings)?;
        let host = ListedHost::new(text);
        if host.is_none() {
            bad(element, &format!("{} is not a host", quoted(text)), "not a host", findings)
                .advise("write \"example.com\", or \"*.example.com\" for every name below it; no scheme, port or path");
        }
        host
    };
    all(elements.map(host))
}

/// Not stopping at the first that cannot be read, so that each is reported.
pub(super) fn all<T>(read: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    read.collect::<Vec<_>>().into_iter().collect()
}

fn refuse<T>(value: &Value<'_>, wanted: &str, findings: &mut Findings) -> Option<T> {
    wrong_type(value, "value", wanted, findings);
    None
}

fn bad<'f>(
    value: &Value<'_>,
    message: &str,
    label: &str,
    findings: &'f mut Findings,
) -> &'f mut crate::diagnostics::Finding {
    findings.error(Code::BadValue, opening(value), message).label(label)
}
