//! Drops what the journal need not keep, beside all other work.

use std::sync::Arc;
use std::time::Duration;

use super::Audit;
use crate::policies::chain;

/// How often it is looked whether something may go.
const LOOK: Duration = Duration::from_secs(5);

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
}
