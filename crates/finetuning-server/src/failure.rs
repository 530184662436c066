//! What a tool says when it could not do what was asked: for a model to act on, and with what the service's support asks for.

use azure_finetuning::Error;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

/// A failed call. Says nothing of addresses or credentials.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments cannot be used; nothing was sent.
    Argument(String),
    /// The service, or the way to it.
    Service(Box<Error>),
    /// Something of our own, in words: a code and what to do.
    Other(&'static str, String),
    /// The caller has lost interest.
    Cancelled,
}

impl Failure {
    pub(crate) fn argument(name: &str, why: impl std::fmt::Display) -> Self {
        Self::Argument(format!("`{name}` cannot be used: {why}"))
    }

    pub(crate) fn into_result(self) -> CallToolResult {
        let error = match self {
            Self::Argument(message) => json!({ "code": "invalid_argument", "message": message, "retryable": false }),
            Self::Other(code, message) => json!({ "code": code, "message": message, "retryable": false }),
            Self::Cancelled => json!({ "code": "cancelled", "message": "the call was cancelled", "retryable": true }),
            Self::Service(error) => of_service(&error),
        };
        CallToolResult::error(vec![ContentBlock::text(json!({ "error": error }).to_string())])
    }
}

/// What is told of an error of the client's.
pub(crate) fn of_service(error: &Error) -> Value {
    let code = match error {
        Error::Api(api) => api.code.clone().unwrap_or_else(|| api.status.to_string()),
        Error::Auth { .. } => "unauthorised".to_owned(),
        Error::Transport { .. } => "no_answer".to_owned(),
        Error::Deadline { .. } => "deadline".to_owned(),
        Error::Ambiguous { .. } => "ambiguous".to_owned(),
        Error::Decode { .. } | Error::Csv { .. } => "unintelligible_answer".to_owned(),
        Error::TooLarge { .. } | Error::TableTooLarge { .. } => "too_large".to_owned(),
        Error::Unsupported { .. } => "unsupported".to_owned(),
        Error::InvalidId(_) => "invalid_argument".to_owned(),
        // And whatever a later version of the crate may add.
        Error::Io { .. } | Error::Config(_) | _ => "failed".to_owned(),
    };
    let api = error.api();
    json!({
        "code": code,
        "message": chain(error),
        "status": api.map(|api| api.status),
        "param": api.and_then(|api| api.param.clone()),
        "inner": api.map(|api| api.inner.clone()),
        "request_id": request_id(error),
        "attempts": api.map(|api| api.attempts),
        "retry_after_s": api.and_then(|api| api.retry_after).map(|after| after.as_secs_f64()),
        "retryable": error.is_retryable(),
    })
}

/// Also of an answer that could not be read.
fn request_id(error: &Error) -> Option<&str> {
    if let Error::Decode { request_id, .. } = error {
        return request_id.as_deref();
    }
    if let Error::Ambiguous { source, .. } = error {
        return request_id(source);
    }
    error.api()?.request_id.as_deref()
}

/// An error and its causes on one line. Those of the transport end where addresses would begin.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        if source.is::<azure_finetuning::TransportError>() {
            text.push_str(&format!(": {source}"));
            break;
        }
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Service(Box::new(error))
    }
}
