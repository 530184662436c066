//! What hangs on an admin's word, when the admin is not what they were: nothing passes by the word of somebody who could not give it now.
//! Who gives their word in that moment gives it before, and it is taken back; or after, and it is not taken.

use super::{ApprovalState, Vote, write};
use crate::document::Document as _;
use crate::limits::MAX_VOTES;
use crate::sql::args;
use crate::store::Change;
use crate::tx::Tx;
use crate::{Admin, StoreError};

/// Is the admin what they were when somebody looked at what they may? Then they stay so until this is committed; [`StoreError::Stale`] if not.
///
/// INVARIANT: before anything else is locked, as a change of the admin comes before what follows from it.
pub(super) async fn still(tx: &mut Tx, name: &str, seen: Option<i64>) -> Result<(), StoreError> {
    const SQL: &str = "SELECT version FROM tg_documents WHERE kind = $1 AND id = $2";
    const LOCKED: &str = "SELECT version FROM tg_documents WHERE kind = $1 AND id = $2 FOR SHARE";
    let Some(seen) = seen else { return Ok(()) };
    let row = tx.row(tx.either(SQL, LOCKED), args![Admin::KIND, name]).await?;
    match row.map_or(Ok(0), |row| row.get("version"))? {
        version if version == seen => Ok(()),
        version => Err(StoreError::Stale { version }),
    }
}

/// In the same change.
///
/// One-time links go with any change. With the right to decide go the grants that they made, their yes to what still waits, and what was approved by
/// it and not used yet, which is over.
pub(crate) async fn follow(
    change: &mut Change,
    name: &str,
    was: Option<&Admin>,
    is: Option<&Admin>,
) -> Result<(), StoreError> {
    if was.is_none() || was == is {
        return Ok(());
    }
    match is.is_some_and(Admin::may_approve) {
        true => links_gone(change, name).await,
        false => admin_gone(change, name).await,
    }
}

/// An admin is removed, or may decide nothing any more.
pub(crate) async fn admin_gone(change: &mut Change, name: &str) -> Result<(), StoreError> {
    const GRANTS: &str = "UPDATE tg_approval_grants SET revoked_ms = $2 \
        WHERE made_by = $1 AND revoked_ms IS NULL AND used < max_uses";
    links_gone(change, name).await?;
    change.tx.run(GRANTS, args![name, change.now]).await?;
    take_back(change, name).await
}

async fn links_gone(change: &mut Change, name: &str) -> Result<(), StoreError> {
    change.tx.run("DELETE FROM tg_approval_links WHERE admin = $1", args![name]).await.map(drop)
}

/// An agent is removed. Whoever gets its id after it has nothing of what it was allowed, or had asked for.
pub(crate) async fn agent_gone(change: &mut Change, id: &str) -> Result<(), StoreError> {
    const GRANTS: &str = "UPDATE tg_approval_grants SET revoked_ms = $2 \
        WHERE agent = $1 AND revoked_ms IS NULL AND used < max_uses";
    const OPEN: &str = "SELECT id FROM tg_approvals WHERE agent = $1 AND state IN ('pending', 'approved') ORDER BY id";
    const LOCKED: &str =
        "SELECT id FROM tg_approvals WHERE agent = $1 AND state IN ('pending', 'approved') ORDER BY id FOR UPDATE";
    change.tx.run(GRANTS, args![id, change.now]).await?;
    let sql = change.tx.either(OPEN, LOCKED);
    for row in change.tx.rows(sql, args![id]).await? {
        let approval: String = row.get("id")?;
        change.tx.run(END, args![&approval]).await?;
        change.approvals.push(approval);
    }
    Ok(())
}

/// As time ends them: whoever asks again is told once. Who had approved stays to be seen.
const END: &str = "UPDATE tg_approvals SET state = 'expired' WHERE id = $1";

/// In the order of their ids, as everybody locks several.
async fn take_back(change: &mut Change, name: &str) -> Result<(), StoreError> {
    const OPEN: &str = "SELECT id, state, votes FROM tg_approvals \
        WHERE state IN ('pending', 'approved') AND votes <> '[]' ORDER BY id";
    const LOCKED: &str = "SELECT id, state, votes FROM tg_approvals \
        WHERE state IN ('pending', 'approved') AND votes <> '[]' ORDER BY id FOR UPDATE";
    const UNSAY: &str = "UPDATE tg_approvals SET votes = $2 WHERE id = $1";
    let sql = change.tx.either(OPEN, LOCKED);
    let rows = change.tx.rows(sql, args![]).await?;
    for row in rows {
        let (id, state, votes): (String, String, String) = (row.get("id")?, row.get("state")?, row.get("votes")?);
        // What nobody can read, nobody can use.
        let Ok(votes) = serde_json::from_str::<Vec<Vote>>(&votes) else { continue };
        let others: Vec<&Vote> = votes.iter().filter(|vote| vote.by != name).collect();
        if others.len() == votes.len() {
            continue;
        }
        if state == ApprovalState::Pending.as_str() {
            let others = write("the votes", &others, MAX_VOTES)?;
            change.tx.run(UNSAY, args![&id, &others]).await?;
        } else {
            change.tx.run(END, args![&id]).await?;
        }
        change.approvals.push(id);
    }
    Ok(())
}
