//! The service's errors: one type for the envelopes of both API surfaces, of the gateway in front, and for none at all.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::retry;

/// The most that is kept of an error's body, in bytes.
const SNIPPET: usize = 2048;

/// An error the service answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// The operation, such as `jobs.get`.
    pub operation: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The service's code, such as `unexpectedEntityState`; a number is kept as its digits.
    pub code: Option<String>,
    /// What a person reads; the beginning of the body where that is not an error envelope.
    pub message: String,
    /// The member of the request that was at fault (`param` or `target`).
    pub param: Option<String>,
    /// The codes of the inner errors, outermost first.
    pub inner: Vec<String>,
    /// The id of the request at the service (`apim-request-id` or `x-ms-request-id`): what its support asks for.
    pub request_id: Option<String>,
    /// The id this client gave the attempt (`x-ms-client-request-id`).
    pub client_request_id: Option<String>,
    /// The region that answered (`x-ms-region`).
    pub region: Option<String>,
    /// How long the service asks to wait.
    pub retry_after: Option<Duration>,
    /// How often the operation was tried.
    pub attempts: u32,
}

impl ApiError {
    /// Whether the same request could succeed later: statuses 408, 429, 500, 502, 503 and 504.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        retry::is_transient(self.status)
    }

    /// Whether the service refuses because it was asked too often.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.status == 429
    }

    pub(crate) fn read(operation: &'static str, status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let envelope = serde_json::from_slice::<Value>(body).unwrap_or_default();
        // Azure wraps its errors in `error`, sometimes as a plain text; the v1 surface may answer the inside alone.
        let inside = envelope.get("error").unwrap_or(&envelope);
        let member = |name: &str| inside.get(name).and_then(word);
        let message = member("message").or_else(|| word(inside)).filter(|text| !text.is_empty());
        Self {
            operation,
            status,
            code: member("code").or_else(|| member("type")),
            message: message.unwrap_or_else(|| snippet(&text)),
            param: member("param").or_else(|| member("target")),
            inner: inner_codes(inside),
            request_id: request_id(headers),
            client_request_id: header(headers, "x-ms-client-request-id"),
            region: header(headers, "x-ms-region"),
            retry_after: retry::asked_delay(headers),
            attempts: 1,
        }
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` was answered {}", self.operation, self.status)?;
        if let Some(code) = &self.code {
            write!(f, " `{code}`")?;
        }
        write!(f, ": {}", self.message.escape_debug())?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

/// The request's id, under whichever name the service gives it.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    header(headers, "apim-request-id").or_else(|| header(headers, "x-ms-request-id"))
}

/// The beginning of a text, cut between characters.
pub(crate) fn snippet(text: &str) -> String {
    let end = text.floor_char_boundary(SNIPPET);
    text.get(..end).unwrap_or_default().trim().to_owned()
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(snippet)
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(snippet(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn inner_codes(error: &Value) -> Vec<String> {
    const DEEPEST: usize = 16;
    let chain = std::iter::successors(inner_error(error), |error| inner_error(error));
    chain.take(DEEPEST).filter_map(|error| error.get("code").and_then(word)).collect()
}

fn inner_error(error: &Value) -> Option<&Value> {
    error.get("innererror").or_else(|| error.get("inner_error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: (Option<&str>, &str, Option<&str>, &[&str])) {
        let error = ApiError::read("jobs.get", 400, &HeaderMap::new(), body.as_bytes());
        let inner: Vec<&str> = error.inner.iter().map(String::as_str).collect();
        assert_eq!(
            (error.code.as_deref(), error.message.as_str(), error.param.as_deref(), &*inner),
            expected,
            "{body}"
        );
    }

    #[test]
    fn every_envelope() {
        check(
            include_str!("../tests/data/error_dated.json"),
            (Some("unexpectedEntityState"), "The job is already in a terminal state.", None, &["invalidPayload"]),
        );
        check(
            include_str!("../tests/data/error_throttled.json"),
            (Some("429"), "Requests have exceeded the call rate limit. Please retry after 2 seconds.", None, &[]),
        );
        check(
            r#"{"error":{"code":"a","message":"m","target":"t","innererror":{"code":"b","innererror":{"code":"c"}}}}"#,
            (Some("a"), "m", Some("t"), &["b", "c"]),
        );
        check(
            r#"{"code":"a","message":"m","param":"p","type":"x","inner_error":{"code":"b"}}"#,
            (Some("a"), "m", Some("p"), &["b"]),
        );
        check(r#"{"error":{"code":429,"message":"m"}}"#, (Some("429"), "m", None, &[]));
        check(r#"{"error":{"code":null,"message":"m","type":"t"}}"#, (Some("t"), "m", None, &[]));
        check(r#"{"error":"plain"}"#, (None, "plain", None, &[]));
        check("<html>bad gateway</html>", (None, "<html>bad gateway</html>", None, &[]));
        check("", (None, "", None, &[]));
        check("[]", (None, "[]", None, &[]));
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let error = ApiError::read("jobs.get", 500, &HeaderMap::new(), "ä".repeat(3000).as_bytes());
        assert_eq!(error.message.len(), SNIPPET);
        assert!(error.message.chars().all(|c| c == 'ä'));
    }

    #[test]
    fn an_error_is_one_line() {
        let mut headers = HeaderMap::new();
        headers.insert("apim-request-id", "6f0c".parse().unwrap());
        let error = ApiError::read("jobs.get", 404, &headers, br#"{"error":{"code":"notFound","message":"no\nsuch"}}"#);
        assert_eq!(error.to_string(), "`jobs.get` was answered 404 `notFound`: no\\nsuch (request 6f0c)");
    }
}
