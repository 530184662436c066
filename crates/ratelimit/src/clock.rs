//! Where the time comes from. Only differences matter, so there is no calendar here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Nanoseconds since a clock's start: 584 years, in half the room of a `Duration`.
pub(crate) type Nanos = u64;

/// Says how much time has passed since some fixed start. Cloned into every reservation, so a clone is cheap and shows the same time.
pub trait Clock: Clone {
    /// The time since the start. Expected never to run back; the limiter holds out if it does.
    fn now(&self) -> Duration;
}

/// Rounds down, so nothing looks older than it is.
pub(crate) fn nanos(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The machine's steady clock, untouched by changes of the date.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
    ahead: Duration,
}

impl MonotonicClock {
    /// Starts at this time instead of zero, so that there is a past for what is restored.
    pub fn ahead_by(ahead: Duration) -> Self {
        Self { ahead, ..Self::default() }
    }
}

impl Default for MonotonicClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others take as a parameter")]
    fn default() -> Self {
        Self { start: Instant::now(), ahead: Duration::ZERO }
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Duration {
        self.start.elapsed().saturating_add(self.ahead)
    }
}

/// A clock that stands still until told. Clones share one time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().saturating_add(by));
    }

    /// Jumps to a time, which may lie in the past.
    pub fn set(&self, to: Duration) {
        self.nanos.store(nanos(to), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::SeqCst))
    }
}
