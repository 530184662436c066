//! Waiting for somebody else's change: told at once in this process, by NOTIFY between nodes, and by a look twice a second where neither is heard.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::store::CHANNEL;
use crate::tx::Pools;
use crate::{Store, StoreError};

/// How often the revision is looked at, whatever was heard. NOTIFY may be lost with its connection, and SQLite has none.
const POLL: Duration = Duration::from_millis(500);

/// Made by [`Store::changed`]. Starts no task; nothing happens unless `next` is awaited.
pub struct Changes {
    store: Store,
    seen: i64,
    here: watch::Receiver<()>,
    there: Option<PgListener>,
}

impl Changes {
    pub(crate) fn new(store: Store, seen: i64) -> Self {
        Self { here: store.inner.changed.subscribe(), store, seen, there: None }
    }

    /// The next revision that was not seen yet, be it one step ahead or many. While the store cannot be reached it waits, and tries on.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> i64 {
        let mut looked = false;
        loop {
            // Look before the first wait: what changed before anybody listened must not wait for the next change.
            if looked {
                self.woken().await;
            }
            looked = true;
            match self.store.revision().await {
                Ok(revision) if revision != self.seen => {
                    self.seen = revision;
                    return revision;
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the store's revision cannot be read"),
            }
        }
    }

    /// Returns when there may be something to see.
    async fn woken(&mut self) {
        if self.there.is_none() {
            self.there = listener(&self.store).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "the store's notifications cannot be heard: looking twice a second instead");
                None
            });
        }
        let heard = tokio::select! {
            _ = self.here.changed() => true,
            heard = notified(&mut self.there) => heard,
            () = sleep(POLL) => true,
        };
        if !heard {
            self.there = None;
            sleep(POLL).await; // a connection that fails at once is not tried in a loop
        }
    }
}

async fn listener(store: &Store) -> Result<Option<PgListener>, StoreError> {
    let Pools::Postgres { listen, .. } = &store.inner.pools else { return Ok(None) };
    let work = async {
        let mut listener = PgListener::connect_with(listen).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(Some(listener))
    };
    store.within("listen", async { work.await.map_err(|error: sqlx::Error| StoreError::failed("listen", error)) }).await
}

/// False when the connection is lost.
async fn notified(listener: &mut Option<PgListener>) -> bool {
    match listener {
        Some(listener) => matches!(listener.try_recv().await, Ok(Some(_))),
        None => std::future::pending().await,
    }
}
