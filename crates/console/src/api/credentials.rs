//! What upstream servers want to see. It is written here, sealed, and never shown again.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Credential, Kept};
use utoipa::ToSchema;

use crate::etag::Seen;
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::State;
use crate::listed;
use crate::page::{Page, Paging, seal};
use crate::problem::Problem;
use crate::reply::{Body, Tagged, found, part, time};

const WHAT: &str = "credential";

/// A credential, without what makes it one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialView {
    id: String,
    server: String,
    /// Whose it is; absent for that of all agents who have none of their own
    agent: Option<String>,
    kind: String,
    /// What may be seen of it
    hint: String,
    created: String,
    updated: String,
}

/// What a credential is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialPut {
    server: String,
    agent: Option<String>,
    /// `headers` or `oauth`
    kind: String,
    /// What is sealed: the keys of `[servers.ID.headers]`, or of `[servers.ID.oauth]`
    #[schema(value_type = Object)]
    value: serde_json::Map<String, Value>,
}

impl From<Kept<Credential>> for CredentialView {
    fn from(kept: Kept<Credential>) -> Self {
        let Credential { server, agent, kind, hint, sealed: _ } = kept.value;
        Self { id: kept.id, server, agent, kind, hint, created: time(kept.created_ms), updated: time(kept.updated_ms) }
    }
}

/// All credentials, without what makes them that
#[utoipa::path(get, path = "/api/v1/credentials", tag = "credentials", operation_id = "list_credentials", params(Paging),
    responses((status = 200, body = Page<CredentialView>)))]
pub(super) async fn list(here: State, Query(paging): Query<Paging>) -> Result<Body<Page<CredentialView>>, Problem> {
    let limit = u32::try_from(paging.limit()?).unwrap_or(u32::MAX);
    let page = here.store.list::<Credential>(paging.after()?.as_deref(), limit).await?;
    let items = page.items.into_iter().map(CredentialView::from).collect();
    Ok(Body(Page { items, next: page.next.as_deref().map(seal) }))
}

/// One credential, without what makes it one
#[utoipa::path(get, path = "/api/v1/credentials/{id}", tag = "credentials", operation_id = "get_credential", params(("id" = String, Path)),
    responses((status = 200, body = CredentialView)))]
pub(super) async fn get(here: State, Path(id): Path<String>) -> Result<Tagged<CredentialView>, Problem> {
    let kept = found(here.store.get::<Credential>(&id).await)?.ok_or_else(|| Problem::not_found(WHAT, &id))?;
    Ok(Tagged::ok(kept.version, kept.into()))
}

/// Make or change a credential
#[utoipa::path(put, path = "/api/v1/credentials/{id}", tag = "credentials", operation_id = "put_credential", params(("id" = String, Path)),
    request_body = CredentialPut, responses((status = 200, body = CredentialView), (status = 201, body = CredentialView)))]
pub(super) async fn put(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    seen: Result<Seen, Problem>,
    Json(put): Json<CredentialPut>,
) -> Result<Tagged<CredentialView>, Problem> {
    super::policies::named(&id)?;
    let changing = here.changing().await;
    let there = found(here.store.get::<Credential>(&id).await)?;
    let change = seen?.against(WHAT, &id, there.as_ref().map(|kept| kept.version))?;
    let CredentialPut { server, agent, kind, value } = put;
    if let Some(Kept { value: there, .. }) = there {
        whose("/server", &id, Some(&there.server), Some(&server))?;
        whose("/agent", &id, there.agent.as_deref(), agent.as_deref())?;
    }
    let value = Value::Object(value);
    let credential = here.control.seal_credential(&server, agent.as_deref(), &kind, &value).await?;
    let kept = changing.put(&caller, ("credential.create", "credential.put"), &id, change, credential).await?;
    Ok(Tagged::put(change, kept.version, format!("/api/v1/credentials/{}", part(&id)), kept.into()))
}

/// A credential does not become another server's or another agent's.
fn whose(at: &str, id: &str, there: Option<&str>, said: Option<&str>) -> Result<(), Problem> {
    match there == said {
        true => Ok(()),
        false => {
            let there = there.map_or_else(|| "all agents".to_owned(), |there| format!("`{there}`"));
            Err(Problem::invalid(
                at,
                format!("the credential `{id}` is for {there}: remove it first, or use another id"),
            ))
        }
    }
}

/// Remove a credential
#[utoipa::path(delete, path = "/api/v1/credentials/{id}", tag = "credentials", operation_id = "delete_credential", params(("id" = String, Path)),
    responses((status = 204)))]
pub(super) async fn delete(
    here: State,
    caller: Caller,
    Path(id): Path<String>,
    seen: Result<Seen, Problem>,
) -> Result<http::StatusCode, Problem> {
    listed::delete::<Credential>(&here, &caller, WHAT, "credential.delete", &id, seen?, |_| Ok(())).await
}
