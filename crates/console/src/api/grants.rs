//! Grants: what somebody allowed beyond one call. Made from a call that waits, used up or over by themselves, and revocable.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use store::{Grant, GrantFilter};
use utoipa::{IntoParams, ToSchema};

use super::approvals::plain;
use crate::decide::{self, Verdict, Word};
use crate::extract::{Path, Query};
use crate::guard::Caller;
use crate::here::{Deed, Here, State};
use crate::page::{Page, Paging, seal};
use crate::problem::{Code, Problem};
use crate::reply::{Body, part, time};
use crate::scope::{Scope, says_nothing};
use crate::span;

const WHAT: &str = "grant";

const MOST_USES: i64 = 10_000;
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Which are wanted: all that is given must be so.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Whose
    agent: Option<String>,
    server: Option<String>,
    /// How many at most
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    cursor: Option<String>,
}

/// Whether a grant still lets anything pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantState {
    Live,
    UsedUp,
    Expired,
    Revoked,
}

/// What somebody allowed beyond one call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantView {
    id: String,
    state: GrantState,
    agent: String,
    server: String,
    method: String,
    /// The tool, prompt or resource
    subject: String,
    /// What must hold of the arguments; empty: any arguments at all
    #[schema(value_type = Vec<Object>)]
    require: Value,
    uses: i64,
    used: i64,
    /// The hash of the policy that it goes with: under another one it lets nothing pass
    policy: String,
    /// The hash of the tool's definition that it goes with, where it is known
    definition: Option<String>,
    made_by: String,
    /// The id of the call that it was made from
    approval: String,
    created: String,
    expires: String,
    revoked: Option<String>,
}

/// What is to be.
pub(super) struct NewGrant {
    pub(super) require: Vec<Box<RawValue>>,
    pub(super) uses: i64,
    pub(super) lasting: String,
    pub(super) reason: Option<String>,
}

/// A grant that there was not before.
pub(super) struct Made(GrantView);

impl IntoResponse for Made {
    fn into_response(self) -> Response {
        let location = format!("/api/v1/grants/{}", part(&self.0.id));
        let mut response = (StatusCode::CREATED, Body(self.0)).into_response();
        response.headers_mut().extend(HeaderValue::from_str(&location).ok().map(|location| (LOCATION, location)));
        response
    }
}

fn view(grant: Grant, now_ms: i64) -> GrantView {
    let state = match grant.revoked_ms {
        Some(_) => GrantState::Revoked,
        None if grant.expires_ms <= now_ms => GrantState::Expired,
        None if grant.used >= grant.max_uses => GrantState::UsedUp,
        None => GrantState::Live,
    };
    GrantView {
        id: grant.id,
        state,
        require: required(&grant.scope),
        agent: grant.agent,
        server: grant.server,
        method: grant.method,
        subject: grant.subject,
        uses: grant.max_uses,
        used: grant.used,
        policy: grant.policy,
        definition: grant.definition,
        made_by: grant.made_by,
        approval: grant.approval,
        created: time(grant.created_ms),
        expires: time(grant.expires_ms),
        revoked: grant.revoked_ms.map(time),
    }
}

/// The predicates of a scope, which is a policy with one rule.
fn required(scope: &str) -> Value {
    let scope: Value = serde_json::from_str(scope).unwrap_or_default();
    let sections = scope.as_object().into_iter().flat_map(serde_json::Map::values);
    let rule = sections.filter_map(Value::as_object).flat_map(serde_json::Map::values).next();
    let mut require = rule.and_then(|rule| rule.get("require")).cloned().unwrap_or_default();
    // What limits nothing is not shown as if it did.
    if let Value::Array(predicates) = &mut require {
        predicates.retain(|one| !says_nothing(&one.to_string()));
    }
    require
}

async fn grant(here: &Here, id: &str) -> Result<Grant, Problem> {
    let known = if decide::is_id(id) { here.store.grant(id).await? } else { None };
    known.ok_or_else(|| Problem::not_found(WHAT, id))
}

/// Grants, the newest first
#[utoipa::path(get, path = "/api/v1/grants", tag = "approvals", operation_id = "list_grants", params(Wanted),
    responses((status = 200, body = Page<GrantView>)))]
pub(super) async fn list(here: State, Query(wanted): Query<Wanted>) -> Result<Body<Page<GrantView>>, Problem> {
    let paging = Paging::new(wanted.limit, wanted.cursor);
    let (limit, after) = (u32::try_from(paging.limit()?).unwrap_or(u32::MAX), paging.after()?);
    let filter = GrantFilter { agent: plain("agent", wanted.agent)?, server: plain("server", wanted.server)? };
    let page = here.store.grants(&filter, after.as_deref(), limit).await?;
    let items = page.items.into_iter().map(|grant| view(grant, here.approvals_now())).collect();
    Ok(Body(Page { items, next: page.next.as_deref().map(seal) }))
}

/// One grant
#[utoipa::path(get, path = "/api/v1/grants/{id}", tag = "approvals", operation_id = "get_grant", params(("id" = String, Path)),
    responses((status = 200, body = GrantView)))]
pub(super) async fn get(here: State, Path(id): Path<String>) -> Result<Body<GrantView>, Problem> {
    Ok(Body(view(grant(&here, &id).await?, here.approvals_now())))
}

/// Revoke a grant, from the next call on. Whoever may approve at all may do so: it lets nothing pass
#[utoipa::path(delete, path = "/api/v1/grants/{id}", tag = "approvals", operation_id = "revoke_grant", params(("id" = String, Path)),
    responses((status = 200, body = GrantView)))]
pub(super) async fn revoke(here: State, caller: Caller, Path(id): Path<String>) -> Result<Body<GrantView>, Problem> {
    let there = grant(&here, &id).await?;
    if there.revoked_ms.is_some() {
        return Ok(Body(view(there, here.approvals_now())));
    }
    let deed = Deed { action: "grant.revoke", id: &id, from: None };
    let revoked = here.on_record(&caller, deed, here.store.revoke_grant(&id, here.approvals_now()), |_| None).await?;
    Ok(Body(view(revoked, here.approvals_now())))
}

/// From a call that waits, which is approved by it.
pub(super) async fn create(here: &Here, caller: &Caller, id: &str, new: NewGrant) -> Result<Made, Problem> {
    let NewGrant { require, uses, lasting, reason } = new;
    if !(1..=MOST_USES).contains(&uses) {
        return Err(Problem::invalid("/uses", format!("must be from 1 to {MOST_USES}")));
    }
    let now = here.approvals_now();
    let expires_ms = span::end_within("/for", &lasting, now, LONGEST)?;
    if expires_ms == now {
        return Err(Problem::invalid("/for", "is no time at all"));
    }
    let asked = decide::pending(here, caller, Deed { action: "grant.create", id, from: None }).await?.asked;
    if decide::quorum(&asked) > 1 {
        let detail = format!("{} must approve each such call: nobody can allow more of them alone", asked.quorum);
        return Err(Problem::new(Code::Quorum, detail));
    }
    let scope = Scope::read(here, &asked, &require)?;
    let grant_id = crate::secret::id().map_err(|error| Problem::internal(&error))?;
    // The call first: where somebody else says no to it meanwhile, there is no grant.
    decide::decide(here, caller, id, Word { verdict: Verdict::Approve, reason, key: None }).await?;
    let grant = Grant {
        id: grant_id.clone(),
        agent: asked.agent,
        server: asked.server,
        method: asked.method,
        subject: asked.subject,
        scope,
        definition: asked.definition,
        policy: asked.policy,
        max_uses: uses,
        used: 0,
        created_ms: now,
        expires_ms,
        revoked_ms: None,
        made_by: caller.name.to_string(),
        approval: id.to_owned(),
    };
    let deed = Deed { action: "grant.create", id: &grant_id, from: None };
    let make = async {
        let made = here.store.create_grant(&grant_id, &grant, Some(caller.version)).await;
        made.map_err(decide::changed)
    };
    let made = here.on_record(caller, deed, make, |_| None).await?;
    Ok(Made(view(made, here.approvals_now())))
}
