//! Approvals: calls that wait for a person to decide, and what is decided.
//!
//! A row is *live* while equal calls, those with its binding, are answered with it: pending, approved, denied until it expires, expired until
//! somebody is told. One row at most is live for a binding, so whoever asks the same joins it. Of any number who take the same step at once, on
//! whichever node, one succeeds: each is one statement that changes a row only if it is what it must be.

mod ask;
mod changes;
mod decide;
mod follow;
mod grant;
mod joined;
mod link;
mod list;
mod notice;
mod sweep;

use serde::{Deserialize, Serialize};

pub use ask::{AskBounds, Asking, TooMany};
pub use changes::{ApprovalChanges, Heard};
pub(crate) use changes::{BACKLOG, CHANNEL, notify};
pub use decide::Voted;
pub(crate) use follow::{admin_gone, agent_gone, follow};
pub use grant::{Grant, GrantFilter};
pub(crate) use joined::Joined;
pub use list::ApprovalFilter;
pub use notice::Notice;

use crate::sql::{Row, args};
use crate::tx::Tx;
use crate::{Store, StoreError, hex, limits};

/// What is asked for: exactly this call, judged by exactly this policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The hash of all that must be the same in a call that is let through.
    #[serde(with = "hex")]
    pub binding: [u8; 32],
    pub agent: String,
    pub owner: Option<String>,
    pub server: String,
    pub method: String,
    /// The tool, prompt or resource.
    pub subject: String,
    /// JSON as it came; empty where there are none.
    pub arguments: String,
    /// The SHA-256 of the arguments in canonical form, as hex.
    pub digest: String,
    pub definition: Option<String>,
    pub policy: String,
    pub rule: String,
    pub reason: Option<String>,
    pub approvers: Vec<String>,
    /// How many admins must approve: 0 is 1.
    pub quorum: u32,
    pub self_approval: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    Pending,
    Approved,
    Denied,
    Expired,
    Used,
}

/// What an admin said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    pub by: String,
    pub approve: bool,
    pub reason: Option<String>,
    pub at_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub id: String,
    pub asked: Asked,
    /// As it is kept: one that has expired without anybody having looked may still be `Pending` here. See [`Approval::state_at`].
    pub state: ApprovalState,
    pub created_ms: i64,
    pub expires_ms: i64,
    pub decided_ms: Option<i64>,
    pub used_ms: Option<i64>,
    /// How often it was asked for. Those who joined it are written down when approvals are marked as expired, some seconds later.
    pub asks: i64,
    /// How many rounds the call that used it has had after its first.
    pub round: i64,
    /// One for each admin, the last that counted.
    pub votes: Vec<Vote>,
}

impl ApprovalState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Used => "used",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Denied, Self::Expired, Self::Used]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

impl Approval {
    /// What it is at this time: one that is over is expired, whether or not somebody has written that down.
    pub fn state_at(&self, now_ms: i64) -> ApprovalState {
        let open = matches!(self.state, ApprovalState::Pending | ApprovalState::Approved);
        if open && self.expires_ms <= now_ms { ApprovalState::Expired } else { self.state }
    }

    fn at(self, now_ms: i64) -> Self {
        Self { state: self.state_at(now_ms), ..self }
    }
}

macro_rules! select {
    ($($rest:literal),*) => {
        concat!(
            "SELECT id, state, created_ms, expires_ms, decided_ms, used_ms, asks, round, asked, votes FROM tg_approvals WHERE ",
            $($rest),*
        )
    };
}
use select;

impl Store {
    pub async fn approval(&self, id: &str) -> Result<Option<Approval>, StoreError> {
        self.ask_one("read an approval", select!("id = $1"), args![id]).await?.as_ref().map(read).transpose()
    }

    /// What an equal call would be answered with: the one that is open; or denied and not over; or expired, and nobody was told. Its state is that of
    /// `now_ms`. Changes nothing: to have somebody told that it expired, or to have the asking counted, [`Store::ask_approval`].
    pub async fn standing_approval(&self, binding: &[u8; 32], now_ms: i64) -> Result<Option<Approval>, StoreError> {
        let binding = hex::write(binding);
        let sql = select!("binding = $1 AND live = 1 AND (state <> 'denied' OR expires_ms > $2)");
        let row = self.ask_one("look for an approval", sql, args![&binding, now_ms]).await?;
        Ok(row.as_ref().map(read).transpose()?.map(|found| found.at(now_ms)))
    }

    /// Ends a step that changed approvals, and tells of them.
    async fn tell(&self, mut tx: Tx, ids: &[String]) -> Result<(), StoreError> {
        changes::notify(&mut tx, &self.inner.origin, ids).await?;
        tx.commit().await?;
        for id in ids {
            _ = self.inner.approvals.send(id.clone()); // nobody may be waiting
        }
        Ok(())
    }
}

/// The row, for this transaction only.
async fn locked(tx: &mut Tx, id: &str) -> Result<Option<Approval>, StoreError> {
    let sql = tx.either(select!("id = $1"), select!("id = $1 FOR UPDATE"));
    tx.row(sql, args![id]).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Approval, StoreError> {
    let id: String = row.get("id")?;
    let state: String = row.get("state")?;
    let state = ApprovalState::parse(&state).ok_or_else(|| StoreError::corrupt("approval", &id, "an unknown state"))?;
    let (asked, votes): (String, String) = (row.get("asked")?, row.get("votes")?);
    // Where it cannot be read, and not what stands there.
    let corrupt = |error: serde_json::Error| {
        StoreError::corrupt("approval", &id, format!("not what this version writes, at column {}", error.column()))
    };
    Ok(Approval {
        asked: serde_json::from_str(&asked).map_err(corrupt)?,
        votes: serde_json::from_str(&votes).map_err(corrupt)?,
        state,
        created_ms: row.get("created_ms")?,
        expires_ms: row.get("expires_ms")?,
        decided_ms: row.get("decided_ms")?,
        used_ms: row.get("used_ms")?,
        asks: row.get("asks")?,
        round: row.get("round")?,
        id,
    })
}

fn write(what: &'static str, value: &impl Serialize, max: usize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value)
        .map_err(|error| StoreError::Invalid { what, why: format!("cannot be written: {error}") })?;
    limits::text(what, &text, max)?;
    Ok(text)
}
