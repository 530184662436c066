//! Who is still to be told of a new approval. Whoever claims a notice has it for a while; if nothing is heard of it, it is due again: each is
//! delivered at least once, whoever dies.

use super::{Approval, read, select};
use crate::limits::{MAX_NOTE, MAX_NOTICES};
use crate::sql::{Row, args};
use crate::tx::Tx;
use crate::{Store, StoreError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub approval: Approval,
    pub target: String,
    /// The first is 1.
    pub attempt: i64,
}

const SQLITE: &str = "UPDATE tg_approval_notices SET due_ms = $1, attempt = attempt + 1 WHERE (approval, target) IN \
    (SELECT approval, target FROM tg_approval_notices WHERE target = $2 AND due_ms <= $3 ORDER BY due_ms LIMIT $4) \
    RETURNING approval, target, attempt";

const POSTGRES: &str = "WITH due AS (SELECT approval, target FROM tg_approval_notices WHERE target = $2 AND due_ms <= $3 \
    ORDER BY due_ms LIMIT $4 FOR UPDATE SKIP LOCKED) UPDATE tg_approval_notices AS n SET due_ms = $1, attempt = n.attempt + 1 FROM due \
    WHERE n.approval = due.approval AND n.target = due.target RETURNING n.approval, n.target, n.attempt";

impl Store {
    /// Claims what is due to be told to this target: it is nobody else's for `lease_ms`. Some may be of approvals that are decided already.
    pub async fn due_notices(
        &self,
        target: &str,
        now_ms: i64,
        lease_ms: i64,
        limit: u32,
    ) -> Result<Vec<Notice>, StoreError> {
        const ANY: &str = "SELECT 1 AS due FROM tg_approval_notices WHERE target = $1 AND due_ms <= $2 LIMIT 1";
        // Mostly there is none, and who looks hinders nobody.
        if self.ask_one("look for notices", ANY, args![target, now_ms]).await?.is_none() {
            return Ok(Vec::new());
        }
        let limit = i64::from(limit.clamp(1, MAX_NOTICES));
        self.within("claim notices", async {
            let mut tx = self.write().await?;
            let sql = tx.either(SQLITE, POSTGRES);
            let claimed = tx.rows(sql, args![now_ms.saturating_add(lease_ms), target, now_ms, limit]).await?;
            let mut notices = Vec::with_capacity(claimed.len());
            for row in &claimed {
                notices.push(notice(&mut tx, row).await?);
            }
            tx.commit().await?;
            Ok(notices)
        })
        .await
    }

    /// There is nothing left to do for it.
    pub async fn notice_done(&self, approval: &str, target: &str) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM tg_approval_notices WHERE approval = $1 AND target = $2";
        self.within("finish a notice", async {
            let mut tx = self.write().await?;
            tx.run(SQL, args![approval, target]).await?;
            tx.commit().await
        })
        .await
    }

    /// It is due again at `next_ms`, unless somebody else has claimed it meanwhile.
    pub async fn notice_failed(&self, notice: &Notice, next_ms: i64, error: &str) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE tg_approval_notices SET due_ms = $4, error = $5 WHERE approval = $1 AND target = $2 AND attempt = $3";
        let error: String = error.chars().filter(|c| *c != '\0').take(MAX_NOTE / 4).collect();
        self.within("put a notice off", async {
            let mut tx = self.write().await?;
            tx.run(SQL, args![&notice.approval.id, &notice.target, notice.attempt, next_ms, &error]).await?;
            tx.commit().await
        })
        .await
    }
}

async fn notice(tx: &mut Tx, row: &Row) -> Result<Notice, StoreError> {
    let id: String = row.get("approval")?;
    let approval = tx.row(select!("id = $1"), args![&id]).await?;
    let approval = approval.ok_or_else(|| StoreError::missing("approval", &id))?;
    Ok(Notice { approval: read(&approval)?, target: row.get("target")?, attempt: row.get("attempt")? })
}
