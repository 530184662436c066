//! What time does to approvals: they expire, and at last they are forgotten.

use crate::limits::MAX_APPROVALS;
use crate::sql::args;
use crate::{Store, StoreError};

/// Rows that one step expires or deletes: others write in between.
const MAX_STEP: i64 = 500;

/// Two nodes that sweep at once do not wait for each other, nor for who is using one.
macro_rules! picked {
    ($update:literal, $select:literal) => {
        (
            concat!($update, " WHERE id IN (", $select, ") RETURNING id"),
            concat!(
                "WITH picked AS (",
                $select,
                " FOR UPDATE SKIP LOCKED) ",
                $update,
                " WHERE id IN (SELECT id FROM picked) RETURNING id"
            ),
        )
    };
}

const EXPIRE: (&str, &str) = picked!(
    "UPDATE tg_approvals SET state = 'expired'",
    "SELECT id FROM tg_approvals WHERE state IN ('pending', 'approved') AND expires_ms <= $1 ORDER BY expires_ms LIMIT $2"
);
const OLD: (&str, &str) = picked!(
    "DELETE FROM tg_approvals",
    "SELECT id FROM tg_approvals WHERE state IN ('denied', 'expired', 'used') AND expires_ms < $1 ORDER BY expires_ms LIMIT $2"
);
/// Not those that were denied, which may stand yet, and which people made.
const MANY: (&str, &str) = picked!(
    "DELETE FROM tg_approvals",
    "SELECT id FROM tg_approvals WHERE state IN ('expired', 'used') ORDER BY created_ms DESC, id DESC LIMIT $2 OFFSET $1"
);

impl Store {
    /// Marks those whose time is over, some hundred at once: which they were. They stay so, whatever a clock says later. Also writes
    /// down how many have asked meanwhile.
    pub async fn expire_approvals(&self, now_ms: i64) -> Result<Vec<String>, StoreError> {
        self.write_joined().await?;
        self.within("expire approvals", async {
            let mut tx = self.write().await?;
            let sql = tx.either(EXPIRE.0, EXPIRE.1);
            let rows = tx.rows(sql, args![now_ms, MAX_STEP]).await?;
            let ids: Vec<String> = rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
            self.tell(tx, &ids).await?;
            Ok(ids)
        })
        .await
    }

    /// Forgets those that are decided and were over before `before_ms`, and the oldest of too many, some hundred at once: how many. What hangs on
    /// them goes along, and grants that are over as long.
    pub async fn sweep_approvals(&self, before_ms: i64) -> Result<u64, StoreError> {
        const GRANTS: &str = "DELETE FROM tg_approval_grants WHERE expires_ms < $1 OR revoked_ms < $1";
        self.within("sweep approvals", async {
            let mut tx = self.write().await?;
            let (old, many) = (tx.either(OLD.0, OLD.1), tx.either(MANY.0, MANY.1));
            let mut gone = tx.rows(old, args![before_ms, MAX_STEP]).await?.len();
            gone += tx.rows(many, args![MAX_APPROVALS, MAX_STEP]).await?.len();
            tx.run(GRANTS, args![before_ms]).await?;
            tx.commit().await?;
            Ok(gone as u64)
        })
        .await
    }
}
