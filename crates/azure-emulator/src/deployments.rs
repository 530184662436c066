//! Deployments, as the management plane has them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::auth::{self, Audience};
use crate::clock::Millis;
use crate::files::BASE_MODELS;
use crate::jobs;
use crate::problem::Problem;
use crate::world::{MOST_DEPLOYMENTS, Shared, World};

const CREATING: Millis = 20_000;

#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) sku: Value,
    pub(crate) model: Value,
    pub(crate) created: Millis,
    /// False for a model that does not exist: the deployment then fails.
    pub(crate) is_known: bool,
}

const ACCOUNT: &str = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.CognitiveServices/accounts/{account}/deployments";

type Place = Path<(String, String, String)>;
type Named = Path<(String, String, String, String)>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new().route(ACCOUNT, get(list)).route(&format!("{ACCOUNT}/{{name}}"), get(one).put(put).delete(delete))
}

impl Deployment {
    fn json(&self, now: Millis) -> Value {
        let state = match (now - self.created >= CREATING, self.is_known) {
            (false, _) => "Creating",
            (true, true) => "Succeeded",
            (true, false) => "Failed",
        };
        json!({
            "id": self.id, "name": self.name, "type": "Microsoft.CognitiveServices/accounts/deployments",
            "sku": self.sku, "properties": { "provisioningState": state, "model": self.model },
        })
    }
}

fn enter(shared: &Shared, headers: &HeaderMap, query: &HashMap<String, String>) -> Result<(), Problem> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer "));
    if !token.is_some_and(|token| auth::accepts(shared, token, Audience::Management)) {
        let message = "The access token is missing, expired or for another audience.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message));
    }
    match query.get("api-version") {
        Some(_) => Ok(()),
        None => Err(Problem::new(StatusCode::BAD_REQUEST, "MissingApiVersionParameter", "The api-version is missing.")),
    }
}

fn id_of(subscription: &str, group: &str, account: &str, name: &str) -> String {
    format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.CognitiveServices/accounts/{account}/deployments/{name}"
    )
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Path((subscription, group, account)): Place,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    enter(&shared, &headers, &query)?;
    let (now, prefix) = (shared.clock.now(), id_of(&subscription, &group, &account, ""));
    let world = shared.world();
    let of_account = world.deployments.values().filter(|deployment| deployment.id.starts_with(&prefix));
    Ok(Json(json!({ "value": of_account.map(|deployment| deployment.json(now)).collect::<Vec<_>>() })))
}

async fn one(
    State(shared): State<Arc<Shared>>,
    Path((subscription, group, account, name)): Named,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    enter(&shared, &headers, &query)?;
    let now = shared.clock.now();
    let world = shared.world();
    let found = world.deployments.get(&id_of(&subscription, &group, &account, &name));
    found.map(|deployment| Json(deployment.json(now))).ok_or_else(Problem::not_found)
}

async fn put(
    State(shared): State<Arc<Shared>>,
    Path((subscription, group, account, name)): Named,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    enter(&shared, &headers, &query)?;
    let body: Value = serde_json::from_slice(&body).map_err(|error| Problem::invalid(error.to_string()))?;
    let model = body.pointer("/properties/model").cloned().unwrap_or_default();
    let (Some(sku), Some(wanted)) = (body.get("sku").cloned(), model.get("name").and_then(Value::as_str)) else {
        return Err(Problem::invalid("sku and properties.model.name are needed."));
    };
    let now = shared.clock.now();
    let mut world = shared.world();
    let is_known = knows(&world, wanted, now);
    let id = id_of(&subscription, &group, &account, &name);
    let is_new = !world.deployments.contains_key(&id);
    if is_new && world.deployments.len() >= MOST_DEPLOYMENTS {
        return Err(Problem::quota("There are too many deployments."));
    }
    let deployment = Deployment { id: id.clone(), name, sku, model, created: now, is_known };
    let shown = deployment.json(now);
    world.deployments.insert(id, deployment);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(shown)).into_response())
}

fn knows(world: &World, model: &str, now: Millis) -> bool {
    BASE_MODELS.contains(&model)
        || jobs::tuned(world, now).iter().any(|(tuned, _)| tuned == model)
        || jobs::has_checkpoint(world, now, model)
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((subscription, group, account, name)): Named,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    enter(&shared, &headers, &query)?;
    let gone = shared.world().deployments.remove(&id_of(&subscription, &group, &account, &name));
    Ok(if gone.is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT })
}
