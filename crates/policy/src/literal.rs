//! A JSON value that a policy writes out, and whether what a call says equals it: as values, not as text.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::decimal::Decimal;
use crate::json::{Json, Kind};

#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(Decimal<Box<str>>),
    String(Box<str>),
    Array(Vec<Literal>),
    /// Without two equal keys.
    Object(Vec<(Box<str>, Literal)>),
}

/// A value of a call. Containers stay as written.
#[derive(Clone, Debug)]
pub(crate) enum Value<'c> {
    Null,
    Bool(bool),
    Number(Decimal<&'c str>),
    String(Cow<'c, str>),
    Array(Json<'c>),
    Object(Json<'c>),
}

impl<'c> Value<'c> {
    /// None for a string that is no text, such as half a surrogate pair.
    pub(crate) fn of(json: Json<'c>) -> Option<Self> {
        Some(match json.kind() {
            Kind::Null => Self::Null,
            Kind::Boolean => Self::Bool(json.text() == "true"),
            Kind::Number => Self::Number(Decimal::parse(json.text())),
            Kind::String => Self::String(json.string()?),
            Kind::Array => Self::Array(json),
            Kind::Object => Self::Object(json),
        })
    }

    pub(crate) fn number(&self) -> Option<&Decimal<&'c str>> {
        match self {
            Self::Number(number) => Some(number),
            Self::Null | Self::Bool(_) | Self::String(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

impl Literal {
    pub(crate) fn equals(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number(b)) => a.compare(b) == Ordering::Equal,
            (Self::String(a), Value::String(b)) => **a == **b,
            (Self::Array(a), Value::Array(b)) => {
                let mut elements = b.elements();
                a.iter().all(|literal| elements.next().is_some_and(|json| literal.is(json)))
                    && elements.next().is_none()
            }
            (Self::Object(a), Value::Object(b)) => {
                let member = |key| b.member(key);
                b.members().count() == a.len()
                    && a.iter().all(|(key, literal)| member(key).is_some_and(|json| literal.is(json)))
            }
            _ => false,
        }
    }

    /// The depth is that of the policy's value, which its reader bounds.
    pub(crate) fn is(&self, json: Json<'_>) -> bool {
        Value::of(json).is_some_and(|value| self.equals(&value))
    }
}
