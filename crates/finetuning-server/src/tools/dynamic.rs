//! The operations of an OpenAPI document, listed and called by name.

use serde_json::{Map, Value, json};

use super::{Answer, Definition};
use crate::Settings;
use crate::args::Args;
use crate::failure::Failure;
use crate::openapi::Operation;
use crate::schema::{input, list_of, output, plain, text};

pub(super) fn definitions() -> Vec<Definition> {
    let operation = output(&[
        ("name", plain("string")),
        ("method", plain("string")),
        ("path", plain("string")),
        ("parameters", list_of(&plain("string"))),
        ("input_schema", plain("object")),
    ]);
    vec![
        Definition {
            name: "list_dynamic_swagger_tools",
            description: "The operations that execute_dynamic_swagger_action can call, each with the JSON Schema of its parameters.",
            input: input(&[]),
            output: output(&[("total_tools", plain("integer")), ("tools", list_of(&operation))]),
            is_idempotent: true,
        },
        Definition {
            name: "execute_dynamic_swagger_action",
            description: "Calls one of the operations that list_dynamic_swagger_tools names.",
            input: input(&[
                ("tool_name", text("the operation's name")),
                (
                    "params",
                    json!({ "type": ["object", "string"], "description": "its parameters: an object, or the same as JSON text" }),
                ),
            ]),
            output: plain("object"),
            is_idempotent: false,
        },
    ]
}

fn allowed(settings: &Settings) -> impl Iterator<Item = &Operation> {
    settings.document.operations.values().filter(|operation| operation.reads_only() || settings.dynamic_writes)
}

pub(super) fn list(settings: &Settings) -> Value {
    let tools: Vec<Value> = allowed(settings).map(Operation::shown).collect();
    // Where the service is, is the operator's to know; paths are enough for a caller.
    json!({ "total_tools": tools.len(), "tools": tools, "base_url": "", "left_out": settings.document.left_out })
}

pub(super) async fn execute(settings: &Settings, args: &Args) -> Answer {
    let name = args.needed("tool_name")?;
    let Some(operation) = settings.document.operations.get(name) else {
        let near = allowed(settings).map(|operation| operation.name.as_str());
        let near = near.min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let hint = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        return Err(Failure::argument("tool_name", format!("there is no such operation; {hint}")));
    };
    if !operation.reads_only() && !settings.dynamic_writes {
        let method = &operation.method;
        let why = format!(
            "`{name}` is a {method}, and only GET is allowed here: the operator can set SWAGGER_ALLOW_WRITES=true"
        );
        return Err(Failure::Other("read_only", why));
    }
    let answer = settings.client.raw(operation.request(&params(args)?)?).await?;
    Ok(if answer.is_object() { answer } else { json!({ "content": answer, "status_code": 200 }) })
}

/// An object, or its text; and what some clients wrap around it is taken off.
fn params(args: &Args) -> Result<Map<String, Value>, Failure> {
    let wrong = || Failure::argument("params", "it must be an object, or the same as JSON text");
    let parsed = match args.get("params") {
        Some(Value::String(text)) if text.trim().is_empty() => json!({}),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| wrong())?,
        Some(value) => value.clone(),
        None => json!({}),
    };
    let Value::Object(mut members) = parsed else { return Err(wrong()) };
    if members.len() == 1
        && let Some(Value::Object(inner)) = members.get_mut("params")
    {
        return Ok(std::mem::take(inner));
    }
    Ok(members)
}
