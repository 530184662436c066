//! Requests that this crate has no method for, on the same terms: the credential, the repeating, no redirects, no other host.

use reqwest::Method;
use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
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
    /// The path below the endpoint, such as `["openai", "v1", "models"]`. Each is one segment, whatever it contains.
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
    /// [`Error::InvalidId`] when a segment of the path is empty, `.` or `..`; [`Error::TooLarge`] above 16 MiB;
    /// [`Error::Ambiguous`] when a `POST` or `PATCH` may have happened.
    pub async fn raw(&self, request: RawRequest) -> Result<Value, Error> {
        // A URL would quietly lose such a segment, and mean something else.
        if let Some(segment) = request.path.iter().find(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            return Err(if segment.is_empty() { InvalidId::Empty } else { InvalidId::Start('.') }.into());
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
        let content = crate::FileContent::new(self.open(call).await?, self.idle_timeout()).bytes(LARGEST).await?;
        if content.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&content)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&content).into_owned())))
    }
}
