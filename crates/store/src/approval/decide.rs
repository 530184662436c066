//! Deciding, and using what was decided: once.
//!
//! Nodes' clocks differ: what another made may lie up to a minute ahead of ours. What lies further ahead was made by a clock that was set back
//! since, and would last for longer than anybody allowed.

use super::follow::still;
use super::{Approval, ApprovalState, Vote, locked, write};
use crate::limits::{self, MAX_NOTE, MAX_VOTES};
use crate::sql::args;
use crate::tx::Tx;
use crate::{Store, StoreError, hex};

/// What a vote came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Voted {
    /// The state says whether it is decided now.
    Counted(Approval),
    /// This admin voted the same before: nothing changed.
    Again(Approval),
    /// Too late: it was decided otherwise or by others, or it has expired.
    Decided(Approval),
}

impl Store {
    /// One deny denies; as many approve as the quorum says, each another admin, and it is approved. Whether this admin may is for the caller to say:
    /// `seen` is the version of the admin that it looked at, and it is [`StoreError::Stale`] if that is not theirs any more. None for who is no admin.
    pub async fn vote(&self, id: &str, vote: &Vote, seen: Option<i64>) -> Result<Voted, StoreError> {
        limits::id("the admin's name", &vote.by)?;
        limits::text("the reason", vote.reason.as_deref().unwrap_or_default(), MAX_NOTE)?;
        self.within("decide an approval", async {
            let mut tx = self.write().await?;
            still(&mut tx, &vote.by, seen).await?;
            let found = locked(&mut tx, id).await?.ok_or_else(|| StoreError::missing("approval", id))?;
            let found = found.at(vote.at_ms);
            let same = found.votes.iter().any(|before| before.by == vote.by && before.approve == vote.approve);
            let is_over = found.state == ApprovalState::Expired;
            if is_over || same || found.state != ApprovalState::Pending {
                tx.commit().await?; // it changed nothing, but the row is locked until then
                return Ok(if same && !is_over { Voted::Again(found) } else { Voted::Decided(found) });
            }
            let counted = count(&mut tx, found, vote).await?;
            self.tell(tx, std::slice::from_ref(&counted.id)).await?;
            Ok(Voted::Counted(counted))
        })
        .await
    }

    /// Of any number who try at once, on any node, one is told that it may. The others, and who comes long before or after its time or with another
    /// binding, are not.
    pub async fn use_approval(&self, id: &str, binding: &[u8; 32], now_ms: i64) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE tg_approvals SET state = 'used', live = 0, used_ms = $3 \
            WHERE id = $1 AND binding = $2 AND state = 'approved' AND created_ms <= $3 + 60000 AND expires_ms > $3";
        let binding = hex::write(binding);
        self.within("use an approval", async {
            let mut tx = self.write().await?;
            let used = tx.run(SQL, args![id, &binding, now_ms]).await? == 1;
            self.tell(tx, used.then(|| id.to_owned()).as_slice()).await?;
            Ok(used)
        })
        .await
    }

    /// The next round of the call that used it: each round is had once, and none after the approval's end.
    pub async fn use_round(&self, id: &str, binding: &[u8; 32], round: i64, now_ms: i64) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE tg_approvals SET round = round + 1 \
            WHERE id = $1 AND binding = $2 AND state = 'used' AND round = $3 AND created_ms <= $4 + 60000 AND expires_ms > $4";
        let binding = hex::write(binding);
        self.within("use a round of an approval", async {
            let mut tx = self.write().await?;
            let used = tx.run(SQL, args![id, &binding, round, now_ms]).await? == 1;
            tx.commit().await?;
            Ok(used)
        })
        .await
    }
}

async fn count(tx: &mut Tx, mut found: Approval, vote: &Vote) -> Result<Approval, StoreError> {
    const SQL: &str = "UPDATE tg_approvals SET state = $2, votes = $3, decided_ms = $4 WHERE id = $1";
    found.votes.retain(|before| before.by != vote.by);
    found.votes.push(vote.clone());
    found.state = verdict(&found);
    if found.state != ApprovalState::Pending {
        found.decided_ms = Some(vote.at_ms);
    }
    let votes = write("the votes", &found.votes, MAX_VOTES)?;
    tx.run(SQL, args![&found.id, found.state.as_str(), &votes, found.decided_ms]).await?;
    Ok(found)
}

fn verdict(found: &Approval) -> ApprovalState {
    let needed = usize::try_from(found.asked.quorum.max(1)).unwrap_or(usize::MAX);
    match found.votes.iter().all(|vote| vote.approve) {
        false => ApprovalState::Denied,
        true if found.votes.len() >= needed => ApprovalState::Approved,
        true => ApprovalState::Pending,
    }
}
