//! One key's count: what was spent, and what is only held.

use crate::{
    Meter, Quota, QuotaSet, Remaining,
    clock::Nanos,
    sync::{self, Mutex},
    tally::Tally,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// Shared with the reservations that hold something in it. A cell that nobody else shares can be evicted.
pub(crate) type SharedCell = sync::Arc<Mutex<Cell>>;

#[derive(Debug)]
pub(crate) struct Cell {
    meter: Arc<Meter>,
    /// The highest time seen: time never runs back in here.
    latest: Nanos,
    /// Reserved and neither spent nor given back. Counts against every quota, and cannot expire.
    held: u128,
    // INVARIANT: one for each quota of the meter, in its order.
    tallies: SmallVec<[Tally; 1]>,
}

/// The quota that refuses, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    pub(crate) quota: usize,
    pub(crate) wait: Nanos,
}

impl Cell {
    pub(crate) fn new(meter: &Arc<Meter>) -> Self {
        let tallies = meter.quotas().iter().map(Tally::new).collect();
        Self { meter: Arc::clone(meter), latest: 0, held: 0, tallies }
    }

    /// Moves to the clock's time, and forgets what has left every window.
    pub(crate) fn tick(&mut self, now: Nanos) {
        self.latest = self.latest.max(now);
        for tally in &mut self.tallies {
            tally.expire(self.latest);
        }
    }

    /// Takes on the meter that is asked for. After a policy reload it may be another one: counts survive as far as they are known.
    pub(crate) fn adapt(&mut self, meter: &Arc<Meter>) {
        if Arc::ptr_eq(&self.meter, meter) {
            return;
        }
        if self.meter != *meter {
            self.tallies = meter.quotas().iter().map(|quota| self.carry_over(quota)).collect();
        }
        self.meter = Arc::clone(meter);
    }

    /// Whether a cost fits under all enforced quotas, on top of what is held and of `before`, which the same call asked already.
    /// Gives the tightest of them with what it has left then, or the one that refuses longest. Costing nothing is always possible.
    pub(crate) fn check(
        &self,
        now: Nanos,
        enforced: QuotaSet,
        cost: u64,
        before: u128,
    ) -> Result<Option<Remaining>, Exhausted> {
        let pending = self.held.saturating_add(before).saturating_add(cost.into());
        let mut tightest: Option<Remaining> = None;
        let mut longest: Option<Exhausted> = None;
        for (index, quota, tally) in self.quotas().filter(|(index, ..)| enforced.contains(*index)) {
            let room = tally.room(quota.max().get());
            if cost > 0 && pending > room {
                // Behind a clock that jumped back, it also takes until the clock has caught up.
                let lag = self.latest.saturating_sub(now);
                let wait = tally.wait(self.latest, pending, quota.max().get()).saturating_add(lag);
                if longest.is_none_or(|other| wait > other.wait) {
                    longest = Some(Exhausted { quota: index, wait });
                }
            }
            let units = u64::try_from(room.saturating_sub(pending)).unwrap_or(u64::MAX);
            if tightest.is_none_or(|other| units < other.units) {
                tightest = Some(Remaining { quota: index, units });
            }
        }
        longest.map_or(Ok(tightest), Err)
    }

    pub(crate) fn hold(&mut self, units: u128) {
        self.held = self.held.saturating_add(units);
    }

    pub(crate) fn release(&mut self, units: u128) {
        self.held = self.held.saturating_sub(units);
    }

    /// Turns held units into spent ones, at the time of the last tick.
    pub(crate) fn spend(&mut self, units: u128) {
        self.release(units);
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        for tally in &mut self.tallies {
            tally.add(self.latest, units);
        }
    }

    /// Nothing in any window: forgetting the cell changes no answer.
    pub(crate) fn is_idle(&mut self, now: Nanos) -> bool {
        self.tick(now);
        self.held == 0 && self.tallies.iter().all(Tally::is_empty)
    }

    /// The same quota goes on counting; a new one starts from the shortest history that covers its window, else the longest.
    fn carry_over(&self, quota: &Quota) -> Tally {
        let distance = |old: &Quota| {
            let (old, new) = (old.window_nanos(), quota.window_nanos());
            (old < new, old.abs_diff(new))
        };
        let from = self
            .quotas()
            .min_by_key(|(_, old, tally)| (*old != quota, distance(old), matches!(tally, Tally::Bucket(_))));
        match from {
            Some((_, old, tally)) if old == quota => tally.clone(),
            Some((_, _, tally)) => Tally::seeded(quota, tally, self.latest),
            None => Tally::new(quota),
        }
    }

    fn quotas(&self) -> impl Iterator<Item = (usize, &Quota, &Tally)> {
        self.meter.quotas().iter().zip(&self.tallies).enumerate().map(|(index, (quota, tally))| (index, quota, tally))
    }
}
