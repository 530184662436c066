//! Agents: who may call, what is known of them, and what they may use.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use store::{Agent, Kept};
use utoipa::ToSchema;

use crate::etag::Seen;
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Here, State};
use crate::listed;
use crate::page::{Page, Paging};
use crate::problem::Problem;
use crate::reply::{Body, Managed, Tagged, found, part, time};

const WHAT: &str = "agent";

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentView {
    id: String,
    managed: Managed,
    /// Does any of its tokens work?
    enabled: bool,
    /// What policies read as `agent.labels.KEY`
    labels: BTreeMap<String, String>,
    /// The servers that it may use; null for all
    servers: Option<BTreeSet<String>>,
    /// By server: a policy in place of the server's own
    policies: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
}

/// What an agent is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentPut {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// The servers that it may use; null for all. It must be said
    #[serde(deserialize_with = "said")]
    #[schema(required = true)]
    servers: Option<BTreeSet<String>>,
    #[serde(default)]
    policies: BTreeMap<String, String>,
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// "All" is never what was only forgotten.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<BTreeSet<String>>, D::Error> {
    Option::deserialize(from)
}

impl From<Kept<Agent>> for AgentView {
    fn from(kept: Kept<Agent>) -> Self {
        let Agent { labels, servers, policies, enabled } = kept.value;
        let (created, updated) = (Some(time(kept.created_ms)), Some(time(kept.updated_ms)));
        Self { id: kept.id, managed: Managed::Api, enabled, labels, servers, policies, created, updated }
    }
}

fn of_files(here: &Here) -> Vec<AgentView> {
    let views = here.control.agents().into_iter().filter_map(|view| {
        Some(AgentView {
            managed: Managed::by_file(view.managed.path()?),
            id: view.id,
            enabled: view.enabled,
            labels: view.labels,
            servers: view.servers,
            policies: view.policies,
            created: None,
            updated: None,
        })
    });
    listed::sorted(views, |view: &AgentView| view.id.clone())
}

fn of_file(here: &Here, id: &str) -> Option<AgentView> {
    of_files(here).into_iter().find(|view| view.id == id)
}

pub(super) fn not_of_file(here: &Here, id: &str) -> Result<(), Problem> {
    match of_file(here, id).map(|view| view.managed) {
        Some(Managed::File { path }) => Err(Problem::managed_by_file(WHAT, id, &path)),
        Some(Managed::Api) | None => Ok(()),
    }
}

/// All agents
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents", operation_id = "list_agents", params(Paging),
    responses((status = 200, body = Page<AgentView>)))]
pub(super) async fn list(here: State, Query(paging): Query<Paging>) -> Result<Body<Page<AgentView>>, Problem> {
    let limit = paging.limit()?;
    let kept = here.store.list::<Agent>(paging.after()?.as_deref(), listed::one_more(limit)).await?;
    let kept = kept.items.into_iter().map(AgentView::from);
    listed::merge(&paging, of_files(&here), kept, |view| view.id.clone()).map(Body)
}

/// One agent
#[utoipa::path(get, path = "/api/v1/agents/{id}", tag = "agents", operation_id = "get_agent", params(("id" = String, Path)),
    responses((status = 200, body = AgentView)))]
pub(super) async fn get(here: State, Path(id): Path<String>) -> Result<Tagged<AgentView>, Problem> {
    if let Some(view) = of_file(&here, &id) {
        return Ok(Tagged::of_file(view));
    }
    let kept = found(here.store.get::<Agent>(&id).await)?.ok_or_else(|| Problem::not_found(WHAT, &id))?;
    Ok(Tagged::ok(kept.version, kept.into()))
}

/// Make or change an agent
#[utoipa::path(put, path = "/api/v1/agents/{id}", tag = "agents", operation_id = "put_agent", params(("id" = String, Path)),
    request_body = AgentPut, responses((status = 200, body = AgentView), (status = 201, body = AgentView)))]
pub(super) async fn put(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    seen: Result<Seen, Problem>,
    Json(put): Json<AgentPut>,
) -> Result<Tagged<AgentView>, Problem> {
    not_of_file(&here, &id)?;
    let changing = here.changing().await;
    let there = found(here.store.get::<Agent>(&id).await)?;
    let change = seen?.against(WHAT, &id, there.map(|kept| kept.version))?;
    let AgentPut { labels, servers, policies, enabled } = put;
    let agent = Agent { labels, servers, policies, enabled };
    here.control.check_agent(&id, &agent)?;
    let kept = changing.put(&caller, ("agent.create", "agent.put"), &id, change, agent).await?;
    Ok(Tagged::put(change, kept.version, format!("/api/v1/agents/{}", part(&id)), kept.into()))
}

/// Remove an agent, with all its tokens: none of them works from the next request on
#[utoipa::path(delete, path = "/api/v1/agents/{id}", tag = "agents", operation_id = "delete_agent", params(("id" = String, Path)),
    responses((status = 204)))]
pub(super) async fn delete(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    seen: Result<Seen, Problem>,
) -> Result<http::StatusCode, Problem> {
    not_of_file(&here, &id)?;
    listed::delete::<Agent>(&here, &caller, WHAT, "agent.delete", &id, seen?, |_| Ok(())).await
}
