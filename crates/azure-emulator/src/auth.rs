//! Tokens: the endpoint of Microsoft Entra, the metadata service of a virtual machine, and who accepts what they issue.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use data_encoding::HEXLOWER;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::clock::millis;
use crate::problem::Problem;
use crate::world::{MOST_TOKENS, Shared, Token};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Data,
    Management,
}

impl Audience {
    fn is_named(self, audience: &str) -> bool {
        match self {
            Self::Data => matches!(audience, "https://cognitiveservices.azure.com" | "https://ai.azure.com"),
            Self::Management => audience == "https://management.azure.com",
        }
    }
}

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token))
        .route("/metadata/identity/oauth2/token", get(metadata))
}

pub(crate) fn accepts(shared: &Shared, token: &str, audience: Audience) -> bool {
    let now = shared.clock.unhurried();
    shared.world().tokens.get(token).is_some_and(|token| token.ends > now && audience.is_named(&token.audience))
}

/// Client credentials, by secret or by the assertion of another identity provider. Any that are not empty will do.
async fn token(
    State(shared): State<Arc<Shared>>,
    Path(_tenant): Path<String>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let field = |name: &str| form.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let by_assertion = field("client_assertion_type") == Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        && field("client_assertion").is_some();
    if field("grant_type") != Some("client_credentials") {
        return refuse("unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.", 70003);
    }
    if field("client_id").is_none() || !(by_assertion || field("client_secret").is_some()) {
        return refuse("invalid_client", "AADSTS7000215: Invalid client secret provided.", 7_000_215);
    }
    let Some(audience) = field("scope").and_then(|scope| scope.strip_suffix("/.default")) else {
        return refuse("invalid_scope", "AADSTS1002012: The provided value for scope is not valid.", 1_002_012);
    };
    match issue(&shared, audience) {
        Ok((token, _)) => {
            let seconds = shared.token_lifetime.as_secs();
            let answer = json!({
                "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
            });
            Json(answer).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

fn refuse(error: &str, description: &str, code: u32) -> Response {
    let answer = json!({
        "error": error, "error_description": description, "error_codes": [code],
        "trace_id": "00000000-0000-0000-0000-000000000000", "correlation_id": "00000000-0000-0000-0000-000000000000",
    });
    (StatusCode::BAD_REQUEST, Json(answer)).into_response()
}

async fn metadata(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let asked = headers.get("metadata").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let resource = query.get("resource").map(|resource| resource.trim_end_matches('/'));
    let (true, Some(resource), true) = (asked, resource, query.contains_key("api-version")) else {
        let why = "Required metadata header not specified, or resource or api-version missing";
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_request", "error_description": why })))
            .into_response();
    };
    match issue(&shared, resource) {
        Ok((token, ends)) => Json(json!({
            "access_token": token, "expires_on": (ends / 1000).to_string(), "resource": resource, "token_type": "Bearer",
        }))
        .into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn issue(shared: &Shared, audience: &str) -> Result<(String, i64), Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Problem::internal)?;
    let name = HEXLOWER.encode(&bytes);
    let now = shared.clock.unhurried();
    let ends = now.saturating_add(millis(shared.token_lifetime));
    let (token, mut world) = (format!("emu.{name}"), shared.world());
    if world.tokens.len() >= MOST_TOKENS {
        world.tokens.retain(|_, token| token.ends > now);
    }
    if world.tokens.len() >= MOST_TOKENS {
        return Err(Problem::quota("Too many tokens are in use."));
    }
    world.tokens.insert(token.clone(), Token { audience: audience.to_owned(), ends });
    Ok((token, ends))
}
