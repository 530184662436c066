//! Sessions of people in the console: found by the hash of their secret, over at a fixed time, gone with their admin.

use crate::limits::{self, MAX_SESSIONS};
use crate::sql::args;
use crate::tx::Tx;
use crate::{Admin, Kept, Store, StoreError, hex};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub admin: String,
    /// What a form must bring along.
    pub csrf: String,
    pub expires_ms: i64,
}

/// Signing out everywhere.
pub(crate) async fn close_all(tx: &mut Tx, admin: &str) -> Result<(), StoreError> {
    tx.run("DELETE FROM tg_sessions WHERE admin = $1", args![admin]).await.map(drop)
}

impl Store {
    /// `sha256` is of the session's secret, which is not kept.
    pub async fn open_session(&self, sha256: &[u8; 32], session: &Session, now_ms: i64) -> Result<(), StoreError> {
        const SQL: &str =
            "INSERT INTO tg_sessions (hash, admin, csrf, created_ms, expires_ms) VALUES ($1, $2, $3, $4, $5)";
        limits::id("the admin's name", &session.admin)?;
        limits::id("the CSRF token", &session.csrf)?;
        let hash = hex::write(sha256);
        self.within("open a session", async {
            let mut tx = self.write().await?;
            tx.run("DELETE FROM tg_sessions WHERE expires_ms <= $1", args![now_ms]).await?;
            let row = tx.row("SELECT COUNT(*) AS count FROM tg_sessions", args![]).await?;
            if row.map_or(Ok(0), |row| row.get::<i64>("count"))? >= MAX_SESSIONS {
                return Err(StoreError::Full { what: "sessions", max: MAX_SESSIONS });
            }
            tx.run(SQL, args![&hash, &session.admin, &session.csrf, now_ms, session.expires_ms]).await?;
            tx.commit().await
        })
        .await
    }

    /// The session, if it is not over at `now_ms`, and its admin, if it is still there and enabled.
    pub async fn session(&self, sha256: &[u8; 32], now_ms: i64) -> Result<Option<(Session, Kept<Admin>)>, StoreError> {
        const SQL: &str = "SELECT admin, csrf, expires_ms FROM tg_sessions WHERE hash = $1 AND expires_ms > $2";
        let hash = hex::write(sha256);
        let row = self.ask_one("read a session", SQL, args![&hash, now_ms]).await?;
        let Some(row) = row else { return Ok(None) };
        let session = Session { admin: row.get("admin")?, csrf: row.get("csrf")?, expires_ms: row.get("expires_ms")? };
        let admin = self.enabled_admin(&session.admin).await?;
        Ok(admin.map(|admin| (session, admin)))
    }

    /// Puts the end of a session that is used off, but not beyond `most_ms` after it was opened.
    pub async fn extend_session(&self, sha256: &[u8; 32], expires_ms: i64, most_ms: i64) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE tg_sessions SET expires_ms = CASE WHEN created_ms + $3 < $2 THEN created_ms + $3 ELSE $2 END \
            WHERE hash = $1";
        let hash = hex::write(sha256);
        self.within("extend a session", async {
            let mut tx = self.write().await?;
            tx.run(SQL, args![&hash, expires_ms, most_ms]).await?;
            tx.commit().await
        })
        .await
    }

    /// Signing out. One that is not there is as good.
    pub async fn close_session(&self, sha256: &[u8; 32]) -> Result<(), StoreError> {
        let hash = hex::write(sha256);
        self.within("close a session", async {
            let mut tx = self.write().await?;
            tx.run("DELETE FROM tg_sessions WHERE hash = $1", args![&hash]).await?;
            tx.commit().await
        })
        .await
    }
}
