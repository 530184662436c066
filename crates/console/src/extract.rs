//! What handlers take of a request. Whatever cannot be read becomes a problem that says where; nothing is guessed and nothing is skipped.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use futures_util::StreamExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::etag::one;
use crate::problem::{Code, Problem, shown};

/// A body may have this many bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// And has this long to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A body in JSON whose every member is known.
pub(crate) struct Json<T>(pub(crate) T);

/// A query whose every parameter is known.
pub(crate) struct Query<T>(pub(crate) T);

/// What stands in the path, in its order.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        media(&parts)?;
        read(body).await.and_then(|bytes| json(&bytes)).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        let found = found.map_err(|error| Problem::invalid("query", shown(&cause(&error))))?;
        Ok(Self(found.0))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Path<String> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut found = params(parts, state).await?.into_iter();
        found.next().map(Self).ok_or_else(unreadable)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Path<(String, String)> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut found = params(parts, state).await?.into_iter();
        found.next().zip(found.next()).map(Self).ok_or_else(unreadable)
    }
}

async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<String>, Problem> {
    let found = RawPathParams::from_request_parts(parts, state).await.map_err(|_| unreadable())?;
    Ok(found.iter().map(|(_, value)| value.to_owned()).collect())
}

fn unreadable() -> Problem {
    Problem::new(Code::Malformed, "the path cannot be read")
}

/// The innermost reason: those around it only say that there is one.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// A body is JSON in UTF-8, as it is.
pub(crate) fn media(parts: &Parts) -> Result<(), Problem> {
    let kind = one(&parts.headers, &CONTENT_TYPE)?.unwrap_or_default();
    let (essence, parameter) = kind.split_once(';').unwrap_or((kind, ""));
    let charset = parameter.trim().to_ascii_lowercase();
    let utf8 = matches!(charset.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"");
    let plain = one(&parts.headers, &CONTENT_ENCODING)?.is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
    match essence.trim().eq_ignore_ascii_case("application/json") && utf8 && plain {
        true => Ok(()),
        false => Err(Problem::new(Code::MediaType, "send `Content-Type: application/json`, without an encoding")),
    }
}

/// The whole body, bounded in size and time.
pub(crate) async fn read(body: Body) -> Result<Bytes, Problem> {
    read_up_to(MAX_BODY, body).await
}

pub(crate) async fn read_up_to(most: usize, body: Body) -> Result<Bytes, Problem> {
    let whole = async {
        let mut whole = Vec::new();
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| Problem::new(Code::Malformed, "the body was cut off"))?;
            if whole.len() + part.len() > most {
                return Err(Problem::new(Code::TooLarge, format!("a body may have {most} bytes")));
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole.into())
    };
    let slow = || Problem::new(Code::Slow, format!("the body did not come within {} s", BODY_TIME.as_secs()));
    tokio::time::timeout(BODY_TIME, whole).await.map_err(|_| slow())?
}

/// JSON that is not JSON is malformed; JSON that is not what is expected is invalid, and where is said.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let at = pointer(error.path());
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => Problem::invalid(&at, shown(&without_found(&inner.to_string()))),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => Problem::new(Code::Malformed, shown(&format!("no JSON: {inner}"))),
        }
    })?;
    reader.end().map_err(|error| Problem::new(Code::Malformed, format!("no JSON: {error}")))?;
    Ok(value)
}

/// What serde says without what it found: that may be a secret. What it expected stays, and where.
fn without_found(said: &str) -> String {
    const FOUND: [&str; 3] = ["invalid type", "invalid value", "unknown variant"];
    match FOUND.iter().find(|kind| said.starts_with(**kind)) {
        None => said.to_owned(),
        // What was found stands before what was expected, so the last one is serde's.
        Some(kind) => said
            .rsplit_once(", expected ")
            .map_or_else(|| (*kind).to_owned(), |(_, rest)| format!("{kind}, expected {rest}")),
    }
}

/// As a JSON Pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => "?".to_owned(),
        };
        pointer.push('/');
        pointer.push_str(&part);
    }
    shown(&pointer)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read")]
        a: u8,
    }

    #[track_caller]
    fn check(text: &str, code: Code, said: &str) {
        let problem = json::<Outer>(text.as_bytes()).unwrap_err();
        assert_eq!(problem.code, code, "{text}");
        assert!(format!("{problem:?}").contains(said), "{problem:?}");
        assert!(["canary", "7331"].iter().all(|found| !format!("{problem:?}").contains(found)), "{problem:?}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        check(r#"{"inner":[{"a":1},{"a":1,"b":2}]}"#, Code::Invalid, "/inner/1/b");
        check(r#"{"inner":[{"a":"x"}]}"#, Code::Invalid, "/inner/0/a");
        check(r#"{"inner":[],"inner":[]}"#, Code::Invalid, "duplicate");
        check(r#"{"inner":"canary"}"#, Code::Invalid, "invalid type, expected a sequence at line 1 column");
        check(r#"{"inner":"canary, expected b"}"#, Code::Invalid, "expected a sequence");
        check(r#"{"inner":[{"a":-7331}]}"#, Code::Invalid, "expected u8");
        check(r#"{"inner":[]"#, Code::Malformed, "no JSON");
        check(r#"{"inner":[]} x"#, Code::Malformed, "no JSON");
        assert!(json::<Outer>(br#"{"inner":[]}"#).is_ok());
    }
}
