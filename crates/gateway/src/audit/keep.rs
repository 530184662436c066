//! Drops what the journal, and its copy in the store, need not keep, beside all other work.

use std::sync::Arc;
use std::time::Duration;

use store::{Store, StoreError};

use super::Audit;
use crate::policies::chain;

/// How often it is looked whether something may go.
const LOOK: Duration = Duration::from_secs(5);

/// The same, of the store: to look is one question of each node.
const LOOK_THERE: Duration = Duration::from_mins(1);

impl Audit {
    /// For ever; at once where nothing is ever dropped.
    pub(crate) async fn keep(self: Arc<Self>) {
        let Some(journal) = self.open.as_ref().filter(|open| open.keeps_some).map(|open| open.opened.journal.clone())
        else {
            return;
        };
        let mut looks = tokio::time::interval(LOOK);
        let mut trouble = None;
        loop {
            looks.tick().await;
            let (journal, up_to) = (journal.clone(), self.may_go());
            let Ok(dropped) = tokio::task::spawn_blocking(move || journal.retain(up_to)).await else { return };
            let failed = dropped.as_ref().err().map(|error| chain(error));
            if let (Some(error), true) = (&failed, failed != trouble) {
                tracing::error!(%error, "old records of the audit journal cannot be dropped");
            }
            trouble = failed;
            if let Some((oldest, newest)) = dropped.as_ref().ok().and_then(|gone| gone.first().zip(gone.last())) {
                tracing::info!(
                    first = oldest.first,
                    last = newest.last,
                    "old records of the audit journal are dropped"
                );
            }
        }
    }

    /// For ever; at once where records stay in the store. What other nodes brought goes as well: some may be gone themselves.
    pub(crate) async fn sweep(self: Arc<Self>, store: Store) {
        let Some(keep) = self.open.as_ref().and_then(|open| open.keep_index) else { return };
        let mut looks = tokio::time::interval(LOOK_THERE);
        loop {
            looks.tick().await;
            match swept(&store, keep).await {
                Ok(0) => {}
                Ok(gone) => tracing::info!(gone, "old records are deleted from the store"),
                Err(error) => tracing::warn!(error = %chain(&error), "old records cannot be deleted from the store"),
            }
        }
    }
}

/// How many were older.
async fn swept(store: &Store, keep: Duration) -> Result<u64, StoreError> {
    // INVARIANT: by the store's clock: one node whose own is wrong would delete what others brought
    let before = store.ago_ms(keep).await?;
    let mut gone = 0;
    loop {
        match store.sweep_audit(before).await? {
            0 => return Ok(gone),
            some => gone += some,
        }
    }
}
