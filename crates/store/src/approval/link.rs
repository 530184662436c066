//! One-time links to decide by: each for one approval and one admin.

use super::locked;
use crate::limits::{self, MAX_LINKS_OF_APPROVAL};
use crate::sql::{Row, args};
use crate::{Store, StoreError, hex};

impl Store {
    /// `sha256` is of the link's secret, which is not kept.
    pub async fn create_approval_link(
        &self,
        sha256: &[u8; 32],
        approval: &str,
        admin: &str,
        expires_ms: i64,
    ) -> Result<(), StoreError> {
        const COUNT: &str = "SELECT COUNT(*) AS count FROM tg_approval_links WHERE approval = $1";
        const SQL: &str = "INSERT INTO tg_approval_links (hash, approval, admin, expires_ms) VALUES ($1, $2, $3, $4)";
        limits::id("the admin's name", admin)?;
        let hash = hex::write(sha256);
        self.within("make a link to an approval", async {
            let mut tx = self.write().await?;
            locked(&mut tx, approval).await?.ok_or_else(|| StoreError::missing("approval", approval))?;
            let row = tx.row(COUNT, args![approval]).await?;
            if row.map_or(Ok(0), |row| row.get::<i64>("count"))? >= MAX_LINKS_OF_APPROVAL {
                return Err(StoreError::Full { what: "links to this approval", max: MAX_LINKS_OF_APPROVAL });
            }
            tx.run(SQL, args![&hash, approval, admin, expires_ms]).await?;
            tx.commit().await
        })
        .await
    }

    /// Which approval the link is for, and whom it stands for. A look: it can still be used.
    pub async fn approval_link(&self, sha256: &[u8; 32], now_ms: i64) -> Result<Option<(String, String)>, StoreError> {
        const SQL: &str = "SELECT approval, admin FROM tg_approval_links WHERE hash = $1 AND expires_ms > $2";
        let hash = hex::write(sha256);
        self.ask_one("read a link to an approval", SQL, args![&hash, now_ms]).await?.as_ref().map(read).transpose()
    }

    /// Which approval a link was for that was used, or whose time is over.
    pub async fn spent_approval_link(&self, sha256: &[u8; 32], now_ms: i64) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT approval FROM tg_approval_links WHERE hash = $1 AND expires_ms <= $2";
        let row = self.ask_one("read a link to an approval", SQL, args![&hex::write(sha256), now_ms]).await?;
        row.map(|row| row.get("approval")).transpose()
    }

    /// Whom it lets decide, once: of any number who ask at once, on any node, one is told.
    pub async fn use_approval_link(
        &self,
        sha256: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<(String, String)>, StoreError> {
        // It goes with its approval. Until then it is known for one that was good, and by no node's clock it is good again.
        const SQL: &str =
            "UPDATE tg_approval_links SET expires_ms = 0 WHERE hash = $1 AND expires_ms > $2 RETURNING approval, admin";
        let hash = hex::write(sha256);
        self.within("use a link to an approval", async {
            let mut tx = self.write().await?;
            let row = tx.row(SQL, args![&hash, now_ms]).await?;
            tx.commit().await?;
            row.as_ref().map(read).transpose()
        })
        .await
    }
}

fn read(row: &Row) -> Result<(String, String), StoreError> {
    Ok((row.get("approval")?, row.get("admin")?))
}
