//! The schema of `rules`, the lists that YAML proxies write.

use serde_json::{Value, json};

use super::super::dialect::{ACTIONS, OPS, RULE, STATE};
use super::super::number::{UNITS, WORDS};
use super::words::plain;
use super::{COUNTERS, described, object, one_of, reference, string};

/// One element of `rules`.
pub(super) fn rule() -> Value {
    described(object(&RULE, &[], member), "A step as a YAML proxy has it: a condition of every call, or a limit.")
}

fn member(key: &str) -> Value {
    match key {
        "name" => string("What people call it."),
        "action" => described(
            one_of(&ACTIONS, |denied| match denied {
                false => "The call passes if all of it holds. Meant when absent.",
                true => "Every call is denied.",
            }),
            "What becomes of a call.",
        ),
        "on_deny" => string("Why, in words for the agent that is denied."),
        "rate_limit" => json!({
            "description": "How often all callers of the server together may call.",
            "anyOf": [reference("rate")], "examples": ["10/minute"],
        }),
        "conditions" => json!({
            "description": "All must hold. One on `state.TOOL.COUNTER` bounds what `state` counts.",
            "type": "array", "items": { "anyOf": [reference("condition"), bound()] },
        }),
        "state" => {
            described(object(&STATE, &["counter", "window"], state), "What each call that passes adds to a count.")
        }
        _ => Value::Bool(true),
    }
}

fn bound() -> Value {
    json!({
        "type": "object",
        "properties": {
            "path": { "description": "A count of this tool.", "type": "string", "pattern": r"^state\..*\.[^.]+$" },
            "op": plain(&OPS, "How the count is bounded, together with what this call adds."),
            "value": { "description": "The bound.", "type": "number", "exclusiveMinimum": 0 },
        },
        "required": ["path", "op", "value"],
    })
}

fn state(key: &str) -> Value {
    match key {
        "counter" => {
            json!({ "description": "The count's name, within this tool.", "type": "string", "pattern": COUNTERS, "maxLength": 128 })
        }
        "window" => {
            let (words, units) = (WORDS.map(|(word, _)| word).join(", "), UNITS.map(|(letter, _)| letter).join(", "));
            let about = format!("How far the count looks back: {words}, or a whole number and one of {units}.");
            described(reference("duration"), &about)
        }
        "increment" => {
            json!({ "description": "What a call adds: a number, 1 when absent.", "type": ["number", "string"] })
        }
        "increment_from" => {
            json!({ "description": "The argument that says what a call adds.", "type": ["number", "string"], "examples": ["args.amount"] })
        }
        _ => Value::Bool(true),
    }
}
