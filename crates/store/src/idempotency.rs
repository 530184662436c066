//! Idempotency keys: the first request with a key is done, a repeated one gets the first one's answer.

use crate::limits::{self, MAX_ANSWER, MAX_IDEMPOTENCY_KEYS};
use crate::sql::args;
use crate::{Store, StoreError};

/// What a key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody had it: do the request, then `answer` it (or `unclaim` it, if nothing happened).
    Yours,
    /// Somebody has it and is not done, or was never heard of again.
    Busy {
        since_ms: i64,
    },
    /// It was another request: the key is not for this one.
    Other,
    Answered(Answer),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Store {
    /// Takes the key of `who` for the request with this digest. Of any number who ask at once, one gets [`Claim::Yours`].
    pub async fn claim(&self, who: &str, key: &str, request: &str, now_ms: i64) -> Result<Claim, StoreError> {
        const SQL: &str = "INSERT INTO tg_idempotency (who, key, request, created_ms) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (who, key) DO NOTHING";
        const READ: &str = "SELECT request, created_ms, status, body FROM tg_idempotency WHERE who = $1 AND key = $2";
        limits::id("the caller", who)?;
        limits::id("the idempotency key", key)?;
        limits::id("the request's digest", request)?;
        self.within("claim an idempotency key", async {
            let mut tx = self.write().await?;
            if tx.run(SQL, args![who, key, request, now_ms]).await? == 1 {
                let row = tx.row("SELECT COUNT(*) AS count FROM tg_idempotency", args![]).await?;
                if row.map_or(Ok(0), |row| row.get::<i64>("count"))? > MAX_IDEMPOTENCY_KEYS {
                    return Err(StoreError::Full { what: "idempotency keys", max: MAX_IDEMPOTENCY_KEYS });
                }
                tx.commit().await?;
                return Ok(Claim::Yours);
            }
            // Between the two statements the sweeper may have taken it: then it is somebody's who is not done.
            let Some(row) = tx.row(READ, args![who, key]).await? else { return Ok(Claim::Busy { since_ms: now_ms }) };
            if row.get::<String>("request")? != request {
                return Ok(Claim::Other);
            }
            let Some(status) = row.get::<Option<i64>>("status")? else {
                return Ok(Claim::Busy { since_ms: row.get("created_ms")? });
            };
            let status = u16::try_from(status).map_err(|error| StoreError::corrupt("answer", key, error))?;
            Ok(Claim::Answered(Answer { status, body: row.get::<Option<String>>("body")?.unwrap_or_default() }))
        })
        .await
    }

    /// What the request with this key came to.
    pub async fn answer(&self, who: &str, key: &str, answer: &Answer) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE tg_idempotency SET status = $3, body = $4 WHERE who = $1 AND key = $2 AND status IS NULL";
        limits::text("the answer", &answer.body, MAX_ANSWER)?;
        self.within("keep an answer", async {
            let mut tx = self.write().await?;
            let done = tx.run(SQL, args![who, key, i64::from(answer.status), &answer.body]).await?;
            tx.commit().await?;
            if done == 1 { Ok(()) } else { Err(StoreError::missing("idempotency key", key)) }
        })
        .await
    }

    /// Gives a key back: the request did nothing, and may be tried again.
    pub async fn unclaim(&self, who: &str, key: &str) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM tg_idempotency WHERE who = $1 AND key = $2 AND status IS NULL";
        self.within("give an idempotency key back", async {
            let mut tx = self.write().await?;
            tx.run(SQL, args![who, key]).await?;
            tx.commit().await
        })
        .await
    }

    /// Forgets the keys that are older: how many there were.
    pub async fn sweep_idempotency(&self, before_ms: i64) -> Result<u64, StoreError> {
        self.within("sweep idempotency keys", async {
            let mut tx = self.write().await?;
            let gone = tx.run("DELETE FROM tg_idempotency WHERE created_ms < $1", args![before_ms]).await?;
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }
}
