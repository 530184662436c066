//! Who asks.

use serde::Serialize;
use utoipa::ToSchema;

use crate::guard::{By, Caller};
use crate::reply::Body;
use crate::roles::Role;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    name: String,
    role: Role,
    /// What rules that say who approves may name beside the name
    groups: Vec<String>,
    /// `token` or `session`
    by: &'static str,
    /// Of a session: what every request that is not a GET sends as `X-CSRF-Token`
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
}

/// Who asks
#[utoipa::path(get, path = "/api/v1/me", tag = "login", operation_id = "me", responses((status = 200, body = Me)))]
pub(super) async fn me(caller: Caller) -> Body<Me> {
    let (by, csrf) = match &caller.by {
        By::Token => ("token", None),
        By::Session(csrf) => ("session", Some(csrf.to_string())),
        By::Link => ("link", None),
    };
    Body(Me { name: caller.name.to_string(), role: caller.role, groups: caller.groups.to_vec(), by, csrf })
}
