//! YAML to the same syntax tree that JSON gives, so that nobody after it can tell them apart. Only what JSON can say is
//! let through: no merge keys, no tags, no words that are booleans to some readers only; numbers as JSON writes them.

use std::fmt;

use jsonc_parser::ast::{
    Array, BooleanLit, NullKeyword, NumberLit, Object, ObjectProp, ObjectPropName, StringLit, Value,
};
use jsonc_parser::common::Range;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Location, Spanned};

use super::syntax::root_object;
use crate::Code;
use crate::diagnostics::{Findings, quoted};

/// Deeper than any policy, and no deeper than a small stack bears.
const DEPTH: usize = 40;

/// Plain words that YAML 1.1 takes for true or false.
const BOOLEAN_TO_SOME: [&str; 6] = ["yes", "no", "on", "off", "y", "n"];

pub(super) fn parse<'t>(text: &'t str, findings: &mut Findings) -> Option<Object<'t>> {
    value(text, findings).and_then(|root| root_object(root, findings))
}

pub(super) fn value<'t>(text: &'t str, findings: &mut Findings) -> Option<Value<'t>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options) {
        Ok(root) => Some(tree(root, text, findings)),
        Err(error) => {
            let here = error.location().map_or(0..0, |location| bytes(&location)).start;
            let words = error.without_snippet().to_string();
            let words = words.lines().next().unwrap_or_default().to_owned();
            findings.error(Code::Syntax, here..here, "not valid YAML").label(words);
            None
        }
    }
}

enum Node {
    Null,
    Bool(bool),
    /// Which one stands in the text: nothing may be lost of it.
    Number,
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

fn tree<'t>(node: Spanned<Node>, text: &'t str, findings: &mut Findings) -> Value<'t> {
    let here = bytes(&node.referenced);
    let range = Range::new(here.start, here.end);
    match node.value {
        Node::Null => Value::NullKeyword(NullKeyword { range }),
        Node::Bool(value) => Value::BooleanLit(BooleanLit { range, value }),
        Node::Text(value) => {
            let is_plain = text.get(bytes(&node.defined)).is_some_and(|written| written.trim() == value);
            if is_plain && BOOLEAN_TO_SOME.contains(&value.to_ascii_lowercase().as_str()) {
                findings
                    .warn(
                        Code::Lowered,
                        here,
                        format!("{} is a text here, and a boolean to some readers", quoted(&value)),
                    )
                    .label("a text")
                    .advise("write true or false, or put it between quotation marks");
            }
            Value::StringLit(StringLit { range, value: value.into() })
        }
        Node::Number => {
            let written = text.get(bytes(&node.defined)).unwrap_or_default().trim();
            let is_json = serde_json::from_str::<serde_json::Number>(written).is_ok();
            if !is_json {
                findings
                    .error(Code::Syntax, here, "a number must be written as in JSON")
                    .label("a number to some readers only")
                    .advise("write plain decimal digits, or put a text between quotation marks");
            }
            Value::NumberLit(NumberLit { range, value: if is_json { written } else { "1" } })
        }
        Node::List(elements) => {
            let elements = elements.into_iter().map(|element| tree(element, text, findings)).collect();
            Value::Array(Array { range, elements })
        }
        Node::Map(members) => {
            let mut properties = Vec::with_capacity(members.len());
            for (key, value) in members {
                let named = bytes(&key.referenced);
                let range = Range::new(named.start, named.end);
                let name = ObjectPropName::String(StringLit { range, value: key.value.into() });
                properties.push(ObjectProp { range, name, value: tree(value, text, findings) });
            }
            Value::Object(Object { range, properties })
        }
    }
}

fn bytes(location: &Location) -> std::ops::Range<usize> {
    let place = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let start = place(location.span().byte_offset());
    start..start.saturating_add(place(location.span().byte_len()))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON can say")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Node::Map(map))
    }
}
