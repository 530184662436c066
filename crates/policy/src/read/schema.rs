//! The JSON Schema of policies and catalogues, made from the tables that the reader goes by, so that the two cannot drift
//! apart. It may let pass what the reader refuses, never refuse what the reader lets pass: an editor must not cry wolf.

mod catalogue;
mod condition;
mod dialect;
mod limit;
mod names;
mod rule;
mod words;

use serde_json::{Map, Value, json};

use super::object::Keys;
use super::{ASKS, DEFAULTS, DOCUMENT, MODES, REVERSE};
use crate::catalogue::{Category, Risk};
use crate::source::Fallback;
pub use catalogue::catalogue_schema;
use names::COUNTERS;
use words::{one_of, string};

/// JSON Schema, 2020-12.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema (2020-12) of a policy document, for editors and other tools. Whatever [`Policy::parse`] accepts is valid
/// under it; not all that is valid is accepted.
///
/// [`Policy::parse`]: crate::Policy::parse
pub fn schema() -> Value {
    let mut schema = object(&DOCUMENT, &["version"], document);
    add(&mut schema, "$schema", DIALECT.into());
    add(&mut schema, "title", "Toolgate policy, version 1".into());
    add(&mut schema, "description", "Says what agents may do on an MCP server. JSON (with comments) or YAML.".into());
    add(
        &mut schema,
        "examples",
        json!([{ "version": "1", "default": "deny", "tools": { "fetch_finetuning_status": {} } }]),
    );
    let definitions = json!({
        "condition": condition::condition(),
        "dialect_rule": dialect::rule(),
        "duration": limit::duration(),
        "limit": limit::limit(),
        "path": condition::path(),
        "pattern": names::pattern(),
        "predicate": condition::predicate(),
        "rate": limit::rate(),
        "rule": rule::rule(),
    });
    add(&mut schema, "$defs", definitions);
    schema
}

fn document(key: &str) -> Value {
    match key {
        "$schema" => string("Where this schema is, for editors."),
        "version" => json!({ "const": "1", "description": "The version of the language: the string \"1\"." }),
        "description" => string("What the policy is for, in words for people."),
        "default" => {
            let about = |fallback| match fallback {
                Fallback::Allow => "What no rule lists may be called.",
                Fallback::Deny => "What no rule lists is denied. Meant when absent.",
            };
            described(one_of(&DEFAULTS, about), "What becomes of a name that no rule lists.")
        }
        "mode" => described(
            one_of(&MODES, |shadow| match shadow {
                false => "Refuse what the rules refuse. Meant when absent.",
                true => "Refuse and hide nothing, but record what would have been refused.",
            }),
            "Whether the policy is enforced, or only tried out.",
        ),
        "hide" => json!({
            "description": "Names that are not listed, and answered as if they did not exist.",
            "type": "array", "items": reference("pattern"), "examples": [["delete_*"]],
        }),
        "all_tools" => described(
            reference("rule"),
            "A rule that joins those of every listed tool, and lists none. Its limits are one count for all tools.",
        ),
        "categories" => by_class(&Category::ALL, "Rules for every tool that the catalogue puts in the category."),
        "risks" => by_class(&Risk::ALL, "Rules for every tool that the catalogue gives the risk."),
        "tools" => keyed("Rules by the name of a tool, or a pattern of names. All that match a name apply together."),
        "resources" => keyed("The same for `resources/read`, by URI."),
        "prompts" => keyed("The same for `prompts/get`, by name."),
        "reverse" => described(
            object(&REVERSE, &[], reverse),
            "What the server may ask of the client. What is absent is denied.",
        ),
        _ => Value::Bool(true),
    }
}

fn reverse(key: &str) -> Value {
    let about = match key {
        "sampling" => "To let the client's model write something (`sampling/createMessage`).",
        "elicitation" => "To ask the user something (`elicitation/create`).",
        "roots" => "Which folders the client works in (`roots/list`).",
        _ => return Value::Bool(true),
    };
    let words = one_of(&ASKS, |allowed| if allowed { "It may ask." } else { "It may not ask. Meant when absent." });
    described(words, about)
}

fn by_class<T>(classes: &[(&str, T)], about: &str) -> Value {
    let rules = classes.iter().map(|(class, _)| ((*class).to_owned(), reference("rule"))).collect::<Map<_, _>>();
    json!({ "description": about, "type": "object", "properties": rules, "additionalProperties": false })
}

fn keyed(about: &str) -> Value {
    json!({
        "description": about, "type": "object",
        "propertyNames": reference("pattern"), "additionalProperties": reference("rule"),
    })
}

/// An object with those keys and no others.
fn object(keys: &Keys, required: &[&str], of: impl Fn(&str) -> Value) -> Value {
    let properties = keys.known.iter().map(|key| ((*key).to_owned(), of(key))).collect::<Map<_, _>>();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}") })
}

fn described(mut schema: Value, about: &str) -> Value {
    add(&mut schema, "description", about.into());
    schema
}

fn add(schema: &mut Value, key: &str, value: Value) {
    if let Value::Object(members) = schema {
        members.insert(key.to_owned(), value);
    }
}
