//! The tokens of agents: given out once, known by their hash, replaced with an overlap, revoked from the next request on.

use serde::{Deserialize, Serialize};
use store::{Agent, Kept, Owner, Token};
use utoipa::ToSchema;

use crate::etag::{Change, Seen};
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Deed, Here, State};
use crate::page::{Page, Paging, seal};
use crate::problem::{Code, Problem};
use crate::reply::{Body, Tagged, found, part, time};
use crate::secret::{AGENT, Secret};
use crate::span;

const WHAT: &str = "token";

/// A token, without what makes it one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenView {
    id: String,
    agent: String,
    /// Its visible beginning
    prefix: String,
    label: String,
    created: String,
    expires: Option<String>,
    revoked: Option<String>,
    /// The token that takes its place
    replaced_by: Option<String>,
}

/// A token as it is given out. This answer is the only place where `token` is ever seen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewTokenView {
    token: String,
    #[serde(flatten)]
    view: TokenView,
}

/// What a new token is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenPost {
    /// What people call it
    #[serde(default)]
    label: String,
    /// How long it is good, such as `90d`; for ever, when absent
    expires_in: Option<String>,
}

/// How a token is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    /// How long the old one is still good, such as `1h` or `0s`; at most 30 days
    #[schema(example = "1h")]
    overlap: String,
    /// How long the new one is good, such as `90d`, or `never` for ever; as long as the old one was at first, when absent
    expires_in: Option<String>,
}

impl From<Kept<Token>> for TokenView {
    fn from(kept: Kept<Token>) -> Self {
        let Token { agent, prefix, label, expires_ms, revoked_ms, replaced_by, sha256: _ } = kept.value;
        let (created, expires, revoked) = (time(kept.created_ms), expires_ms.map(time), revoked_ms.map(time));
        Self { id: kept.id, agent, prefix, label, created, expires, revoked, replaced_by }
    }
}

/// An agent of the store's; the tokens of another one are not managed here.
async fn of_store(here: &Here, agent: &str) -> Result<(), Problem> {
    found(here.store.get::<Agent>(agent).await)?.map(drop).ok_or_else(|| Problem::not_found("agent", agent))
}

async fn token(here: &Here, agent: &str, id: &str) -> Result<Kept<Token>, Problem> {
    let kept = found(here.store.get::<Token>(id).await)?.filter(|kept| kept.value.agent == agent);
    kept.ok_or_else(|| Problem::not_found(WHAT, id))
}

/// A new token with the id that it is kept under: its id is not a part of the secret.
fn fresh(agent: &str, label: String, expires_ms: Option<i64>) -> Result<(Secret, String, Token), Problem> {
    let new = Secret::new(AGENT)?;
    let id: String = crate::secret::id().map_err(|error| Problem::internal(&error))?;
    let token = Token {
        agent: agent.to_owned(),
        prefix: new.shown(AGENT),
        sha256: new.hash(),
        label,
        expires_ms,
        revoked_ms: None,
        replaced_by: None,
    };
    Ok((new, id, token))
}

fn given_out(new: &Secret, kept: Kept<Token>) -> Tagged<NewTokenView> {
    let location = format!("/api/v1/agents/{}/tokens/{}", part(&kept.value.agent), part(&kept.id));
    let version = kept.version;
    Tagged::created(version, location, NewTokenView { token: new.expose().to_owned(), view: kept.into() })
}

/// The tokens of an agent
#[utoipa::path(get, path = "/api/v1/agents/{id}/tokens", tag = "agents", operation_id = "list_tokens", params(("id" = String, Path), Paging),
    responses((status = 200, body = Page<TokenView>)))]
pub(super) async fn list(
    here: State,
    Path(agent): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Body<Page<TokenView>>, Problem> {
    let (limit, after) = (paging.limit()?, paging.after()?);
    of_store(&here, &agent).await?;
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let page = here.store.list_of::<Token>(Owner::Agent(&agent), after.as_deref(), limit).await?;
    let items = page.items.into_iter().map(TokenView::from).collect();
    Ok(Body(Page { items, next: page.next.as_deref().map(seal) }))
}

/// One token of an agent, without what makes it one
#[utoipa::path(get, path = "/api/v1/agents/{id}/tokens/{token}", tag = "agents", operation_id = "get_token",
    params(("id" = String, Path), ("token" = String, Path)), responses((status = 200, body = TokenView)))]
pub(super) async fn get(here: State, Path((agent, id)): Path<(String, String)>) -> Result<Tagged<TokenView>, Problem> {
    let kept = token(&here, &agent, &id).await?;
    Ok(Tagged::ok(kept.version, kept.into()))
}

/// Give an agent a token
#[utoipa::path(post, path = "/api/v1/agents/{id}/tokens", tag = "agents", operation_id = "create_token", params(("id" = String, Path)),
    request_body = TokenPost, responses((status = 201, body = NewTokenView)))]
pub(super) async fn create(
    here: State,
    caller: Caller,
    Path(agent): Path<String>,
    Json(post): Json<TokenPost>,
) -> Result<Tagged<NewTokenView>, Problem> {
    super::agents::not_of_file(&here, &agent)?;
    let changing = here.changing().await;
    of_store(&here, &agent).await?;
    let expires = span::end("/expires_in", post.expires_in.as_deref(), here.now())?;
    let (new, id, token) = fresh(&agent, post.label, expires)?;
    let deed = Deed { action: "token.create", id: &format!("{agent}/{id}"), from: None };
    let kept = changing.carry_out(&caller, deed, here.store.create(&id, token), |kept| Some(kept.version)).await?;
    Ok(given_out(&new, kept))
}

/// Replace a token: the old one is good for a while longer
#[utoipa::path(post, path = "/api/v1/agents/{id}/tokens/{token}/rotate", tag = "agents", operation_id = "rotate_token",
    params(("id" = String, Path), ("token" = String, Path)), request_body = Rotate, responses((status = 201, body = NewTokenView)))]
pub(super) async fn rotate(
    here: State,
    caller: Caller,
    Path((agent, id)): Path<(String, String)>,
    Json(rotate): Json<Rotate>,
) -> Result<Tagged<NewTokenView>, Problem> {
    let changing = here.changing().await;
    let old = token(&here, &agent, &id).await?;
    if old.value.revoked_ms.is_some() {
        return Err(Problem::new(Code::InUse, format!("the token `{id}` is revoked: give the agent a new one")));
    }
    if old.value.expires_ms.is_some_and(|end| end <= here.now()) {
        return Err(Problem::new(Code::InUse, format!("the token `{id}` has expired: give the agent a new one")));
    }
    let until = span::end_within("/overlap", &rotate.overlap, here.now(), span::MOST_OVERLAP)?;
    let expires = match rotate.expires_in.as_deref() {
        Some("never") => None,
        Some(span) => span::end("/expires_in", Some(span), here.now())?,
        // INVARIANT: nothing is good for longer because nobody thought of it
        None => old.value.expires_ms.map(|end| here.now().saturating_add(end.saturating_sub(old.created_ms))),
    };
    let (new, new_id, token) = fresh(&agent, old.value.label.clone(), expires)?;
    let deed = Deed { action: "token.rotate", id: &format!("{agent}/{id}"), from: Some(old.version) };
    let work = here.store.rotate_token(&id, &new_id, token, until, Some(old.version));
    let kept = changing.carry_out(&caller, deed, work, |kept| Some(kept.version)).await?;
    Ok(given_out(&new, kept))
}

/// Revoke a token, from the next request on
#[utoipa::path(delete, path = "/api/v1/agents/{id}/tokens/{token}", tag = "agents", operation_id = "revoke_token",
    params(("id" = String, Path), ("token" = String, Path)), responses((status = 200, body = TokenView)))]
pub(super) async fn revoke(
    here: State,
    caller: Caller,
    Path((agent, id)): Path<(String, String)>,
    seen: Result<Seen, Problem>,
) -> Result<Tagged<TokenView>, Problem> {
    let changing = here.changing().await;
    let there = found(here.store.get::<Token>(&id).await)?.filter(|kept| kept.value.agent == agent);
    let Change::Update(version) = seen?.against(WHAT, &id, there.map(|kept| kept.version))? else {
        return Err(Problem::invalid("If-None-Match", "what is revoked must be there"));
    };
    let deed = Deed { action: "token.revoke", id: &format!("{agent}/{id}"), from: Some(version) };
    let work = here.store.revoke_token(&id, here.now(), Some(version));
    let kept = changing.carry_out(&caller, deed, work, |kept| Some(kept.version)).await?;
    Ok(Tagged::ok(kept.version, kept.into()))
}
