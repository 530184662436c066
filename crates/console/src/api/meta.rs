//! The API's own description, and the page where people sign in.

use axum::response::{Html, IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS};

use crate::here::State;
use crate::problem::{Code, Problem};

/// Nothing of anybody else's, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 3] =
    [(CONTENT_SECURITY_POLICY, POLICY), (REFERRER_POLICY, "no-referrer"), (X_FRAME_OPTIONS, "DENY")];

/// This document
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "meta", operation_id = "openapi", responses((status = 200, body = Object)))]
pub(super) async fn openapi(here: State) -> Result<Response, Problem> {
    let document = here.openapi.get().ok_or_else(|| Problem::new(Code::Internal, "the document is not there"))?;
    Ok(([(CONTENT_TYPE, "application/json")], document.clone()).into_response())
}

/// Opening it uses up nothing: the one-time token is sent when the button is pressed.
pub(super) async fn page() -> Response {
    (HEADERS, Html(include_str!("../login.html"))).into_response()
}

pub(super) async fn script() -> Response {
    (HEADERS, [(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../login.js")).into_response()
}
