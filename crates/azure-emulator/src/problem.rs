//! Refusals, in the service's envelope.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalidPayload", message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", "The resource is not found.")
    }

    /// An operation that this surface does not have.
    pub(crate) fn no_operation() -> Self {
        Self::new(StatusCode::NOT_FOUND, "404", "Resource not found")
    }

    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unexpectedEntityState", message)
    }

    pub(crate) fn quota(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "quotaExceeded", message)
    }

    pub(crate) fn unauthorized() -> Self {
        let message = "Access denied due to invalid subscription key or wrong API endpoint. \
                       Make sure to provide a valid key for an active subscription.";
        Self::new(StatusCode::UNAUTHORIZED, "401", message)
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The principal lacks the permission to do this.")
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internalFailure", format!("the emulator failed: {error}"))
    }
}

/// What a framework refuses in plain text, in the service's envelope like all else.
pub(crate) async fn enveloped(response: Response) -> Response {
    const LONGEST: usize = 16 << 10;
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let code = match status {
        StatusCode::METHOD_NOT_ALLOWED => "405",
        _ if status.is_server_error() => "internalFailure",
        _ => "invalidPayload",
    };
    let text = axum::body::to_bytes(response.into_body(), LONGEST).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let reason = status.canonical_reason().unwrap_or_default();
    Problem::new(status, code, if text.is_empty() { reason } else { &text }).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let inner = (self.code == "unexpectedEntityState").then(|| json!({ "code": "invalidPayload" }));
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(inner), Some(members)) = (inner, error.as_object_mut()) {
            members.insert("innererror".to_owned(), inner);
        }
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}
