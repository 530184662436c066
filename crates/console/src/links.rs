//! Links that let somebody in once. The secret stands behind the `#`: browsers do not send that, so opening a link uses up nothing and
//! leaves nothing in logs.

use store::StoreError;

use crate::here::Here;
use crate::problem::Problem;
use crate::secret::{self, Secret};

const PREFIX: &str = "tgl_";

/// How long a link is good.
pub(crate) const GOOD_MS: i64 = 15 * 60 * 1_000;

/// Who the first admin is.
pub(crate) const FIRST: &str = "admin";

pub(crate) fn secret() -> Result<Secret, Problem> {
    Secret::new(PREFIX)
}

/// Until when it is good.
pub(crate) async fn make(here: &Here, secret: &Secret, admin: &str) -> Result<i64, StoreError> {
    let now = here.now();
    let expires = now.saturating_add(GOOD_MS);
    here.store.make_login_link(&secret.hash(), admin, expires, now).await?;
    Ok(expires)
}

pub(crate) fn path(secret: &Secret) -> String {
    format!("/login#{}", secret.expose())
}

/// Whom it lets in. Of any number who ask at once, one is told.
pub(crate) async fn take(here: &Here, shown: &str) -> Result<Option<String>, Problem> {
    if !secret::is_shaped(shown, PREFIX) {
        return Ok(None);
    }
    Ok(here.store.use_login_link(&secret::hash(shown), here.now()).await?)
}
