//! JSON files, comments and layout kept.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use serde_json::{Map, Value};

use crate::edit::{Change, Flaw};

/// What clients read. Anything looser is broken for some of them.
const DIALECT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// None where the changes change nothing.
pub(crate) fn edit(text: &str, key: &str, changes: &[Change]) -> Result<Option<String>, Flaw> {
    let root = parse(if text.trim().is_empty() { "{}\n" } else { text })?;
    let file = root.object_value_or_create().ok_or_else(|| Flaw::Shape("the file is no JSON object".to_owned()))?;
    only(&file, key)?;
    let servers = file.object_value_or_create(key).ok_or_else(|| Flaw::not_a_table(key))?;
    let mut is_changed = false;
    for change in changes {
        is_changed |= apply(&servers, change)?;
    }
    Ok(is_changed.then(|| root.to_string()))
}

pub(crate) fn read(text: &str) -> Option<Map<String, Value>> {
    match parse(text).ok()?.to_serde_value() {
        None => Some(Map::new()),
        Some(Value::Object(members)) => Some(members),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => None,
    }
}

fn parse(text: &str) -> Result<CstRootNode, Flaw> {
    CstRootNode::parse(text, &DIALECT)
        .map_err(|error| Flaw::Syntax { offset: error.range().start, message: error.kind().to_string() })
}

/// Whether the file becomes different.
fn apply(servers: &CstObject, change: &Change) -> Result<bool, Flaw> {
    let there = only(servers, change.name())?;
    match (change, there) {
        (Change::Set(entry), Some(there)) => {
            if there.value().and_then(|value| value.to_serde_value()) == Some(entry.value()) {
                return Ok(false);
            }
            there.set_value(object(&entry.members));
        }
        (Change::Set(entry), None) => drop(servers.append(change.name(), object(&entry.members))),
        (Change::Remove(_), Some(there)) => there.remove(),
        (Change::Remove(_), None) => return Ok(false),
    }
    Ok(true)
}

/// The member of that name. Of two, clients differ in which one they mean.
fn only(object: &CstObject, name: &str) -> Result<Option<CstObjectProp>, Flaw> {
    let mut all = object.properties().into_iter().filter(|member| member.decoded_name().as_deref() == Some(name));
    let first = all.next();
    if all.next().is_some() {
        return Err(Flaw::Shape(format!("`{name}` is there twice")));
    }
    Ok(first)
}

fn object(members: &[(String, Value)]) -> CstInputValue {
    CstInputValue::Object(members.iter().map(|(key, value)| (key.clone(), input(value))).collect())
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(members) => {
            CstInputValue::Object(members.iter().map(|(key, value)| (key.clone(), input(value))).collect())
        }
    }
}
