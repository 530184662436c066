//! JSON Schemas of arguments and results, written short.

use serde_json::{Map, Value, json};

/// What an id looks like. The client crate checks it again, where it is put into a URL.
const ID: &str = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}$";

/// An object with these members; those whose name ends in `?` may be missing.
pub(crate) fn input(members: &[(&str, Value)]) -> Value {
    let (properties, required) = split(members);
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// The same for results, which may have further members.
pub(crate) fn output(members: &[(&str, Value)]) -> Value {
    let (properties, required) = split(members);
    json!({ "type": "object", "properties": properties, "required": required })
}

fn split(members: &[(&str, Value)]) -> (Map<String, Value>, Vec<String>) {
    let name = |written: &str| written.trim_end_matches('?').to_owned();
    let properties = members.iter().map(|(written, schema)| (name(written), schema.clone())).collect();
    let required = members.iter().filter(|(written, _)| !written.ends_with('?')).map(|(written, _)| name(written));
    (properties, required.collect())
}

pub(crate) fn id(description: &str) -> Value {
    json!({ "type": "string", "pattern": ID, "description": description })
}

pub(crate) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

pub(crate) fn nullable(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

pub(crate) fn plain(kind: &str) -> Value {
    json!({ "type": kind })
}

pub(crate) fn one_of(words: &[&str], description: &str) -> Value {
    json!({ "type": "string", "enum": words, "description": description })
}

pub(crate) fn whole(description: &str, least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

pub(crate) fn positive(description: &str) -> Value {
    json!({ "type": "number", "exclusiveMinimum": 0, "description": description })
}

pub(crate) fn list_of(item: &Value) -> Value {
    json!({ "type": "array", "items": item })
}

/// The two arguments of every list.
pub(crate) fn paging() -> [(&'static str, Value); 2] {
    [
        ("limit?", whole("how many at most; 20 if absent", 1, 100)),
        ("after?", id("continue after this one: `last_id` of the answer before")),
    ]
}
