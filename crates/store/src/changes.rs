//! Waiting for somebody else's change: told at once in this process, by NOTIFY between nodes, and by a look twice a second where neither is heard.

use std::pin::Pin;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::Store;
use crate::store::CHANNEL;
use crate::tx::Pools;

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

/// What hears PostgreSQL's NOTIFY.
enum Ear {
    /// SQLite says nothing.
    None,
    /// It takes its time, and meanwhile the revision is looked at.
    Opening(Pin<Box<dyn Future<Output = Result<PgListener, sqlx::Error>> + Send>>),
    Open(Box<PgListener>),
}

impl Changes {
    pub(crate) fn new(store: Store, seen: i64) -> Self {
        let there = match &store.inner.pools {
            Pools::Sqlite { .. } => Ear::None,
            Pools::Postgres { listen, .. } => Ear::open(listen, Duration::ZERO),
        };
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
            () = self.there.heard(&self.store) => {}
            () = sleep(POLL) => {}
        }
        self.looked = false;
    }
}

impl Ear {
    fn open(pool: &PgPool, wait: Duration) -> Self {
        let pool = pool.clone();
        Self::Opening(Box::pin(async move {
            sleep(wait).await;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        }))
    }

    /// Returns when somebody told of a change, or when it may not have been heard.
    async fn heard(&mut self, store: &Store) {
        let next = match self {
            Self::None => std::future::pending().await,
            Self::Opening(opening) => opening.as_mut().await.map(Some),
            Self::Open(listener) => match listener.try_recv().await {
                Ok(Some(_)) => return,
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            },
        };
        let Pools::Postgres { listen, .. } = &store.inner.pools else { return };
        *self = match next {
            Ok(Some(listener)) => Self::Open(Box::new(listener)),
            Ok(None) => Self::open(listen, Duration::ZERO),
            Err(error) => {
                tracing::debug!(%error, "the store's notifications cannot be heard: looking twice a second meanwhile");
                Self::open(listen, POLL)
            }
        };
    }
}
