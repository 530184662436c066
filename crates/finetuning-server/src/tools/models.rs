//! Models of the resource.

use azure_finetuning::{Client, Model};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use super::{Answer, Definition};
use crate::args::Args;
use crate::schema::{id, input, list_of, output, plain, whole};

const MOST: usize = 500;

pub(super) fn definitions() -> Vec<Definition> {
    vec![
        Definition {
            name: "list_models",
            description: "Base models and tuned models of the resource.",
            input: input(&[
                ("tuned_only?", json!({ "type": "boolean", "description": "leave out base models" })),
                ("limit?", whole("how many at most; 100 if absent", 1, MOST as u64)),
            ]),
            output: output(&[
                ("models", list_of(&plain("object"))),
                ("count", plain("integer")),
                ("has_more", plain("boolean")),
            ]),
            is_idempotent: true,
        },
        Definition {
            name: "get_model",
            description: "One model of the resource.",
            input: input(&[("model", id("the model's id"))]),
            output: output(&[("id", plain("string"))]),
            is_idempotent: true,
        },
    ]
}

pub(super) async fn list(client: &Client, args: &Args) -> Answer {
    let tuned_only = args.get("tuned_only").and_then(Value::as_bool).unwrap_or(false);
    let limit = args.whole("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100);
    let mut pages = client.models().list().pages();
    let mut found: Vec<Model> = Vec::new();
    // One that cannot be read does not cost the others.
    while found.len() <= limit
        && let Some(page) = pages.try_next().await?
    {
        found.extend(page.data.into_iter().filter(|model| !tuned_only || model.id.as_str().contains(".ft-")));
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok(json!({ "count": found.len(), "models": found, "has_more": has_more }))
}
