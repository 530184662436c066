//! The same counts in Redis or Valkey, for limiters in many processes: one script for all demands of a call, in one round trip, by the
//! server's clock.
//!
//! A call is counted when it is reserved, as if it left a 128th of each window later; a call that leaves later than that, or is held for
//! long, is counted anew, and one that surely never left is given back. Both are done behind the caller's back by [`Remote::keep`],
//! which also keeps the connection. If the process dies in between, the call is counted: the strict side.

mod call;
mod keep;
mod pending;
mod reply;
mod script;

use crate::{Clock as _, Demand, Limited, MonotonicClock, Remaining, limiter::possible};
use call::{Call, Mode};
use pending::Pending;
use redis_link::{Address, InvalidAddress, Link, Prefix};
use reply::Reply;
use smallvec::SmallVec;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// All of the counting.
const SCRIPT: &str = include_str!("remote/reserve.lua");
/// What in there gives the time.
const SERVER_CLOCK: &str = "tonumber(time[1]) * 1000000 + tonumber(time[2])";
/// When to come back after the store did not answer.
const COME_BACK: Duration = Duration::from_secs(1);

/// A key as a store knows it: the same bytes in every process, others for another key.
pub trait StoredKey {
    fn store(&self, out: &mut Vec<u8>);
}

impl StoredKey for &str {
    fn store(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub address: Address,
    /// What all keys start with; also their one hash tag in a cluster.
    pub prefix: Prefix,
    /// How long a call waits for its answer, connecting included.
    pub timeout: Duration,
    /// How long a store that nobody knows grants nothing, so that whoever remembers that it lost something can say so.
    pub settle: Duration,
}

/// Why a call was not granted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Limited(#[from] Limited),
    /// Nothing is known about the counts now.
    #[error("the limits cannot be counted now: {why}")]
    Unavailable { why: Arc<str>, retry_after: Duration },
}

/// A limiter whose counts are elsewhere. Nothing is granted unless [`Remote::keep`] runs.
pub struct Remote {
    settings: Settings,
    script: Box<str>,
    hash: Box<str>,
    link: Link,
    /// The keeper has something to do.
    wake: Notify,
    known: Mutex<Known>,
    /// The server's clock minus ours, in microseconds; 0 while unknown.
    ahead: AtomicU64,
    /// Our clock: only differences matter.
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    pending: Mutex<Pending>,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Why nothing can be counted now, if so.
    pub trouble: Option<Arc<str>>,
    /// Calls that were refused because the store did not answer as it should.
    pub refused: u64,
    /// Calls that left late or never, and that the store has not heard of yet.
    pub untold: usize,
}

/// What this process has seen of the store: what it must never see less of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    id: u64,
    sequence: u64,
}

/// Units counted for one call. Dropping it gives them back: do that only while nothing has left.
#[must_use = "dropping a reservation gives it back"]
pub struct RemoteReservation {
    remote: Arc<Remote>,
    ticket: u64,
    remaining: SmallVec<[Option<Remaining>; 2]>,
    spent: bool,
}

impl Remote {
    pub fn new(settings: Settings) -> Result<Self, InvalidAddress> {
        let clock = MonotonicClock::default();
        Self::by(settings, SCRIPT, move || clock.now())
    }

    /// By other clocks than the server's and ours, for tests: `server` is Lua that gives microseconds.
    #[doc(hidden)]
    pub fn by_clocks(
        settings: Settings,
        server: &str,
        ours: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Result<Self, InvalidAddress> {
        Self::by(settings, &SCRIPT.replace(SERVER_CLOCK, server), ours)
    }

    fn by(
        settings: Settings,
        script: &str,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Result<Self, InvalidAddress> {
        Ok(Self {
            link: Link::new(settings.address.clone(), settings.timeout)?,
            settings,
            hash: redis::Script::new(script).get_hash().into(),
            script: script.into(),
            wake: Notify::new(),
            known: Mutex::default(),
            ahead: AtomicU64::new(0),
            clock: Box::new(clock),
            pending: Mutex::default(),
        })
    }

    /// Counts the cost of every demand, or changes nothing. A key that is asked twice is asked for the sum.
    pub async fn reserve<K: StoredKey>(
        self: &Arc<Self>,
        demands: &[Demand<'_, K>],
    ) -> Result<RemoteReservation, Refused> {
        possible(demands)?;
        let call = Call::new(&self.settings.prefix, demands);
        let asked = (self.clock)();
        let too_late = self.too_late(asked);
        let answered = self.link.ask(|connection| self.run(connection, &call, Mode::Reserve, too_late)).await;
        let why = match answered.map_err(|away| self.unavailable(&away.to_string()))? {
            Reply::Granted { epoch, nows, remaining } => {
                let ticket = pending::lock(&self.pending).grant(call, epoch, nows, asked);
                return Ok(RemoteReservation { remote: Arc::clone(self), ticket, remaining, spent: false });
            }
            Reply::Limited(limited) => return Err(limited.into()),
            Reply::Late => {
                self.wake.notify_one(); // perhaps its clock was set
                "it answered too late"
            }
            Reply::Done { .. } => "it answered something else",
        };
        self.link.count_refusal();
        Err(self.unavailable(why))
    }

    pub fn status(&self) -> Status {
        Status {
            trouble: self.link.trouble(),
            refused: self.link.refused(),
            untold: pending::lock(&self.pending).untold((self.clock)()),
        }
    }

    /// When, by the server's clock, nobody waits any more for what was asked then; 0 where nothing is known of that clock.
    fn too_late(&self, asked: Duration) -> u64 {
        match self.ahead.load(Ordering::Relaxed) {
            0 => 0,
            ahead => ahead.saturating_add(micros(asked + 2 * self.settings.timeout)),
        }
    }

    fn unavailable(&self, why: &str) -> Refused {
        Refused::Unavailable { why: why.into(), retry_after: COME_BACK }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl RemoteReservation {
    /// The tightest enforced quota of a demand, by the demand's index; none if it enforces none.
    pub fn remaining(&self, demand: usize) -> Option<Remaining> {
        self.remaining.get(demand).copied().flatten()
    }

    /// Counts all units, for good. Call it right before the first byte leaves.
    pub fn spend(mut self) {
        self.spent = true;
        let is_late = pending::lock(&self.remote.pending).leaves(self.ticket, (self.remote.clock)());
        if is_late {
            self.remote.wake.notify_one();
        }
    }

    /// Gives everything back, as dropping does: nothing has left.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for RemoteReservation {
    fn drop(&mut self) {
        if !self.spent {
            pending::lock(&self.remote.pending).stays(self.ticket);
            self.remote.wake.notify_one();
        }
    }
}

impl std::fmt::Debug for RemoteReservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteReservation").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

/// Rounded up, so nothing is shorter than it is.
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}
