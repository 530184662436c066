//! Servers: those of the configuration file, which are shown, and those of the store, which are managed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Kept, Server};
use utoipa::ToSchema;

use crate::etag::Seen;
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Here, State};
use crate::page::{Page, Paging};
use crate::problem::Problem;
use crate::reply::{Body, Managed, Tagged, found, part, time};
use crate::{listed, mask};

const WHAT: &str = "server";

/// A server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerView {
    id: String,
    managed: Managed,
    /// Is it there to be called?
    enabled: bool,
    /// The name of its policy; without one every call is denied
    policy: Option<String>,
    /// What `[servers.ID]` can say, but for `policy`. Values that may be secret are `***`
    #[schema(value_type = Object)]
    document: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
}

/// What a server is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerPut {
    /// What `[servers.ID]` can say, but for `policy`. A `***` stands for the value that is there
    #[schema(value_type = Object)]
    document: serde_json::Map<String, Value>,
    /// The name of its policy; without one every call is denied
    policy: Option<String>,
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
}

/// How a server is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Is it among those that this gateway can call?
    in_force: bool,
    /// In words, where it is known
    health: Option<String>,
}

fn yes() -> bool {
    true
}

impl From<Kept<Server>> for ServerView {
    fn from(kept: Kept<Server>) -> Self {
        let Server { document, policy, enabled } = kept.value;
        Self {
            id: kept.id,
            managed: Managed::Api,
            enabled,
            policy,
            document: mask::masked(&document),
            created: Some(time(kept.created_ms)),
            updated: Some(time(kept.updated_ms)),
        }
    }
}

/// Those that files manage, by id.
fn of_files(here: &Here) -> Vec<ServerView> {
    let views = here.control.servers().into_iter().filter_map(|view| {
        let managed = Managed::by_file(view.managed.path()?);
        let (document, policy) = (mask::masked(&view.document), view.policy);
        Some(ServerView { id: view.id, managed, enabled: true, policy, document, created: None, updated: None })
    });
    listed::sorted(views, |view: &ServerView| view.id.clone())
}

fn of_file(here: &Here, id: &str) -> Option<ServerView> {
    of_files(here).into_iter().find(|view| view.id == id)
}

/// What a file says is not changed here.
pub(super) fn not_of_file(here: &Here, id: &str) -> Result<(), Problem> {
    match of_file(here, id).map(|view| view.managed) {
        Some(Managed::File { path }) => Err(Problem::managed_by_file(WHAT, id, &path)),
        Some(Managed::Api) | None => Ok(()),
    }
}

/// All servers
#[utoipa::path(get, path = "/api/v1/servers", tag = "servers", operation_id = "list_servers", params(Paging),
    responses((status = 200, body = Page<ServerView>)))]
pub(super) async fn list(here: State, Query(paging): Query<Paging>) -> Result<Body<Page<ServerView>>, Problem> {
    let limit = paging.limit()?;
    let kept = here.store.list::<Server>(paging.after()?.as_deref(), listed::one_more(limit)).await?;
    let kept = kept.items.into_iter().map(ServerView::from);
    listed::merge(&paging, of_files(&here), kept, |view| view.id.clone()).map(Body)
}

/// One server
#[utoipa::path(get, path = "/api/v1/servers/{id}", tag = "servers", operation_id = "get_server", params(("id" = String, Path)),
    responses((status = 200, body = ServerView)))]
pub(super) async fn get(here: State, Path(id): Path<String>) -> Result<Tagged<ServerView>, Problem> {
    if let Some(view) = of_file(&here, &id) {
        return Ok(Tagged::of_file(view));
    }
    let kept = found(here.store.get::<Server>(&id).await)?.ok_or_else(|| Problem::not_found(WHAT, &id))?;
    Ok(Tagged::ok(kept.version, kept.into()))
}

/// Make or change a server
#[utoipa::path(put, path = "/api/v1/servers/{id}", tag = "servers", operation_id = "put_server", params(("id" = String, Path)),
    request_body = ServerPut, responses((status = 200, body = ServerView), (status = 201, body = ServerView)))]
pub(super) async fn put(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    seen: Result<Seen, Problem>,
    Json(put): Json<ServerPut>,
) -> Result<Tagged<ServerView>, Problem> {
    not_of_file(&here, &id)?;
    let changing = here.changing().await;
    let there = found(here.store.get::<Server>(&id).await)?;
    let change = seen?.against(WHAT, &id, there.as_ref().map(|kept| kept.version))?;
    let mut document = Value::Object(put.document);
    mask::restore(&mut document, there.as_ref().map(|kept| &kept.value.document))?;
    let server = Server { document, policy: put.policy, enabled: put.enabled };
    here.control.check_server(&id, &server).await?;
    let kept = changing.put(&caller, ("server.create", "server.put"), &id, change, server).await?;
    Ok(Tagged::put(change, kept.version, format!("/api/v1/servers/{}", part(&id)), kept.into()))
}

/// Remove a server
#[utoipa::path(delete, path = "/api/v1/servers/{id}", tag = "servers", operation_id = "delete_server", params(("id" = String, Path)),
    responses((status = 204)))]
pub(super) async fn delete(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    seen: Result<Seen, Problem>,
) -> Result<http::StatusCode, Problem> {
    not_of_file(&here, &id)?;
    listed::delete::<Server>(&here, &caller, WHAT, "server.delete", &id, seen?, |_| Ok(())).await
}

/// How a server is doing, as this gateway sees it
#[utoipa::path(get, path = "/api/v1/servers/{id}/health", tag = "servers", operation_id = "server_health", params(("id" = String, Path)),
    responses((status = 200, body = Health)))]
pub(super) async fn health(here: State, Path(id): Path<String>) -> Result<Body<Health>, Problem> {
    if let Some(view) = here.control.servers().into_iter().find(|view| view.id == id) {
        return Ok(Body(Health { in_force: true, health: view.health }));
    }
    found(here.store.get::<Server>(&id).await)?.ok_or_else(|| Problem::not_found(WHAT, &id))?;
    Ok(Body(Health { in_force: false, health: None }))
}
