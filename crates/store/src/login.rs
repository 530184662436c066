//! Links that let somebody in once. Whoever takes one has it: it is deleted in the same step that reads it.

use crate::limits::{self, MAX_LOGIN_LINKS};
use crate::sql::args;
use crate::{Store, StoreError, hex};

impl Store {
    /// `sha256` is of the link's secret, which is not kept.
    pub async fn make_login_link(
        &self,
        sha256: &[u8; 32],
        admin: &str,
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        limits::id("the admin's name", admin)?;
        let hash = hex::write(sha256);
        self.within("make a login link", async {
            let mut tx = self.write().await?;
            tx.run("DELETE FROM tg_login_links WHERE expires_ms <= $1", args![now_ms]).await?;
            let row = tx.row("SELECT COUNT(*) AS count FROM tg_login_links", args![]).await?;
            if row.map_or(Ok(0), |row| row.get::<i64>("count"))? >= MAX_LOGIN_LINKS {
                return Err(StoreError::Full { what: "login links", max: MAX_LOGIN_LINKS });
            }
            let sql = "INSERT INTO tg_login_links (hash, admin, expires_ms) VALUES ($1, $2, $3)";
            tx.run(sql, args![&hash, admin, expires_ms]).await?;
            tx.commit().await
        })
        .await
    }

    /// Whom the link lets in. Of any number who ask at once, on any node, one is told.
    pub async fn use_login_link(&self, sha256: &[u8; 32], now_ms: i64) -> Result<Option<String>, StoreError> {
        let hash = hex::write(sha256);
        self.within("use a login link", async {
            let mut tx = self.write().await?;
            let row =
                tx.row("DELETE FROM tg_login_links WHERE hash = $1 RETURNING admin, expires_ms", args![&hash]).await?;
            tx.commit().await?;
            let Some(row) = row else { return Ok(None) };
            let expires_ms: i64 = row.get("expires_ms")?;
            let admin: String = row.get("admin")?;
            Ok(Some(admin).filter(|_| expires_ms > now_ms))
        })
        .await
    }
}
