//! Requests that this crate has no method for, on the same terms: the credential, the repeating, no redirects, no other host.

use reqwest::Method;
use serde_json::Value;

use crate::client::Client;
use crate::error::{Error, TransportError};
use crate::id::InvalidId;
use crate::transport::{Body, Call};

const OPERATION: &str = "raw";

/// The most that is read of an answer, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A request to the resource that this crate has no method for. From nothing but its parts: the host is the client's.
#[derive(Clone, Debug, PartialEq)]
pub struct RawRequest {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`. Only `GET`, `PUT` and `DELETE` are repeated when no answer came.
    pub method: Method,
    /// The path below the endpoint, such as `["openai", "v1", "models"]`. Each is one segment, whatever it contains; control
    /// characters it may not contain.
    pub path: Vec<String>,
    /// Names and values of the query; `api-version` is among them or missing.
    pub query: Vec<(String, String)>,
    /// JSON to send, if any.
    pub body: Option<Value>,
}

impl Client {
    /// Sends a request that this crate has no method for. The answer is JSON, or a JSON string where it is some other text; `null`
    /// where it is empty.
    ///
    /// # Errors
    /// [`Error::InvalidId`] when a segment of the path is empty, `.` or `..`, or contains a control character;
    /// [`Error::TooLarge`] above 16 MiB;
    /// [`Error::Ambiguous`] when a `POST` or `PATCH` may have happened.
    pub async fn raw(&self, request: RawRequest) -> Result<Value, Error> {
        // A URL would quietly lose such a segment, and mean something else.
        if let Some(segment) = request.path.iter().find(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            return Err(if segment.is_empty() { InvalidId::Empty } else { InvalidId::Start('.') }.into());
        }
        // It would lose tabs and line breaks too, and with them `.\t.` becomes `..`.
        if let Some(c) = request.path.iter().flat_map(|segment| segment.chars()).find(|c| c.is_control()) {
            return Err(InvalidId::Character(c).into());
        }
        let mut url = self.resource_url(&request.path);
        for (name, value) in &request.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let body = request.body.map_or(Body::None, |body| Body::Json(body.to_string().into()));
        let call = match request.method {
            Method::GET => Call::get(OPERATION, url),
            Method::DELETE => Call::delete(OPERATION, url),
            Method::PUT => Call::put(OPERATION, url, body),
            method => Call { method, ..Call::create(OPERATION, url, body) },
        };
        let repeat = call.repeat;
        let content = crate::FileContent::new(OPERATION, self.open(call).await?, self.idle_timeout());
        // Unlike a download, an answer has its time.
        let limit = self.request_timeout();
        let late = |_| {
            let source = TransportError::TimedOut(limit);
            Err(Error::Transport { operation: OPERATION, attempts: 1, source })
        };
        let content = tokio::time::timeout(limit, content.bytes(LARGEST)).await.unwrap_or_else(late);
        let content = content.map_err(|error| repeat.after_leaving(OPERATION, error))?;
        if content.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&content)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&content).into_owned())))
    }
}
