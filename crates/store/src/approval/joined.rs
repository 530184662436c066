//! How many have joined approvals, until it is written down: for people, and no reason to make anybody wait for the disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::sql::args;
use crate::{Store, StoreError};

/// Approvals whose joins are counted between two times of writing. Those of more are not.
const MAX_JOINED: usize = 1000;

#[derive(Default)]
pub(crate) struct Joined(Mutex<BTreeMap<String, i64>>);

impl Joined {
    pub(super) fn count(&self, id: &str) {
        let mut joined = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if joined.contains_key(id) || joined.len() < MAX_JOINED {
            let count = joined.entry(id.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn take(&self) -> BTreeMap<String, i64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// One more asked for what waits already. It is written with the next that expire.
    pub fn count_ask(&self, id: &str) {
        self.inner.joined.count(id);
    }

    /// In the order of their ids, as every node does, so that no two wait for each other. What cannot be written is forgotten.
    pub(super) async fn write_joined(&self) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE tg_approvals SET asks = asks + $2 WHERE id = $1";
        let joined = self.inner.joined.take();
        if joined.is_empty() {
            return Ok(());
        }
        self.within("count who asked", async {
            let mut tx = self.write().await?;
            for (id, count) in &joined {
                tx.run(SQL, args![id, *count]).await?;
            }
            tx.commit().await
        })
        .await
    }
}
