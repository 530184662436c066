//! Waiting for somebody else's change: told at once in this process, by NOTIFY between nodes, and by a look twice a second where neither is heard.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::Store;
use crate::ear::Ear;
use crate::store::CHANNEL;

/// How often the revision is looked at, whatever was heard. NOTIFY may be lost with its connection, and SQLite has none.
const POLL: Duration = Duration::from_millis(500);

/// Made by [`Store::changed`]. Starts no task; nothing happens unless `next` is awaited.
pub struct Changes {
    store: Store,
    seen: i64,
    looked: bool,
    here: watch::Receiver<()>,
    there: Ear,
}

impl Changes {
    pub(crate) fn new(store: Store, seen: i64) -> Self {
        let there = Ear::new(&store.inner.pools, CHANNEL);
        Self { here: store.inner.changed.subscribe(), store, seen, looked: false, there }
    }

    /// The next revision that was not seen yet, be it one step ahead or many. While the store cannot be reached it waits, and tries on.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> i64 {
        loop {
            // Before the first wait too: what changed before anybody listened must not wait for the next change.
            if self.looked {
                self.woken().await;
            }
            match self.store.revision().await {
                Ok(revision) if revision != self.seen => {
                    // Perhaps that was but the first of several that were told as one.
                    (self.seen, self.looked) = (revision, false);
                    return revision;
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the store's revision cannot be read"),
            }
            self.looked = true;
        }
    }

    /// Returns when there may be something to see.
    async fn woken(&mut self) {
        tokio::select! {
            _ = self.here.changed() => {}
            _ = self.there.heard(&self.store.inner.pools) => {}
            () = sleep(POLL) => {}
        }
        self.looked = false;
    }
}
