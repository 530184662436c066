//! Waiting for somebody to ask or to decide: told at once, in this process and by NOTIFY between nodes. Twice a second who waits should look for
//! itself, since SQLite tells other processes nothing, and what PostgreSQL tells may be lost with its connection.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::sql::args;
use crate::tx::Tx;
use crate::{Store, StoreError};

/// How PostgreSQL's nodes are told of an approval that changed.
pub(crate) const CHANNEL: &str = "toolgate_approvals";
/// How many changes who waits may lag behind; then it is told that there were some.
pub(crate) const BACKLOG: usize = 1024;

const POLL: Duration = Duration::from_millis(500);

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The approval with this id is new, or its state or its votes have changed.
    One(String),
    /// Any may have changed.
    Any,
}

/// Made by [`Store::approvals_changed`]. Starts no task; nothing happens unless `next` is awaited.
pub struct ApprovalChanges {
    store: Store,
    here: broadcast::Receiver<String>,
    poll: Option<Interval>,
}

impl Store {
    /// Tells of changes from now on. The first thing told is [`Heard::Any`].
    pub fn approvals_changed(&self) -> ApprovalChanges {
        ApprovalChanges { here: self.inner.approvals.subscribe(), store: self.clone(), poll: None }
    }
}

impl ApprovalChanges {
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Heard {
        let poll = self.poll.get_or_insert_with(every_poll);
        tokio::select! {
            heard = self.here.recv() => match heard {
                Ok(id) => Heard::One(id),
                Err(RecvError::Lagged(_) | RecvError::Closed) => Heard::Any,
            },
            _ = poll.tick() => Heard::Any,
            never = listen(&self.store) => match never {},
        }
    }
}

fn every_poll() -> Interval {
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    poll
}

/// One of those who wait in this process listens for all, with one connection; when it waits no longer, another does.
async fn listen(store: &Store) -> Infallible {
    let mut ear = store.inner.ear.lock().await;
    loop {
        let Some(told) = ear.heard(&store.inner.pools).await else { continue };
        match told.split_once(' ') {
            // Whoever waits here was told already.
            Some((origin, _)) if origin == store.inner.origin => {}
            Some((_, id)) => _ = store.inner.approvals.send(id.to_owned()),
            None => {}
        }
    }
}

pub(crate) async fn notify(tx: &mut Tx, origin: &str, ids: &[String]) -> Result<(), StoreError> {
    if let Tx::Sqlite(_) = tx {
        return Ok(());
    }
    for id in ids {
        let payload = format!("{origin} {id}");
        tx.rows("SELECT pg_notify($1, $2)", args![CHANNEL, &payload]).await?;
    }
    Ok(())
}
