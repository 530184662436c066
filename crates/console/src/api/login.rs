//! Signing in with a one-time token, and out.

use data_encoding::HEXLOWER;
use gateway::Act;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use store::{Admin, Kept, Session, StoreError};
use utoipa::ToSchema;

use crate::extract::Json;
use crate::guard::{By, Caller, Peer, SESSION_IDLE_MS, SESSION_MOST_MS, cookie_name, same_origin, session_id};
use crate::here::{Deed, Here, State};
use crate::links::{self, FIRST};
use crate::problem::Problem;
use crate::reply::{Body, found};
use crate::roles::Role;
use crate::secret::{self, Secret};

/// What a login link holds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// What stands behind the `#` of a login link
    token: String,
}

/// Who is signed in. The session itself is in the cookie.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignedIn {
    name: String,
    role: Role,
    /// What every request of the session that is not a GET sends as `X-CSRF-Token`
    csrf: String,
}

/// Sign in, once, with what a login link holds
#[utoipa::path(post, path = "/api/v1/login", tag = "login", operation_id = "login", request_body = Login,
    responses((status = 200, body = SignedIn)))]
pub(super) async fn login(
    here: State,
    peer: Peer,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<([(HeaderName, String); 1], Body<SignedIn>), Problem> {
    let changing = here.changing().await;
    same_origin(&headers, false)?;
    if let Some(seconds) = here.throttle.wait(peer.0, here.now()) {
        return Err(Problem::too_many_failures(seconds));
    }
    let address = peer.0.to_string();
    let act = Act { via: "link", peer: &address, action: "login", ..Act::default() };
    here.record(Act { outcome: "begun", ..act }).await?;
    let admin = match links::take(&here, &login.token).await? {
        Some(name) => admitted(&here, &name).await?,
        None => None,
    };
    let Some(admin) = admin else { return Err(here.refused(peer, "login").await) };
    here.record(Act { admin: Some(&admin.id), outcome: "done", ..act }).await?;
    drop(changing);
    // Whatever the browser had is over: nobody can have slipped it a session that is somebody's now.
    if let Ok(Some(old)) = session_id(&headers, here.secure) {
        here.store.close_session(&secret::hash(old)).await?;
    }
    let id = Secret::new("")?;
    let now = here.now();
    let csrf = secret::csrf(id.expose());
    // What is kept of the CSRF token is its hash, so that who reads the store cannot show it.
    let kept = HEXLOWER.encode(&secret::hash(&csrf));
    let session = Session { admin: admin.id.clone(), csrf: kept, expires_ms: now.saturating_add(SESSION_IDLE_MS) };
    here.store.open_session(&id.hash(), &session, now).await?;
    let cookie = cookie(here.secure, id.expose(), SESSION_MOST_MS / 1_000);
    Ok(([(SET_COOKIE, cookie)], Body(SignedIn { name: admin.id, role: admin.value.role.into(), csrf })))
}

/// Whom a link lets in. The first admin of all is made by it.
async fn admitted(here: &Here, name: &str) -> Result<Option<Kept<Admin>>, Problem> {
    match found(here.store.get::<Admin>(name).await)? {
        Some(admin) => Ok(Some(admin).filter(|admin| admin.value.enabled)),
        None if name == FIRST && here.store.count::<Admin>().await? == 0 => {
            let first = Admin { role: store::Role::Admin, enabled: true, groups: Vec::new() };
            match here.store.create_first_admin(FIRST, first).await {
                Ok(admin) => Ok(Some(admin)),
                // Somebody was faster, with another link.
                Err(StoreError::Exists { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        }
        None => Ok(None),
    }
}

/// Sign out
#[utoipa::path(post, path = "/api/v1/logout", tag = "login", operation_id = "logout", responses((status = 204)))]
pub(super) async fn logout(here: State, caller: Caller) -> Result<(StatusCode, [(HeaderName, String); 1]), Problem> {
    if let By::Session(_) = caller.by {
        let deed = Deed { action: "logout", id: &caller.name, from: None };
        here.record(Act { outcome: "done", ..caller.act(deed) }).await?;
        here.store.close_session(&caller.shown.hash()).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(here.secure, "", 0))]))
}

fn cookie(secure: bool, id: &str, seconds: i64) -> String {
    let only = if secure { "; Secure" } else { "" };
    format!("{}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{only}", cookie_name(secure))
}

#[cfg(test)]
mod tests {
    use super::cookie;

    #[test]
    fn behind_tls_no_other_host_can_set_the_cookie_and_no_wire_can_show_it() {
        let cookie = |secure| cookie(secure, "id", 60);
        assert_eq!(cookie(true), "__Host-toolgate_session=id; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
        assert_eq!(cookie(false), "toolgate_session=id; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
    }
}
