//! Who manages the gateway: names, roles, the tokens of their programs, and links that let them in once.

use serde::{Deserialize, Serialize};
use store::{Admin, AdminToken, Kept, Owner};
use utoipa::ToSchema;

use crate::etag::{Change, Seen};
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Deed, Here, State};
use crate::links;
use crate::page::{Page, Paging, seal};
use crate::problem::Problem;
use crate::reply::{Body, Tagged, found, part, time};
use crate::roles::Role;
use crate::secret::{ADMIN, Secret};
use crate::span;

const WHAT: &str = "admin";

/// Characters of a group's name.
const MAX_GROUP: usize = 128;

/// An admin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminView {
    name: String,
    role: Role,
    /// What rules that say who approves may name beside the name
    groups: Vec<String>,
    enabled: bool,
    created: String,
    updated: String,
}

/// What an admin is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminPut {
    role: Role,
    /// What rules that say who approves may name beside the name; none, when absent
    #[serde(default)]
    #[schema(max_items = 32)]
    groups: Vec<String>,
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
}

/// A token of an admin's, without what makes it one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminTokenView {
    id: String,
    admin: String,
    prefix: String,
    label: String,
    created: String,
    expires: Option<String>,
}

/// A token as it is given out. This answer is the only place where `token` is ever seen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewAdminToken {
    token: String,
    #[serde(flatten)]
    view: AdminTokenView,
}

/// What a new token is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminTokenPost {
    /// What people call it
    #[serde(default)]
    label: String,
    /// How long it is good, such as `90d`; for ever, when absent
    expires_in: Option<String>,
}

/// Nothing needs to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkPost {}

/// A link that lets somebody in once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    /// Below the address of the admin listener
    path: String,
    expires: String,
}

fn yes() -> bool {
    true
}

impl From<Kept<Admin>> for AdminView {
    fn from(kept: Kept<Admin>) -> Self {
        let (created, updated) = (time(kept.created_ms), time(kept.updated_ms));
        let Admin { role, enabled, groups } = kept.value;
        Self { name: kept.id, role: role.into(), groups, enabled, created, updated }
    }
}

impl From<Kept<AdminToken>> for AdminTokenView {
    fn from(kept: Kept<AdminToken>) -> Self {
        let AdminToken { admin, prefix, label, expires_ms, sha256: _ } = kept.value;
        Self { id: kept.id, admin, prefix, label, created: time(kept.created_ms), expires: expires_ms.map(time) }
    }
}

async fn admin(here: &Here, name: &str) -> Result<Kept<Admin>, Problem> {
    found(here.store.get::<Admin>(name).await)?.ok_or_else(|| Problem::not_found(WHAT, name))
}

/// Each once, and each a name that people can read.
fn grouped(mut groups: Vec<String>) -> Result<Vec<String>, Problem> {
    let lawful = |name: &String| {
        let length = name.chars().count();
        (1..=MAX_GROUP).contains(&length) && name.trim() == name && gateway::visible(name) == *name
    };
    if let Some(n) = groups.iter().position(|name| !lawful(name)) {
        let wanted = format!("must have 1 to {MAX_GROUP} characters, all to be seen, and no space at its ends");
        return Err(Problem::invalid(&format!("/groups/{n}"), wanted));
    }
    groups.sort_unstable();
    groups.dedup();
    match groups.len() <= Admin::MAX_GROUPS {
        true => Ok(groups),
        false => Err(Problem::invalid("/groups", format!("may have {} names", Admin::MAX_GROUPS))),
    }
}

/// All admins
#[utoipa::path(get, path = "/api/v1/admins", tag = "admins", operation_id = "list_admins", params(Paging),
    responses((status = 200, body = Page<AdminView>)))]
pub(super) async fn list(here: State, Query(paging): Query<Paging>) -> Result<Body<Page<AdminView>>, Problem> {
    let limit = u32::try_from(paging.limit()?).unwrap_or(u32::MAX);
    let page = here.store.list::<Admin>(paging.after()?.as_deref(), limit).await?;
    let items = page.items.into_iter().map(AdminView::from).collect();
    Ok(Body(Page { items, next: page.next.as_deref().map(seal) }))
}

/// One admin
#[utoipa::path(get, path = "/api/v1/admins/{name}", tag = "admins", operation_id = "get_admin", params(("name" = String, Path)),
    responses((status = 200, body = AdminView)))]
pub(super) async fn get(here: State, Path(name): Path<String>) -> Result<Tagged<AdminView>, Problem> {
    let kept = admin(&here, &name).await?;
    Ok(Tagged::ok(kept.version, kept.into()))
}

/// Make or change an admin
#[utoipa::path(put, path = "/api/v1/admins/{name}", tag = "admins", operation_id = "put_admin", params(("name" = String, Path)),
    request_body = AdminPut, responses((status = 200, body = AdminView), (status = 201, body = AdminView)))]
pub(super) async fn put(
    here: State,
    caller: Caller,
    Path(name): Path<String>,
    seen: Result<Seen, Problem>,
    Json(put): Json<AdminPut>,
) -> Result<Tagged<AdminView>, Problem> {
    super::policies::named(&name)?;
    let changing = here.changing().await;
    let there = found(here.store.get::<Admin>(&name).await)?;
    let change = seen?.against(WHAT, &name, there.map(|kept| kept.version))?;
    let new = Admin { role: put.role.into(), enabled: put.enabled, groups: grouped(put.groups)? };
    let kept = match change {
        Change::Create => changing.put(&caller, ("admin.create", "admin.put"), &name, change, new).await?,
        Change::Update(version) => {
            let deed = Deed { action: "admin.put", id: &name, from: Some(version) };
            let work = here.store.replace_admin(&name, new, Some(version));
            changing.carry_out(&caller, deed, work, |kept| Some(kept.version)).await?
        }
    };
    Ok(Tagged::put(change, kept.version, format!("/api/v1/admins/{}", part(&name)), kept.into()))
}

/// Remove an admin, with all tokens and sessions
#[utoipa::path(delete, path = "/api/v1/admins/{name}", tag = "admins", operation_id = "delete_admin", params(("name" = String, Path)),
    responses((status = 204)))]
pub(super) async fn delete(
    here: State,
    caller: Caller,
    Path(name): Path<String>,
    seen: Result<Seen, Problem>,
) -> Result<http::StatusCode, Problem> {
    let changing = here.changing().await;
    let there = here.store.version::<Admin>(&name).await?;
    let Change::Update(version) = seen?.against(WHAT, &name, there)? else {
        return Err(Problem::invalid("If-None-Match", "what is removed must be there"));
    };
    let deed = Deed { action: "admin.delete", id: &name, from: Some(version) };
    changing.carry_out(&caller, deed, here.store.delete_admin(&name, Some(version)), |_| None).await?;
    Ok(http::StatusCode::NO_CONTENT)
}

/// The tokens of an admin
#[utoipa::path(get, path = "/api/v1/admins/{name}/tokens", tag = "admins", operation_id = "list_admin_tokens",
    params(("name" = String, Path), Paging), responses((status = 200, body = Page<AdminTokenView>)))]
pub(super) async fn tokens(
    here: State,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Body<Page<AdminTokenView>>, Problem> {
    let limit = u32::try_from(paging.limit()?).unwrap_or(u32::MAX);
    let after = paging.after()?;
    admin(&here, &name).await?;
    let page = here.store.list_of::<AdminToken>(Owner::Admin(&name), after.as_deref(), limit).await?;
    let items = page.items.into_iter().map(AdminTokenView::from).collect();
    Ok(Body(Page { items, next: page.next.as_deref().map(seal) }))
}

/// Give an admin a token, for programs
#[utoipa::path(post, path = "/api/v1/admins/{name}/tokens", tag = "admins", operation_id = "create_admin_token",
    params(("name" = String, Path)), request_body = AdminTokenPost, responses((status = 201, body = NewAdminToken)))]
pub(super) async fn create_token(
    here: State,
    caller: Caller,
    Path(name): Path<String>,
    Json(post): Json<AdminTokenPost>,
) -> Result<Tagged<NewAdminToken>, Problem> {
    give(&here, &caller, name, post).await
}

/// Make a token of one's own, for programs: it may do what one may do oneself
#[utoipa::path(post, path = "/api/v1/me/tokens", tag = "login", operation_id = "create_own_token",
    request_body = AdminTokenPost, responses((status = 201, body = NewAdminToken)))]
pub(super) async fn create_own_token(
    here: State,
    caller: Caller,
    Json(post): Json<AdminTokenPost>,
) -> Result<Tagged<NewAdminToken>, Problem> {
    let name = caller.name.to_string();
    give(&here, &caller, name, post).await
}

async fn give(
    here: &Here,
    caller: &Caller,
    name: String,
    post: AdminTokenPost,
) -> Result<Tagged<NewAdminToken>, Problem> {
    let changing = here.changing().await;
    admin(here, &name).await?;
    let expires_ms = span::end("/expires_in", post.expires_in.as_deref(), here.now())?;
    let secret = Secret::new(ADMIN)?;
    let id = crate::secret::id().map_err(|error| Problem::internal(&error))?;
    let (prefix, sha256) = (secret.shown(ADMIN), secret.hash());
    let token = AdminToken { admin: name.clone(), prefix, sha256, label: post.label, expires_ms };
    let deed = Deed { action: "admin_token.create", id: &format!("{name}/{id}"), from: None };
    let kept = changing.carry_out(caller, deed, here.store.create(&id, token), |kept| Some(kept.version)).await?;
    let location = format!("/api/v1/admins/{}/tokens/{}", part(&name), part(&id));
    let version = kept.version;
    Ok(Tagged::created(version, location, NewAdminToken { token: secret.expose().to_owned(), view: kept.into() }))
}

/// Revoke a token of an admin, from the next request on
#[utoipa::path(delete, path = "/api/v1/admins/{name}/tokens/{token}", tag = "admins", operation_id = "delete_admin_token",
    params(("name" = String, Path), ("token" = String, Path)), responses((status = 204)))]
pub(super) async fn delete_token(
    here: State,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
) -> Result<http::StatusCode, Problem> {
    let changing = here.changing().await;
    let kept = found(here.store.get::<AdminToken>(&id).await)?.filter(|kept| kept.value.admin == name);
    let kept = kept.ok_or_else(|| Problem::not_found("token", &id))?;
    let deed = Deed { action: "admin_token.delete", id: &format!("{name}/{id}"), from: Some(kept.version) };
    let work = here.store.delete::<AdminToken>(&id, Some(kept.version));
    changing.carry_out(&caller, deed, work, |_| None).await?;
    Ok(http::StatusCode::NO_CONTENT)
}

/// A link that lets an admin in once
#[utoipa::path(post, path = "/api/v1/admins/{name}/links", tag = "admins", operation_id = "create_link",
    params(("name" = String, Path)), request_body = LinkPost, responses((status = 201, body = Link)))]
pub(super) async fn create_link(
    here: State,
    caller: Caller,
    Path(name): Path<String>,
    Json(LinkPost {}): Json<LinkPost>,
) -> Result<(http::StatusCode, Body<Link>), Problem> {
    let changing = here.changing().await;
    admin(&here, &name).await?;
    let secret = links::secret()?;
    let deed = Deed { action: "login_link.create", id: &name, from: None };
    let work = links::make(&here, &secret, &name);
    let expires = changing.carry_out(&caller, deed, work, |_| None).await?;
    Ok((http::StatusCode::CREATED, Body(Link { path: links::path(&secret), expires: time(expires) })))
}
