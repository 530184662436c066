//! Asking for an approval: joining the one that stands, or a new one within its bounds.

use super::{Approval, ApprovalState, Asked, select, write};
use crate::limits::{self, MAX_ASKED, MAX_TARGETS};
use crate::sql::args;
use crate::tx::Tx;
use crate::{Store, StoreError, hex};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// How much may wait, and how often an agent may ask for something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskBounds {
    pub per_agent: i64,
    pub per_server: i64,
    pub per_hour: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asking {
    New(Approval),
    /// Pending or approved, of this binding.
    Open(Approval),
    /// It stands until it expires.
    Denied(Approval),
    /// This was told now, and is not told again: who asks once more asks anew.
    Expired(Approval),
    TooMany(TooMany),
}

/// Which bound does not allow a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    Agent,
    Server,
    Often { retry_after_ms: i64 },
}

impl Store {
    /// `id` is that of a new one, if it comes to that; then `targets` are to be notified. Those who ask at once do so one after the other, so that no
    /// bound is exceeded and nobody makes a second one for the same call.
    pub async fn ask_approval(
        &self,
        id: &str,
        asked: &Asked,
        expires_ms: i64,
        bounds: &AskBounds,
        targets: &[&str],
        now_ms: i64,
    ) -> Result<Asking, StoreError> {
        let new = New { body: body(id, asked, targets)?, id, asked, expires_ms, targets, now_ms };
        self.within("ask for an approval", async {
            let mut tx = self.write().await?;
            one_at_a_time(&mut tx).await?;
            let (asking, changed) = match join(&mut tx, &new).await? {
                Some(joined) => joined,
                None => new.make(&mut tx, bounds).await?,
            };
            self.tell(tx, changed.as_slice()).await?;
            if let Asking::Open(approval) | Asking::Denied(approval) = &asking {
                self.inner.joined.count(&approval.id);
            }
            Ok(asking)
        })
        .await
    }
}

struct New<'a> {
    id: &'a str,
    asked: &'a Asked,
    body: String,
    expires_ms: i64,
    targets: &'a [&'a str],
    now_ms: i64,
}

fn body(id: &str, asked: &Asked, targets: &[&str]) -> Result<String, StoreError> {
    limits::id("the approval's id", id)?;
    limits::id("the agent", &asked.agent)?;
    limits::id("the server", &asked.server)?;
    targets.iter().try_for_each(|target| limits::id("the target", target))?;
    if targets.len() > MAX_TARGETS {
        let why = format!("are {}, more than {MAX_TARGETS}", targets.len());
        return Err(StoreError::Invalid { what: "the targets", why });
    }
    write("what is asked for", asked, MAX_ASKED)
}

/// SQLite has one writer anyway. In PostgreSQL the table stands for the lock: those of other schemas are other locks.
pub(super) async fn one_at_a_time(tx: &mut Tx) -> Result<(), StoreError> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock(1414087777, 'tg_approvals'::regclass::oid::int4)";
    match tx {
        Tx::Sqlite(_) => Ok(()),
        Tx::Postgres(_) => tx.rows(LOCK, args![]).await.map(drop),
    }
}

/// What stands for this binding, if something does, and the id of what changed.
async fn join(tx: &mut Tx, new: &New<'_>) -> Result<Option<(Asking, Option<String>)>, StoreError> {
    const EXPIRE: &str = "UPDATE tg_approvals SET state = 'expired', live = 0, asks = asks + 1 WHERE id = $1";
    const RETIRE: &str = "UPDATE tg_approvals SET live = 0 WHERE id = $1";
    let binding = hex::write(&new.asked.binding);
    let sql = tx.either(select!("binding = $1 AND live = 1"), select!("binding = $1 AND live = 1 FOR UPDATE"));
    let Some(row) = tx.row(sql, args![&binding]).await? else { return Ok(None) };
    let kept = super::read(&row)?;
    let was = kept.state;
    let found = Approval { asks: kept.asks.saturating_add(1), ..kept }.at(new.now_ms);
    let (sql, joined) = match found.state {
        // Nothing is written, so that a thousand who come at once do not wait for the disk a thousand times.
        ApprovalState::Pending | ApprovalState::Approved => return Ok(Some((Asking::Open(found), None))),
        ApprovalState::Denied if found.expires_ms > new.now_ms => return Ok(Some((Asking::Denied(found), None))),
        ApprovalState::Expired => (EXPIRE, Some(Asking::Expired(found.clone()))),
        ApprovalState::Denied | ApprovalState::Used => (RETIRE, None),
    };
    tx.run(sql, args![&found.id]).await?;
    Ok(joined.map(|joined| (joined, (was != found.state).then_some(found.id))))
}

impl New<'_> {
    async fn make(&self, tx: &mut Tx, bounds: &AskBounds) -> Result<(Asking, Option<String>), StoreError> {
        if let Some(bound) = self.too_many(tx, bounds).await? {
            return Ok((Asking::TooMany(bound), None));
        }
        self.insert(tx).await?;
        for target in self.targets {
            let sql = "INSERT INTO tg_approval_notices (approval, target, due_ms, attempt) VALUES ($1, $2, $3, 0) \
                ON CONFLICT (approval, target) DO NOTHING";
            tx.run(sql, args![self.id, *target, self.now_ms]).await?;
        }
        Ok((Asking::New(self.approval()), Some(self.id.to_owned())))
    }

    async fn too_many(&self, tx: &mut Tx, bounds: &AskBounds) -> Result<Option<TooMany>, StoreError> {
        const AGENT: &str =
            "SELECT COUNT(*) AS count FROM tg_approvals WHERE agent = $1 AND state = 'pending' AND expires_ms > $2";
        const SERVER: &str =
            "SELECT COUNT(*) AS count FROM tg_approvals WHERE server = $1 AND state = 'pending' AND expires_ms > $2";
        if count(tx, AGENT, &self.asked.agent, self.now_ms).await? >= bounds.per_agent {
            return Ok(Some(TooMany::Agent));
        }
        if count(tx, SERVER, &self.asked.server, self.now_ms).await? >= bounds.per_server {
            return Ok(Some(TooMany::Server));
        }
        self.too_often(tx, bounds.per_hour).await
    }

    /// Of the most that may be made in an hour, the first must be an hour ago.
    async fn too_often(&self, tx: &mut Tx, per_hour: i64) -> Result<Option<TooMany>, StoreError> {
        const SQL: &str = "SELECT created_ms FROM tg_approvals WHERE agent = $1 AND created_ms > $2 \
            ORDER BY created_ms DESC LIMIT 1 OFFSET $3";
        if per_hour <= 0 {
            return Ok(Some(TooMany::Often { retry_after_ms: HOUR_MS }));
        }
        let since = self.now_ms.saturating_sub(HOUR_MS);
        let Some(row) = tx.row(SQL, args![&self.asked.agent, since, per_hour - 1]).await? else { return Ok(None) };
        let first: i64 = row.get("created_ms")?;
        let retry_after_ms = first.saturating_sub(since).clamp(1, HOUR_MS);
        Ok(Some(TooMany::Often { retry_after_ms }))
    }

    async fn insert(&self, tx: &mut Tx) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO tg_approvals (id, binding, agent, server, state, live, created_ms, expires_ms, asks, round, asked, votes) \
            VALUES ($1, $2, $3, $4, 'pending', 1, $5, $6, 1, 0, $7, '[]') ON CONFLICT (id) DO NOTHING";
        let Asked { agent, server, .. } = self.asked;
        let binding = hex::write(&self.asked.binding);
        let args = args![self.id, &binding, agent, server, self.now_ms, self.expires_ms, &self.body];
        match tx.run(SQL, args).await? {
            1 => Ok(()),
            _ => Err(StoreError::Exists { id: self.id.to_owned() }),
        }
    }

    fn approval(&self) -> Approval {
        Approval {
            id: self.id.to_owned(),
            asked: self.asked.clone(),
            state: ApprovalState::Pending,
            created_ms: self.now_ms,
            expires_ms: self.expires_ms,
            decided_ms: None,
            used_ms: None,
            asks: 1,
            round: 0,
            votes: Vec::new(),
        }
    }
}

async fn count(tx: &mut Tx, sql: &'static str, of: &str, now_ms: i64) -> Result<i64, StoreError> {
    tx.row(sql, args![of, now_ms]).await?.map_or(Ok(0), |row| row.get("count"))
}
