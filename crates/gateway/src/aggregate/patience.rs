//! How long a server is waited for where the answers of several are merged: less, for a while, after it was silent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::asker::Asker;
use crate::server::Server;

/// For that long a server that was silent gets a part of the time only: one that hangs delays one list, and not every list.
const DOUBTED_FOR: Duration = Duration::from_secs(30);
const PART: u32 = 10;

/// When a server was last waited for in vain.
#[derive(Default)]
pub(crate) struct Doubt(Mutex<Option<Instant>>);

/// It did not answer within that time.
pub(super) struct Silent(Duration);

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no answer within {:?}", self.0)
    }
}

impl Doubt {
    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

impl Asker {
    /// Waits for what a server does, but no longer than the others should wait for it.
    pub(super) async fn patiently<T>(&self, server: &Server, work: impl Future<Output = T>) -> Result<T, Silent> {
        let doubted = server.doubt.since().filter(|since| since.elapsed() < DOUBTED_FOR);
        let whole = self.aggregate().settings.timeout;
        let bound = if doubted.is_some() { whole / PART } else { whole };
        let done = tokio::time::timeout(bound, work).await;
        match done {
            Ok(_) => server.doubt.set(None),
            // From the first time on, so that it gets its whole time again.
            Err(_) => server.doubt.set(doubted.or_else(|| Some(Instant::now()))),
        }
        done.map_err(|_| Silent(bound))
    }
}
