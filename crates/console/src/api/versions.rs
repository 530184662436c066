//! The versions of a policy. They never change; which of them is active does.

use serde::{Deserialize, Serialize};
use store::PolicyVersion;
use utoipa::ToSchema;

use super::policies::{PolicyView, WHAT, draft, named, not_of_file, usable, view};
use crate::etag::{Change, Seen};
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Deed, State};
use crate::page::{Page, Paging, seal};
use crate::problem::{Code, Problem};
use crate::reply::{Body, Tagged, found, part, time};

/// A version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    policy: String,
    number: i64,
    hash: String,
    note: String,
    author: String,
    created: String,
    /// The document; absent in lists
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Absent in lists
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<String>,
}

/// A version to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionPost {
    /// The policy document
    text: String,
    /// The catalogue that it is read with
    catalogue: Option<String>,
    /// Why
    #[serde(default)]
    note: String,
    /// Is it to judge calls at once?
    #[serde(default)]
    #[schema(default = false)]
    activate: bool,
}

/// Which version is to judge calls.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Activate {
    #[schema(minimum = 1)]
    version: i64,
}

impl VersionView {
    fn brief(version: PolicyVersion) -> Self {
        let PolicyVersion { name, number, hash, note, author, created_ms, text: _, catalogue: _ } = version;
        Self { policy: name, number, hash, note, author, created: time(created_ms), text: None, catalogue: None }
    }

    fn whole(version: PolicyVersion) -> Self {
        let (text, catalogue) = (Some(version.text.clone()), version.catalogue.clone());
        Self { text, catalogue, ..Self::brief(version) }
    }
}

/// The versions of a policy, the newest first
#[utoipa::path(get, path = "/api/v1/policies/{name}/versions", tag = "policies", operation_id = "list_versions",
    params(("name" = String, Path), Paging), responses((status = 200, body = Page<VersionView>)))]
pub(super) async fn list(
    here: State,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Body<Page<VersionView>>, Problem> {
    let limit = u32::try_from(paging.limit()?).unwrap_or(u32::MAX);
    let before = paging.after()?.map(|number| number.parse::<i64>()).transpose();
    let before = before.map_err(|_| Problem::invalid("cursor", "is not one that was given out"))?;
    let page = here.store.policy_versions(&name, before, limit).await?;
    let items = page.items.into_iter().map(VersionView::brief).collect();
    Ok(Body(Page { items, next: page.next.as_deref().map(seal) }))
}

/// One version, with its text
#[utoipa::path(get, path = "/api/v1/policies/{name}/versions/{number}", tag = "policies", operation_id = "get_version",
    params(("name" = String, Path), ("number" = i64, Path, minimum = 1)), responses((status = 200, body = VersionView)))]
pub(super) async fn get(
    here: State,
    Path((name, number)): Path<(String, String)>,
) -> Result<Tagged<VersionView>, Problem> {
    let missing = || Problem::not_found("version", &number);
    let version = here.store.policy_version(&name, number.parse().map_err(|_| missing())?).await?;
    Ok(Tagged::ok(version.number, VersionView::whole(version)))
}

/// Give a policy a new version; the first one makes the policy
#[utoipa::path(post, path = "/api/v1/policies/{name}/versions", tag = "policies", operation_id = "create_version",
    params(("name" = String, Path)), request_body = VersionPost, responses((status = 201, body = VersionView)))]
pub(super) async fn create(
    here: State,
    caller: Caller,
    Path(name): Path<String>,
    Json(post): Json<VersionPost>,
) -> Result<Tagged<VersionView>, Problem> {
    named(&name)?;
    not_of_file(&here, &name)?;
    let changing = here.changing().await;
    let policy = usable(&here, &name, &post.text, post.catalogue.as_deref())?;
    let draft = draft(&caller, &policy, post.text, post.catalogue, post.note);
    let from = found(here.store.policy(&name).await)?.map(|kept| kept.version);
    let action = if post.activate { "policy.put" } else { "policy.version" };
    let work = here.store.add_policy_version(&name, &draft, post.activate, Some(from.unwrap_or(0)));
    let kept = changing.carry_out(&caller, Deed { action, id: &name, from }, work, |kept| Some(kept.version)).await?;
    let version = here.store.policy_version(&name, kept.value.latest).await?;
    let location = format!("/api/v1/policies/{}/versions/{}", part(&name), version.number);
    Ok(Tagged::created(version.number, location, VersionView::whole(version)))
}

/// Have another version judge calls, be it newer or older
#[utoipa::path(post, path = "/api/v1/policies/{name}/activate", tag = "policies", operation_id = "activate_version",
    params(("name" = String, Path)), request_body = Activate, responses((status = 200, body = PolicyView)))]
pub(super) async fn activate(
    here: State,
    caller: Caller,
    Path(name): Path<String>,
    seen: Result<Seen, Problem>,
    Json(Activate { version: number }): Json<Activate>,
) -> Result<Tagged<PolicyView>, Problem> {
    not_of_file(&here, &name)?;
    let changing = here.changing().await;
    let there = found(here.store.policy(&name).await)?;
    let Change::Update(seen) = seen?.against(WHAT, &name, there.map(|kept| kept.version))? else {
        return Err(Problem::invalid("If-None-Match", "what is activated must be there"));
    };
    let missing = |_| Problem::new(Code::Invalid, format!("`{name}` has no version {number}"));
    let version = match here.store.policy_version(&name, number).await {
        Err(store::StoreError::NotFound { .. }) => return Err(missing(())),
        read => read?,
    };
    // An old version may be one that this gateway no longer takes.
    usable(&here, &name, &version.text, version.catalogue.as_deref())?;
    let deed = Deed { action: "policy.activate", id: &format!("{name}/{number}"), from: Some(seen) };
    let work = here.store.activate_policy(&name, number, Some(seen));
    let kept = changing.carry_out(&caller, deed, work, |kept| Some(kept.version)).await?;
    Ok(Tagged::ok(kept.version, view(&here, kept)))
}
