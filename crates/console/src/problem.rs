//! Every error of the API, as `application/problem+json` (RFC 9457). The one place that knows status codes.

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The base of `type`; it names a problem and is not an address.
const TYPE: &str = "urn:toolgate:problem:";

/// What went wrong, as a client may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Malformed,
    Unauthenticated,
    Forbidden,
    MayNotDecide,
    Csrf,
    NotFound,
    MethodNotAllowed,
    Slow,
    Exists,
    Decided,
    Expired,
    Spent,
    Voted,
    Quorum,
    ManagedByFile,
    InUse,
    Full,
    InProgress,
    LastAdmin,
    Stale,
    TooLarge,
    MediaType,
    Invalid,
    InvalidPolicy,
    KeyReused,
    PreconditionRequired,
    TooManyFailures,
    Internal,
    NotAvailable,
    AuditUnavailable,
    StoreUnavailable,
    NotApplied,
    TooManyStreams,
    Timeout,
}

impl Code {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 34] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::MayNotDecide,
        Self::Csrf,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Slow,
        Self::Exists,
        Self::Decided,
        Self::Expired,
        Self::Spent,
        Self::Voted,
        Self::Quorum,
        Self::ManagedByFile,
        Self::InUse,
        Self::Full,
        Self::InProgress,
        Self::LastAdmin,
        Self::Stale,
        Self::TooLarge,
        Self::MediaType,
        Self::Invalid,
        Self::InvalidPolicy,
        Self::KeyReused,
        Self::PreconditionRequired,
        Self::TooManyFailures,
        Self::Internal,
        Self::NotAvailable,
        Self::AuditUnavailable,
        Self::StoreUnavailable,
        Self::NotApplied,
        Self::TooManyStreams,
        Self::Timeout,
    ];

    /// Its name, its status, and what it means in a few words.
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Malformed => ("malformed", S::BAD_REQUEST, "the request cannot be read"),
            Self::Unauthenticated => ("unauthenticated", S::UNAUTHORIZED, "who asks is not known"),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "the role does not allow this"),
            Self::MayNotDecide => ("may_not_decide", S::FORBIDDEN, "this is for others to decide"),
            Self::Csrf => ("csrf", S::FORBIDDEN, "the request may come from another site"),
            Self::NotFound => ("not_found", S::NOT_FOUND, "there is nothing by that name"),
            Self::MethodNotAllowed => ("method_not_allowed", S::METHOD_NOT_ALLOWED, "that cannot be done here"),
            Self::Slow => ("slow", S::REQUEST_TIMEOUT, "the body did not come in time"),
            Self::Exists => ("exists", S::CONFLICT, "there is one by that name already"),
            Self::Decided => ("decided", S::CONFLICT, "it is decided already"),
            Self::Expired => ("expired", S::CONFLICT, "nobody decided in time"),
            Self::Spent => ("spent", S::GONE, "this link was used, or its time is over"),
            Self::Voted => ("voted", S::CONFLICT, "you have decided, and others are still to"),
            Self::Quorum => ("quorum", S::CONFLICT, "several must decide this, each for themselves"),
            Self::ManagedByFile => ("managed_by_file", S::CONFLICT, "a file says what this is"),
            Self::InUse => ("in_use", S::CONFLICT, "something else needs this"),
            Self::Full => ("full", S::CONFLICT, "there are as many as may be"),
            Self::InProgress => ("in_progress", S::CONFLICT, "a request with this key is under way"),
            Self::LastAdmin => ("last_admin", S::CONFLICT, "nobody would be left to manage the gateway"),
            Self::Stale => ("stale", S::PRECONDITION_FAILED, "it is not what it was when you read it"),
            Self::TooLarge => ("too_large", S::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::MediaType => ("media_type", S::UNSUPPORTED_MEDIA_TYPE, "the body is not of the kind that is wanted"),
            Self::Invalid => ("invalid", S::UNPROCESSABLE_ENTITY, "a value is not valid"),
            Self::InvalidPolicy => ("invalid_policy", S::UNPROCESSABLE_ENTITY, "the policy is not valid"),
            Self::KeyReused => ("key_reused", S::UNPROCESSABLE_ENTITY, "the key was used for another request"),
            Self::PreconditionRequired => {
                ("precondition_required", S::PRECONDITION_REQUIRED, "say which version you mean")
            }
            Self::TooManyFailures => ("too_many_failures", S::TOO_MANY_REQUESTS, "too many failed attempts"),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "this is a defect; the log says more"),
            Self::NotAvailable => ("not_available", S::CONFLICT, "this gateway keeps none of that"),
            Self::AuditUnavailable => {
                ("audit_unavailable", S::SERVICE_UNAVAILABLE, "it cannot be recorded, so it was not done")
            }
            Self::StoreUnavailable => ("store_unavailable", S::SERVICE_UNAVAILABLE, "the store does not answer"),
            Self::NotApplied => ("not_applied", S::SERVICE_UNAVAILABLE, "it is kept, but not in force here yet"),
            Self::TooManyStreams => ("too_many_streams", S::SERVICE_UNAVAILABLE, "too many listen already"),
            Self::Timeout => ("timeout", S::GATEWAY_TIMEOUT, "it took too long"),
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        self.row().0
    }

    pub(crate) const fn status(self) -> StatusCode {
        self.row().1
    }
}

/// An error on its way to who asked.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    detail: String,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// An error, as `application/problem+json`. Members beside these depend on `code`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// A stable name: `urn:toolgate:problem:` and the code
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// What went wrong this time
    detail: String,
    /// What a program may rely on
    code: String,
    /// Of `invalid` and `invalid_policy`: each thing that is wrong, and where
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Value>>,
    /// Of `managed_by_file`: the file
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Of `decided`, `expired` and `voted`: what has become of it
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), more: Map::new(), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.more.insert(member.to_owned(), value.into());
        self
    }

    fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} `{}`", shown(id)))
    }

    pub(crate) fn unauthenticated(detail: &str) -> Self {
        Self::new(Code::Unauthenticated, detail).header(WWW_AUTHENTICATE, "Bearer realm=\"toolgate-admin\"")
    }

    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        Self::new(Code::MethodNotAllowed, format!("use {allowed}")).header(ALLOW, allowed)
    }

    pub(crate) fn too_many_failures(seconds: u64) -> Self {
        Self::new(Code::TooManyFailures, format!("try again in {seconds} s")).header(RETRY_AFTER, &seconds.to_string())
    }

    pub(crate) fn managed_by_file(what: &str, id: &str, path: &str) -> Self {
        let detail = format!("{what} `{}` is what `{path}` says: change it there", shown(id));
        Self::new(Code::ManagedByFile, detail).with("path", path)
    }

    pub(crate) fn put_headers(&self, headers: &mut http::HeaderMap) {
        headers.extend(self.headers.iter().cloned());
    }

    /// For people: the title, and what went wrong.
    pub(crate) fn told(&self) -> (&'static str, &str) {
        (self.code.row().2, &self.detail)
    }

    /// One value is wrong. `path` is a JSON Pointer into the body, or names a parameter or header.
    pub(crate) fn invalid(path: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let errors = json!([{ "path": path, "detail": detail }]);
        let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        Self::new(Code::Invalid, format!("{place}{detail}")).with("errors", errors)
    }

    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(error), "a request to the admin API failed");
        Self::new(Code::Internal, "the gateway's log says what happened")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, status, title) = self.code.row();
        let mut body = self.more;
        for (member, value) in [
            ("type", json!(format!("{TYPE}{code}"))),
            ("title", json!(title)),
            ("status", json!(status.as_u16())),
            ("detail", json!(self.detail)),
            ("code", json!(code)),
        ] {
            body.insert(member.to_owned(), value);
        }
        let mut response = (status, Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        // For whoever must know in here what is said.
        response.extensions_mut().insert(self.code);
        response
    }
}

/// A client's own words in a message: cut, and without what could pass for anything else.
pub(crate) fn shown(text: &str) -> String {
    const MAX: usize = 128;
    text.chars().take(MAX).flat_map(char::escape_debug).collect()
}

/// An error and its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Code;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().as_u16() >= 400));
    }
}
