//! How objects are answered: their JSON, their tag, and where they are.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use store::Kept;
use utoipa::ToSchema;

use crate::etag;
use crate::problem::Problem;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

/// One object, as of one version.
pub(crate) struct Tagged<T> {
    pub(crate) status: StatusCode,
    pub(crate) tag: String,
    pub(crate) location: Option<String>,
    pub(crate) value: T,
}

/// Who says what an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
pub(crate) enum Managed {
    /// It is what this file says, and is changed there
    File { path: String },
    /// It is in the store, and is changed here
    Api,
}

impl Managed {
    pub(crate) fn by_file(place: &str) -> Self {
        Self::File { path: path_of(place).to_owned() }
    }
}

/// The gateway says with a place which layer of its configuration it is in.
pub(crate) fn path_of(place: &str) -> &str {
    place.strip_prefix("file ").unwrap_or(place)
}

impl<T: Serialize> Tagged<T> {
    pub(crate) fn ok(version: i64, value: T) -> Self {
        Self { status: StatusCode::OK, tag: etag::tag(version), location: None, value }
    }

    /// What a file says has the hash of that for a tag.
    pub(crate) fn of_file(value: T) -> Self {
        let hash = crate::secret::hash(&serde_json::to_string(&value).unwrap_or_default());
        let hash = HEXLOWER.encode(hash.get(..8).unwrap_or_default());
        Self { status: StatusCode::OK, tag: format!("\"f{hash}\""), location: None, value }
    }

    pub(crate) fn created(version: i64, location: String, value: T) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), ..Self::ok(version, value) }
    }

    /// New, or in place of what was there.
    pub(crate) fn put(change: etag::Change, version: i64, location: String, value: T) -> Self {
        match change {
            etag::Change::Create => Self::created(version, location, value),
            etag::Change::Update(_) => Self::ok(version, value),
        }
    }
}

impl<T: Serialize> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Body(self.value)).into_response();
        let headers = response.headers_mut();
        headers.extend(HeaderValue::from_str(&self.tag).ok().map(|tag| (ETAG, tag)));
        let location = self.location.and_then(|location| HeaderValue::from_str(&location).ok());
        headers.extend(location.map(|location| (LOCATION, location)));
        response
    }
}

/// What there is, or nothing; other errors are errors.
pub(crate) fn found<T>(read: Result<Kept<T>, store::StoreError>) -> Result<Option<Kept<T>>, Problem> {
    match read {
        Ok(kept) => Ok(Some(kept)),
        Err(store::StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// As RFC 3339.
pub(crate) fn time(ms: i64) -> String {
    let since = std::time::Duration::from_millis(ms.max(0).unsigned_abs());
    // Beyond what the format can say, nothing is a time any more.
    let time = std::time::UNIX_EPOCH.checked_add(since.min(LAST)).unwrap_or(std::time::UNIX_EPOCH);
    humantime::format_rfc3339_millis(time).to_string()
}

/// The end of the year 9999.
const LAST: std::time::Duration = std::time::Duration::from_secs(253_402_300_799);

/// A part of a path.
pub(crate) fn part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'@' => part.push(char::from(byte)),
            byte => part.push_str(&format!("%{byte:02X}")),
        }
    }
    part
}

/// Around every answer: nobody keeps it, nobody guesses its type, and who has it already is told so.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let read = matches!(*request.method(), Method::GET | Method::HEAD);
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    let known = |tag: &HeaderValue| etag::is_known(&headers, tag);
    if read && response.status() == StatusCode::OK && response.headers().get(ETAG).is_some_and(known) {
        let tag = response.headers().get(ETAG).cloned();
        response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().extend(tag.map(|tag| (ETAG, tag)));
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
