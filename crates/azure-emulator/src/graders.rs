//! Graders: two kinds are really computed, the others answer a number that is always the same for the same question.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::id;
use crate::jobs::Found;
use crate::problem::Problem;
use crate::surface::Surface;
use crate::world::Shared;

const KINDS: [&str; 6] = ["string_check", "text_similarity", "score_model", "label_model", "python", "multi"];

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/fine_tuning/alpha/graders/run", post(run))
        .route("/fine_tuning/alpha/graders/validate", post(validate))
}

fn grader(surface: &Surface, body: &[u8]) -> Result<(Value, Value), Problem> {
    if !surface.is_v1() {
        return Err(Problem::no_operation());
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| Problem::invalid(error.to_string()))?;
    let grader = body.get("grader").cloned().ok_or_else(|| Problem::invalid("grader is needed."))?;
    let kind = grader.get("type").and_then(Value::as_str).unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(Problem::invalid(format!("A grader of type {kind} is not known.")));
    }
    if grader.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(Problem::invalid("grader.name is needed."));
    }
    Ok((grader, body))
}

async fn validate(State(_): State<Arc<Shared>>, Extension(surface): Extension<Surface>, body: Bytes) -> Found {
    grader(&surface, &body).map(|(grader, _)| Json(json!({ "grader": grader })))
}

async fn run(State(_): State<Arc<Shared>>, Extension(surface): Extension<Surface>, body: Bytes) -> Found {
    let (grader, body) = grader(&surface, &body)?;
    let sample = body.get("model_sample").and_then(Value::as_str);
    let sample = sample.ok_or_else(|| Problem::invalid("model_sample is needed."))?;
    let text = |name: &str| {
        let template = grader.get(name).and_then(Value::as_str).unwrap_or_default();
        filled(template, sample, body.get("item").unwrap_or(&Value::Null))
    };
    let kind = grader.get("type").and_then(Value::as_str).unwrap_or_default();
    let reward = match kind {
        "string_check" => {
            let (input, reference) = (text("input"), text("reference"));
            let (low, wanted) = (input.to_lowercase(), reference.to_lowercase());
            let holds = match grader.get("operation").and_then(Value::as_str) {
                Some("eq") => input == reference,
                Some("ne") => input != reference,
                Some("like") => input.contains(&reference),
                Some("ilike") => low.contains(&wanted),
                _ => return Err(Problem::invalid("grader.operation must be eq, ne, like or ilike.")),
            };
            f64::from(u8::from(holds))
        }
        "text_similarity" => similarity(&text("input"), &text("reference")),
        _ => (id::hash(&body.to_string(), 11) % 1_001) as f64 / 1_000.0,
    };
    Ok(Json(json!({
        "reward": reward,
        "metadata": {
            "name": grader.get("name"), "type": kind, "execution_time": 0.01, "scores": {}, "token_usage": null,
            "errors": { "formula_parse_error": false, "sample_parse_error": false, "other_error": false },
        },
        "sub_rewards": {}, "model_grader_token_usage_per_model": {},
    })))
}

/// `{{ sample.output_text }}` and `{{ item.x.y }}`, nothing cleverer.
fn filled(template: &str, sample: &str, item: &Value) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            text.push_str("{{");
            rest = after;
            continue;
        };
        match name.trim() {
            "sample.output_text" => text.push_str(sample),
            name => {
                let pointer = name.strip_prefix("item.").map(|path| format!("/{}", path.replace('.', "/")));
                match pointer.and_then(|pointer| item.pointer(&pointer)) {
                    Some(Value::String(found)) => text.push_str(found),
                    Some(found) => text.push_str(&found.to_string()),
                    None => {}
                }
            }
        }
        rest = after;
    }
    text + rest
}

/// The share of words that two texts have in common: a stand-in for all the metrics.
fn similarity(a: &str, b: &str) -> f64 {
    let words = |text: &str| -> std::collections::BTreeSet<String> {
        text.to_lowercase().split_whitespace().map(str::to_owned).collect()
    };
    let (a, b) = (words(a), words(b));
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    2.0 * a.intersection(&b).count() as f64 / (a.len() + b.len()) as f64
}
