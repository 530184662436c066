//! The operators: what each asks of one value of a call.

use std::cmp::Ordering;

use regex::Regex;

use crate::decimal::Decimal;
use crate::folders::{self, Folder};
use crate::hosts::{self, ListedHost};
use crate::json::Json;
use crate::literal::{Literal, Value};
use crate::pattern::Pattern;

/// An operator with its value.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Equals(Literal),
    OneOf(Vec<Literal>),
    Compare(Relation, Decimal<Box<str>>),
    Exists,
    Contains(Literal),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Glob(Pattern),
    /// Anchored at both ends.
    Regex(Regex),
    Within(Vec<Folder>),
    HostIn(Vec<ListedHost>),
    Type(Type),
    Length(Relation, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Number,
    Integer,
    Boolean,
    Object,
    Array,
    Null,
}

/// The operator cannot be asked of such a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongType;

impl Test {
    /// The types of JSON Schema that it can be asked of; none for any.
    pub(crate) fn types(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Compare(..) => Some(&["number", "integer"]),
            Self::StartsWith(_)
            | Self::EndsWith(_)
            | Self::Glob(_)
            | Self::Regex(_)
            | Self::Within(_)
            | Self::HostIn(_) => Some(&["string"]),
            Self::Contains(_) => Some(&["string", "array"]),
            Self::Length(..) => Some(&["string", "array", "object"]),
            Self::Equals(_) | Self::OneOf(_) | Self::Exists | Self::Type(_) => None,
        }
    }

    pub(crate) fn ask(&self, value: &Value<'_>) -> Result<bool, WrongType> {
        match self {
            Self::Equals(literal) => Ok(literal.equals(value)),
            Self::OneOf(literals) => Ok(literals.iter().any(|literal| literal.equals(value))),
            Self::Compare(relation, bound) => {
                let number = value.number().ok_or(WrongType)?;
                Ok(relation.holds(number.compare(bound)))
            }
            Self::Exists => Ok(true),
            Self::Contains(part) => contains(value, part),
            Self::StartsWith(start) => text(value, |text| text.starts_with(&**start)),
            Self::EndsWith(end) => text(value, |text| text.ends_with(&**end)),
            Self::Glob(pattern) => text(value, |text| pattern.matches(text)),
            Self::Regex(regex) => text(value, |text| regex.is_match(text)),
            Self::Within(folders) => text(value, |path| folders::hold(folders, path)),
            Self::HostIn(hosts) => {
                let url = value.text().ok_or(WrongType)?;
                hosts::list(hosts, url).map_err(|_| WrongType)
            }
            Self::Type(wanted) => Ok(wanted.is_of(value)),
            Self::Length(relation, bound) => Ok(relation.holds(length(value)?.cmp(bound))),
        }
    }
}

impl Test {
    /// The values that it asks for as a whole.
    pub(crate) fn literals(&self) -> &[Literal] {
        match self {
            Self::Equals(literal) => std::slice::from_ref(literal),
            Self::OneOf(literals) => literals,
            Self::Compare(..)
            | Self::Exists
            | Self::Contains(_)
            | Self::StartsWith(_)
            | Self::EndsWith(_)
            | Self::Glob(_)
            | Self::Regex(_)
            | Self::Within(_)
            | Self::HostIn(_)
            | Self::Type(_)
            | Self::Length(..) => &[],
        }
    }
}

impl Relation {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Less => "lt",
            Self::AtMost => "lte",
            Self::More => "gt",
            Self::AtLeast => "gte",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }

    /// What holds exactly when this does not.
    pub(crate) fn complement(self) -> Self {
        match self {
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::More,
            Self::More => Self::AtMost,
            Self::AtLeast => Self::Less,
        }
    }
}

impl Type {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::Array => "array",
            Self::Null => "null",
        }
    }

    fn is_of(self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Integer, Value::Number(number)) => number.is_whole(),
            (Self::String, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::Object, Value::Object(_))
            | (Self::Array, Value::Array(_))
            | (Self::Null, Value::Null) => true,
            _ => false,
        }
    }
}

fn text(value: &Value<'_>, holds: impl FnOnce(&str) -> bool) -> Result<bool, WrongType> {
    value.text().map(holds).ok_or(WrongType)
}

fn contains(value: &Value<'_>, part: &Literal) -> Result<bool, WrongType> {
    match (value, part) {
        (Value::String(text), Literal::String(part)) => Ok(text.contains(&**part)),
        (Value::Array(list), part) => Ok(list.elements().any(|element| part.is(element))),
        _ => Err(WrongType),
    }
}

/// Of a string in Unicode scalar values.
fn length(value: &Value<'_>) -> Result<u64, WrongType> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(list) => list.elements().count(),
        Value::Object(object) => Json::members(*object).count(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return Err(WrongType),
    };
    Ok(length as u64)
}
