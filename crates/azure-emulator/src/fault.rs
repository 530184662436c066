//! Faults on demand: what a service, a proxy or a network does to an answer once in a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

const MOST: usize = 1_000;
/// Answers beyond this size are not rewritten.
const MOST_REWRITTEN: usize = 16 << 20;

/// What shall go wrong, for which requests, how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Any method if absent.
    pub method: Option<Method>,
    /// Part of the path, such as `/jobs`; empty for every request. Control routes are never touched.
    pub path: String,
    pub times: u32,
    pub action: FaultAction,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// This status with an error envelope; the request is not carried out.
    Status(u16),
    /// 429 with `retry-after` in seconds.
    RetryAfter(u64),
    /// 429 with `retry-after-ms`.
    RetryAfterMs(u64),
    /// 429 with `retry-after` as a date so many seconds ahead.
    HttpDate(u64),
    /// The answer comes so much later, by real time.
    Delay(Duration),
    /// The connection is closed instead of an answer; the request is not carried out.
    DropConnection,
    /// The connection is closed instead of an answer, after the request was carried out.
    DropAnswer,
    /// Half of the answer, then the connection is closed.
    TruncateBody,
    /// An answer that is not JSON.
    MalformedJson,
    /// A proxy's page with 502.
    Html502,
    /// 307 to this URL.
    Redirect(String),
    /// A `status` nobody has heard of, in the answer or in each item of its list.
    UnknownStatus,
    /// Members nobody has heard of.
    ExtraFields,
    /// A list the other way round.
    ReverseOrder,
    /// A list that says that there is more although `after` was its last page.
    RepeatCursor,
    /// The content wrapped in base64.
    Base64,
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < MOST && fault.times > 0 {
            faults.push(fault);
        }
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The first fault for this request, one time less from now on.
    pub(crate) fn take(&self, method: &Method, path: &str) -> Option<FaultAction> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant =
            |fault: &Fault| fault.method.as_ref().is_none_or(|wanted| wanted == method) && path.contains(&fault.path);
        let at = faults.iter().position(is_meant)?;
        let fault = faults.get_mut(at)?;
        fault.times -= 1;
        let action = fault.action.clone();
        if fault.times == 0 {
            faults.remove(at);
        }
        Some(action)
    }
}

impl FaultAction {
    /// The answer that stands in for the real one, if the request is not to be carried out.
    pub(crate) fn instead(&self) -> Option<Response> {
        let throttled = |name: &'static str, value: String| {
            let message = "Requests have exceeded the call rate limit. Please retry after some time.";
            let body = json!({ "error": { "code": "429", "message": message } });
            let value = HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("0"));
            (StatusCode::TOO_MANY_REQUESTS, [(name, value)], axum::Json(body)).into_response()
        };
        match self {
            Self::Status(status) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let code = if status.is_server_error() { "internalFailure" } else { "injected" };
                let body = json!({ "error": { "code": code, "message": "This failure was asked for." } });
                Some((status, axum::Json(body)).into_response())
            }
            Self::RetryAfter(seconds) => Some(throttled("retry-after", seconds.to_string())),
            Self::RetryAfterMs(millis) => Some(throttled("retry-after-ms", millis.to_string())),
            Self::HttpDate(seconds) => {
                let at = SystemTime::now() + Duration::from_secs((*seconds).min(1 << 32));
                Some(throttled("retry-after", httpdate::fmt_http_date(at)))
            }
            Self::MalformedJson => {
                let json = [(header::CONTENT_TYPE, "application/json")];
                Some((json, "{\"object\": \"list\", \"data\": [").into_response())
            }
            Self::Html502 => {
                let html = [(header::CONTENT_TYPE, "text/html")];
                Some((StatusCode::BAD_GATEWAY, html, "<html><body>502 Bad Gateway</body></html>").into_response())
            }
            Self::Redirect(to) => {
                let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
                Some((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response())
            }
            Self::Delay(_)
            | Self::DropConnection
            | Self::DropAnswer
            | Self::TruncateBody
            | Self::UnknownStatus
            | Self::ExtraFields
            | Self::ReverseOrder
            | Self::RepeatCursor
            | Self::Base64 => None,
        }
    }

    /// What becomes of the real answer.
    pub(crate) async fn after(&self, response: Response) -> Response {
        match self {
            Self::TruncateBody => {
                let (mut parts, body) = response.into_parts();
                let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
                    return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                };
                parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                let half = bytes.slice(..bytes.len() / 2);
                // Not at once: what was said before shall have left.
                let cut = async {
                    tokio::task::yield_now().await;
                    Err(std::io::Error::other("cut on demand"))
                };
                Response::from_parts(parts, Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(cut))))
            }
            Self::Base64 => rewrite(response, |bytes| base64::prelude::BASE64_STANDARD.encode(bytes).into()).await,
            Self::UnknownStatus => {
                let set = |value: &mut Value| set(value, "status", json!("meditating"));
                json_rewrite(response, |value| each(value, set)).await
            }
            Self::ExtraFields => {
                let set = |value: &mut Value| set(value, "x_new_field", json!({ "kept": true }));
                json_rewrite(response, |value| each(value, set)).await
            }
            Self::ReverseOrder => {
                let reverse = |value: &mut Value| {
                    if let Some(data) = value.get_mut("data").and_then(Value::as_array_mut) {
                        data.reverse();
                    }
                };
                json_rewrite(response, reverse).await
            }
            Self::RepeatCursor => json_rewrite(response, |value| set(value, "has_more", json!(true))).await,
            Self::Status(_)
            | Self::RetryAfter(_)
            | Self::RetryAfterMs(_)
            | Self::HttpDate(_)
            | Self::Delay(_)
            | Self::DropConnection
            | Self::DropAnswer
            | Self::MalformedJson
            | Self::Html502
            | Self::Redirect(_) => response,
        }
    }
}

/// Every item of a list, or the one thing that is no list.
fn each(value: &mut Value, change: impl Fn(&mut Value)) {
    match value.get_mut("data").and_then(Value::as_array_mut) {
        Some(data) => data.iter_mut().for_each(change),
        None => change(value),
    }
}

fn set(value: &mut Value, name: &str, to: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), to);
    }
}

async fn json_rewrite(response: Response, change: impl FnOnce(&mut Value)) -> Response {
    let change = |bytes: Bytes| match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut value) => {
            change(&mut value);
            value.to_string().into()
        }
        Err(_) => bytes,
    };
    rewrite(response, change).await
}

async fn rewrite(response: Response, change: impl FnOnce(Bytes) -> Bytes) -> Response {
    let (mut parts, body) = response.into_parts();
    match http_body_util::Limited::new(body, MOST_REWRITTEN).collect().await {
        Ok(body) => {
            let bytes = change(body.to_bytes());
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            Response::from_parts(parts, Body::from(bytes))
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
