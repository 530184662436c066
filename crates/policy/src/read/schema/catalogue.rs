//! The schema of a catalogue.

use serde_json::{Value, json};

use super::super::catalogue::{CATALOGUE, TOOL};
use super::names::EXACT;
use super::words::plain;
use super::{DIALECT, add, object, string};
use crate::catalogue::{Category, Risk};

/// The JSON Schema (2020-12) of a `catalog.json`. Whatever [`Catalogue::parse`] accepts is valid under it.
///
/// [`Catalogue::parse`]: crate::Catalogue::parse
pub fn catalogue_schema() -> Value {
    let mut schema = object(&CATALOGUE, &["version"], |key| match key {
        "$schema" => string("Where this schema is, for editors."),
        "description" => string("What the catalogue is of, in words for people."),
        "server" => string("The server whose tools these are."),
        "version" => json!({ "const": "1", "description": "The version of the language: the string \"1\"." }),
        "tools" => json!({
            "description": "What each tool is, by its exact name.", "type": "object",
            "propertyNames": { "pattern": EXACT },
            "additionalProperties": object(&TOOL, &["category", "risk"], tool),
        }),
        _ => Value::Bool(true),
    });
    add(&mut schema, "$schema", DIALECT.into());
    add(&mut schema, "title", "Toolgate catalogue, version 1".into());
    add(
        &mut schema,
        "description",
        "A category and a risk for each tool of a server; policies have rules by them.".into(),
    );
    schema
}

fn tool(key: &str) -> Value {
    match key {
        "category" => plain(&Category::ALL, "What kind of thing a call does, at worst."),
        "risk" => plain(&Risk::ALL, "How bad a wrong call would be."),
        "reason" => string("Why it is classified so."),
        "evidence" => {
            json!({ "description": "What shows it, such as the request it makes.", "type": ["string", "array"] })
        }
        "confidence" => {
            json!({ "description": "How sure somebody was, in words or as a number.", "type": ["string", "number"] })
        }
        "reviewed_by" => string("The person who confirmed it."),
        "definition_hash" => string("Of the tool's definition as it was when it was classified."),
        _ => Value::Bool(true),
    }
}
