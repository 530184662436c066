//! The two API surfaces: which one a request is for, and who may ask there.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, header};

use crate::auth::{self, Audience};
use crate::problem::Problem;
use crate::world::Shared;
use crate::{files, graders, jobs, uploads};

/// An API surface, and on the dated one the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    V1,
    Dated(String),
}

impl Surface {
    pub(crate) fn is_v1(&self) -> bool {
        *self == Self::V1
    }

    /// Only previews of the dated surface can.
    pub(crate) fn can_pause(&self) -> bool {
        match self {
            Self::V1 => true,
            Self::Dated(version) => version.as_str() >= "2025-04-01" && version.ends_with("-preview"),
        }
    }

    pub(crate) fn suffix_name(&self) -> &'static str {
        if self.is_v1() { "user_provided_suffix" } else { "suffix" }
    }

    pub(crate) fn created(&self) -> StatusCode {
        if self.is_v1() { StatusCode::OK } else { StatusCode::CREATED }
    }
}

pub(crate) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let operations = || {
        Router::new()
            .merge(jobs::router())
            .merge(files::router())
            .merge(uploads::router())
            .merge(graders::router())
            .fallback(async || Problem::no_operation())
    };
    let v1 = operations().layer(middleware::from_fn_with_state(Arc::clone(shared), enter_v1));
    let dated = operations().layer(middleware::from_fn_with_state(Arc::clone(shared), enter_dated));
    Router::new().nest("/openai/v1", v1).nest("/openai", dated)
}

async fn enter_v1(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
    next: Next,
) -> Response {
    match query.get("api-version").map(String::as_str) {
        None | Some("v1" | "preview") => enter(Surface::V1, &shared, request, next).await,
        Some(_) => no_version(),
    }
}

async fn enter_dated(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
    next: Next,
) -> Response {
    match query.get("api-version").filter(|version| is_date(version.strip_suffix("-preview").unwrap_or(version))) {
        Some(version) => enter(Surface::Dated(version.clone()), &shared, request, next).await,
        None => no_version(),
    }
}

async fn enter(surface: Surface, shared: &Shared, mut request: Request, next: Next) -> Response {
    if let Err(problem) = authenticate(&surface, shared, request.headers(), request.method()) {
        return problem.into_response();
    }
    request.extensions_mut().insert(surface);
    next.run(request).await
}

fn no_version() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "404", "Resource not found: the api-version is missing or not known")
        .into_response()
}

fn is_date(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [4, 2, 2] && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && text >= "2023-01-01"
}

fn authenticate(surface: &Surface, shared: &Shared, headers: &HeaderMap, method: &Method) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    // The v1 surface also takes the key the way OpenAI does.
    let key = text(header::HeaderName::from_static("api-key")).or(bearer.filter(|_| surface.is_v1()));
    if key == Some(shared.key.as_str()) {
        return Ok(());
    }
    if key == Some(shared.reader_key.as_str()) {
        return if method == Method::GET { Ok(()) } else { Err(Problem::forbidden()) };
    }
    match bearer {
        Some(token) if auth::accepts(shared, token, Audience::Data) => Ok(()),
        Some(_) | None => Err(Problem::unauthorized()),
    }
}
