//! What tests in other processes use: faults, time, the journal. Behind a token of its own; the README has the shapes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Seed;
use crate::fault::{Fault, FaultAction};
use crate::problem::Problem;
use crate::world::Shared;

pub(crate) const PREFIX: &str = "/__emulator";

pub(crate) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let routes = Router::new()
        .route("/faults", post(faults))
        .route("/clock", post(clock))
        .route("/journal", get(journal))
        .route("/reset", post(reset))
        .route("/seed", post(seed))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), enter));
    Router::new().nest(PREFIX, routes)
}

async fn enter(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let token = request.headers().get("x-emulator-token");
    match token.is_some_and(|token| token.as_bytes() == shared.control_token.as_bytes()) {
        true => next.run(request).await,
        false => Problem::unauthorized().into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultEntry {
    method: Option<String>,
    #[serde(default)]
    path: String,
    #[serde(default = "once")]
    times: u32,
    action: String,
    /// What the action takes: a status, seconds, milliseconds or a URL.
    value: Option<Value>,
}

fn once() -> u32 {
    1
}

impl TryFrom<FaultEntry> for Fault {
    type Error = Problem;

    fn try_from(entry: FaultEntry) -> Result<Self, Problem> {
        let number = || {
            let number = entry.value.as_ref().and_then(Value::as_u64);
            number.ok_or_else(|| Problem::invalid(format!("{} wants a number as value.", entry.action)))
        };
        let action = match entry.action.as_str() {
            "status" => {
                FaultAction::Status(u16::try_from(number()?).map_err(|_| Problem::invalid("value is no status"))?)
            }
            "retry_after" => FaultAction::RetryAfter(number()?),
            "retry_after_ms" => FaultAction::RetryAfterMs(number()?),
            "http_date" => FaultAction::HttpDate(number()?),
            "delay" => FaultAction::Delay(Duration::from_millis(number()?.min(600_000))),
            "drop_connection" => FaultAction::DropConnection,
            "drop_answer" => FaultAction::DropAnswer,
            "truncate_body" => FaultAction::TruncateBody,
            "malformed_json" => FaultAction::MalformedJson,
            "html_502" => FaultAction::Html502,
            "redirect" => {
                let to = entry.value.as_ref().and_then(Value::as_str);
                FaultAction::Redirect(to.ok_or_else(|| Problem::invalid("redirect wants a URL as value."))?.to_owned())
            }
            "unknown_status" => FaultAction::UnknownStatus,
            "extra_fields" => FaultAction::ExtraFields,
            "reverse_order" => FaultAction::ReverseOrder,
            "repeat_cursor" => FaultAction::RepeatCursor,
            "base64" => FaultAction::Base64,
            other => return Err(Problem::invalid(format!("The action {other} is not known."))),
        };
        let method = entry.method.as_deref().map(str::parse::<Method>).transpose();
        let method = method.map_err(|_| Problem::invalid("method is no HTTP method."))?;
        Ok(Self { method, path: entry.path, times: entry.times, action })
    }
}

async fn faults(State(shared): State<Arc<Shared>>, Json(entry): Json<FaultEntry>) -> Result<StatusCode, Problem> {
    shared.faults.add(entry.try_into()?);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_s: f64,
}

async fn clock(State(shared): State<Arc<Shared>>, Json(by): Json<Advance>) -> Result<Json<Value>, Problem> {
    let by = Duration::try_from_secs_f64(by.advance_s).ok().filter(|by| by.as_secs() <= 10 * 366 * 24 * 60 * 60);
    shared.clock.advance(by.ok_or_else(|| Problem::invalid("advance_s must be 0 to ten years."))?);
    Ok(Json(json!({ "now": shared.clock.now() / 1000 })))
}

async fn journal(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "requests": shared.journal.all() }))
}

async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.reset(shared.seed);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedEntry {
    name: String,
}

async fn seed(State(shared): State<Arc<Shared>>, Json(seed): Json<SeedEntry>) -> Result<StatusCode, Problem> {
    let seed = match seed.name.as_str() {
        "demo" => Seed::Demo,
        "empty" => Seed::Empty,
        other => return Err(Problem::invalid(format!("The seed {other} is not known."))),
    };
    shared.reset(seed);
    Ok(StatusCode::NO_CONTENT)
}
