//! Settings that may change while the gateway runs: what files say of them, what the store says, and what they are by default.

use axum::response::{IntoResponse as _, Response};
use gateway::config::NotAdjustable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Kept, Setting};
use utoipa::ToSchema;

use crate::etag::Seen;
use crate::extract::{Json, Path, Query};
use crate::guard::Caller;
use crate::here::{Here, State};
use crate::listed;
use crate::page::{Page, Paging};
use crate::problem::Problem;
use crate::reply::{Body, Tagged, found, part, path_of, time};

const WHAT: &str = "setting";

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingView {
    /// As in `toolgate.toml`
    key: String,
    /// As it is written there
    #[schema(value_type = Value)]
    value: Value,
    managed: Said,
    /// What is kept of it here, where a file says otherwise
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    kept: Option<Value>,
    /// Is it what this gateway goes by? What it has no use for is kept all the same
    in_force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
}

/// Who says what a setting is.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
pub(crate) enum Said {
    /// A file, a variable or a flag, and it is changed there
    File { path: String },
    /// It is in the store, and is changed here
    Api,
    /// Nobody
    Default,
}

/// What a setting is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingPut {
    /// As it is written in `toolgate.toml`
    #[schema(value_type = Value)]
    value: Value,
}

impl SettingView {
    fn kept(here: &Here, kept: Kept<Setting>) -> Self {
        Self {
            in_force: here.control.check_setting(&kept.id, &kept.value.0).is_ok(),
            key: kept.id,
            value: kept.value.0,
            managed: Said::Api,
            kept: None,
            created: Some(time(kept.created_ms)),
            updated: Some(time(kept.updated_ms)),
        }
    }
}

/// Those that there always are, as they are without the store.
fn without_store(here: &Here) -> impl Iterator<Item = SettingView> {
    here.control.settings().into_iter().map(|setting| {
        let by_file = |place: String| Said::File { path: path_of(&place).to_owned() };
        SettingView {
            key: setting.key.to_owned(),
            value: setting.value,
            managed: setting.place.map_or(Said::Default, by_file),
            kept: None,
            in_force: true,
            created: None,
            updated: None,
        }
    })
}

/// What a file says is not changed here, and what the gateway would make nothing of is not kept.
fn may_be(here: &Here, key: &str, value: &Value) -> Result<(), Problem> {
    here.control.check_setting(key, value).map_err(|why| match &why {
        NotAdjustable::Said(place) => Problem::managed_by_file(WHAT, key, path_of(place)),
        NotAdjustable::Unknown => Problem::invalid("key", format!("`{key}` {why}")),
        NotAdjustable::Invalid(_) => Problem::invalid("/value", why.to_string()),
    })
}

/// All settings that may change while the gateway runs
#[utoipa::path(get, path = "/api/v1/settings", tag = "settings", operation_id = "list_settings", params(Paging),
    responses((status = 200, body = Page<SettingView>)))]
pub(super) async fn list(here: State, Query(paging): Query<Paging>) -> Result<Body<Page<SettingView>>, Problem> {
    let after = paging.after()?;
    let kept = here.store.list::<Setting>(after.as_deref(), listed::one_more(paging.limit()?)).await?;
    let kept: Vec<_> = kept.items.into_iter().map(|kept| SettingView::kept(&here, kept)).collect();
    // What a file says goes before what is kept, and that before what nobody says.
    let others = without_store(&here).filter_map(|view| match kept.iter().find(|kept| kept.key == view.key) {
        None => Some(view),
        Some(_) if view.managed == Said::Default => None,
        Some(kept) => Some(SettingView { kept: Some(kept.value.clone()), ..view }),
    });
    let others = others.collect();
    listed::merge(&paging, others, kept.into_iter(), |view| view.key.clone()).map(Body)
}

/// One setting
#[utoipa::path(get, path = "/api/v1/settings/{key}", tag = "settings", operation_id = "get_setting", params(("key" = String, Path)),
    responses((status = 200, body = SettingView)))]
pub(super) async fn get(here: State, Path(key): Path<String>) -> Result<Response, Problem> {
    let plain = without_store(&here).find(|view| view.key == key);
    let kept = found(here.store.get::<Setting>(&key).await)?;
    match (plain, kept) {
        (Some(view), kept) if view.managed != Said::Default => {
            let view = SettingView { kept: kept.map(|kept| kept.value.0), ..view };
            Ok(Tagged::of_file(view).into_response())
        }
        (_, Some(kept)) => Ok(Tagged::ok(kept.version, SettingView::kept(&here, kept)).into_response()),
        // There is none yet that a PUT could be of: it has no tag.
        (Some(view), None) => Ok(Body(view).into_response()),
        (None, None) => Err(Problem::not_found(WHAT, &key)),
    }
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
    may_be(&here, &key, &put.value)?;
    let changing = here.changing().await;
    let there = found(here.store.get::<Setting>(&key).await)?;
    let change = seen?.against(WHAT, &key, there.map(|kept| kept.version))?;
    let kept = changing.put(&caller, ("setting.create", "setting.put"), &key, change, Setting(put.value)).await?;
    let location = format!("/api/v1/settings/{}", part(&key));
    Ok(Tagged::put(change, kept.version, location, SettingView::kept(&here, kept)))
}

/// Remove what is kept of a setting: it is what a file says again, or what it is by default
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
