//! Settings that are changed while the gateway runs: a key, and any JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Kept, Setting};
use utoipa::ToSchema;

use crate::etag::{Change, Seen};
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Deed, State};
use crate::listed;
use crate::page::{Page, Paging, seal};
use crate::problem::Problem;
use crate::reply::{Body, Tagged, found, part, time};

const WHAT: &str = "setting";

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingView {
    key: String,
    #[schema(value_type = Value)]
    value: Value,
    created: String,
    updated: String,
}

/// What a setting is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingPut {
    #[schema(value_type = Value)]
    value: Value,
}

impl From<Kept<Setting>> for SettingView {
    fn from(kept: Kept<Setting>) -> Self {
        let (created, updated) = (time(kept.created_ms), time(kept.updated_ms));
        Self { key: kept.id, value: kept.value.0, created, updated }
    }
}

/// All settings
#[utoipa::path(get, path = "/api/v1/settings", tag = "settings", operation_id = "list_settings", params(Paging),
    responses((status = 200, body = Page<SettingView>)))]
pub(super) async fn list(here: State, Query(paging): Query<Paging>) -> Result<Body<Page<SettingView>>, Problem> {
    let limit = u32::try_from(paging.limit()?).unwrap_or(u32::MAX);
    let page = here.store.list::<Setting>(paging.after()?.as_deref(), limit).await?;
    let items = page.items.into_iter().map(SettingView::from).collect();
    Ok(Body(Page { items, next: page.next.as_deref().map(seal) }))
}

/// One setting
#[utoipa::path(get, path = "/api/v1/settings/{key}", tag = "settings", operation_id = "get_setting", params(("key" = String, Path)),
    responses((status = 200, body = SettingView)))]
pub(super) async fn get(here: State, Path(key): Path<String>) -> Result<Tagged<SettingView>, Problem> {
    let kept = found(here.store.get::<Setting>(&key).await)?.ok_or_else(|| Problem::not_found(WHAT, &key))?;
    Ok(Tagged::ok(kept.version, kept.into()))
}

/// Make or change a setting
#[utoipa::path(put, path = "/api/v1/settings/{key}", tag = "settings", operation_id = "put_setting", params(("key" = String, Path)),
    request_body = SettingPut, responses((status = 200, body = SettingView), (status = 201, body = SettingView)))]
pub(super) async fn put(
    here: State,
    caller: Caller,
    Path(key): Path<String>,
    seen: Result<Seen, Problem>,
    Json(put): Json<SettingPut>,
) -> Result<Tagged<SettingView>, Problem> {
    super::policies::named(&key)?;
    let changing = here.changing().await;
    let there = found(here.store.get::<Setting>(&key).await)?;
    let change = seen?.against(WHAT, &key, there.map(|kept| kept.version))?;
    let setting = Setting(put.value);
    let kept = match change {
        Change::Create => {
            let deed = Deed { action: "setting.create", id: &key, from: None };
            changing.carry_out(&caller, deed, here.store.create(&key, setting), |kept| Some(kept.version)).await?
        }
        Change::Update(version) => {
            let deed = Deed { action: "setting.put", id: &key, from: Some(version) };
            let work = here.store.replace(&key, setting, Some(version));
            changing.carry_out(&caller, deed, work, |kept| Some(kept.version)).await?
        }
    };
    Ok(Tagged::put(change, kept.version, format!("/api/v1/settings/{}", part(&key)), kept.into()))
}

/// Remove a setting
#[utoipa::path(delete, path = "/api/v1/settings/{key}", tag = "settings", operation_id = "delete_setting", params(("key" = String, Path)),
    responses((status = 204)))]
pub(super) async fn delete(
    here: State,
    caller: Caller,
    Path(key): Path<String>,
    seen: Result<Seen, Problem>,
) -> Result<http::StatusCode, Problem> {
    listed::delete::<Setting>(&here, &caller, WHAT, "setting.delete", &key, seen?, |_| Ok(())).await
}
