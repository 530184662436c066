//! What a call holds until it leaves, and what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use ratelimit::{MonotonicClock, RemoteReservation, Reservation};

/// Dropping it gives everything back: do that only while nothing has left.
pub(crate) struct Held {
    inside: Option<Inside>,
    fate: Arc<Fate>,
}

enum Inside {
    Memory(Reservation<MonotonicClock>),
    Redis(RemoteReservation),
    /// The store failed, and the rules let the call pass all the same.
    Uncounted,
}

/// Whether a call left; also for who outlives what it held.
#[derive(Debug, Default)]
pub(crate) struct Fate(AtomicU8);

const LEFT: u8 = 1;
const STAYED: u8 = 2;

impl Held {
    pub(super) fn memory(reservation: Reservation<MonotonicClock>) -> Self {
        Self::of(Inside::Memory(reservation))
    }

    pub(super) fn remote(reservation: RemoteReservation) -> Self {
        Self::of(Inside::Redis(reservation))
    }

    pub(super) fn uncounted() -> Self {
        Self::of(Inside::Uncounted)
    }

    fn of(inside: Inside) -> Self {
        Self { inside: Some(inside), fate: Arc::default() }
    }

    /// Counts all units, for good. Call it right before the first byte leaves.
    pub(crate) fn spend(mut self) {
        self.fate.0.store(LEFT, Ordering::Release);
        match self.inside.take() {
            Some(Inside::Memory(reservation)) => reservation.spend(),
            Some(Inside::Redis(reservation)) => reservation.spend(),
            Some(Inside::Uncounted) | None => {}
        }
    }

    /// No limit knows of it.
    pub(crate) fn is_uncounted(&self) -> bool {
        matches!(self.inside, Some(Inside::Uncounted))
    }

    pub(crate) fn fate(&self) -> &Arc<Fate> {
        &self.fate
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(inside) = self.inside.take() {
            drop(inside);
            self.fate.0.store(STAYED, Ordering::Release);
        }
    }
}

impl Fate {
    /// It surely never left, and never will.
    pub(crate) fn stayed(&self) -> bool {
        self.0.load(Ordering::Acquire) == STAYED
    }
}
