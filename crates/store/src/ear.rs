//! What hears PostgreSQL's NOTIFY on one channel. A lost connection is made anew; what was told meanwhile is lost, so nobody may rely on it alone.

use std::pin::Pin;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::time::sleep;

use crate::tx::Pools;

/// How long it waits before it tries again to connect.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Ear {
    channel: &'static str,
    state: State,
}

enum State {
    /// SQLite says nothing.
    Deaf,
    /// It takes its time. Nothing happens before somebody wants to hear.
    Opening(Pin<Box<dyn Future<Output = Result<PgListener, sqlx::Error>> + Send>>),
    Open(Box<PgListener>),
}

impl Ear {
    pub(crate) fn new(pools: &Pools, channel: &'static str) -> Self {
        let state = match pools {
            Pools::Sqlite { .. } => State::Deaf,
            Pools::Postgres { listen, .. } => State::open(listen, channel, Duration::ZERO),
        };
        Self { channel, state }
    }

    /// Gives its connection back.
    pub(crate) fn close(&mut self) {
        self.state = State::Deaf;
    }

    /// What somebody told; none when something may have been told and not heard. Dropping the future loses nothing.
    pub(crate) async fn heard(&mut self, pools: &Pools) -> Option<String> {
        let next = match &mut self.state {
            State::Deaf => std::future::pending().await,
            State::Opening(opening) => opening.as_mut().await.map(Some),
            State::Open(listener) => match listener.try_recv().await {
                Ok(Some(told)) => return Some(told.payload().to_owned()),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            },
        };
        let Pools::Postgres { listen, .. } = pools else { return None };
        self.state = match next {
            Ok(Some(listener)) => State::Open(Box::new(listener)),
            Ok(None) => State::open(listen, self.channel, Duration::ZERO),
            Err(error) => {
                tracing::debug!(%error, "the store's notifications cannot be heard: looking twice a second meanwhile");
                State::open(listen, self.channel, PAUSE)
            }
        };
        None
    }
}

impl State {
    fn open(pool: &PgPool, channel: &'static str, wait: Duration) -> Self {
        let pool = pool.clone();
        Self::Opening(Box::pin(async move {
            sleep(wait).await;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(channel).await?;
            Ok(listener)
        }))
    }
}
