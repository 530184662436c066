//! What was granted, until it is spent or given back.

use crate::{Clock, cell::SharedCell, clock::nanos, sync::lock};
use smallvec::SmallVec;

/// Units held for one call. Dropping it gives them back: do that only while nothing has left.
#[must_use = "dropping a reservation gives it back"]
#[derive(Debug)]
pub struct Reservation<C: Clock> {
    clock: C,
    holds: SmallVec<[Hold; 2]>,
    remaining: SmallVec<[Option<Remaining>; 2]>,
}

/// What an enforced quota had left right after a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The quota's index in its meter.
    pub quota: usize,
    pub units: u64,
}

#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) cell: SharedCell,
    pub(crate) units: u128,
}

impl<C: Clock> Reservation<C> {
    pub(crate) fn new(clock: C, holds: SmallVec<[Hold; 2]>, remaining: SmallVec<[Option<Remaining>; 2]>) -> Self {
        Self { clock, holds, remaining }
    }

    /// The tightest enforced quota of a demand, by the demand's index; none if it enforces none.
    pub fn remaining(&self, demand: usize) -> Option<Remaining> {
        self.remaining.get(demand).copied().flatten()
    }

    /// Counts all units as of now, for good. Call it right before the first byte leaves.
    pub fn spend(mut self) {
        for hold in self.holds.drain(..) {
            let mut cell = lock(&hold.cell);
            cell.tick(nanos(self.clock.now()));
            cell.spend(hold.units);
        }
    }

    /// Gives everything back, as dropping does: nothing has left.
    pub fn release(self) {
        drop(self);
    }
}

impl<C: Clock> Drop for Reservation<C> {
    fn drop(&mut self) {
        for hold in &self.holds {
            lock(&hold.cell).release(hold.units);
        }
    }
}
