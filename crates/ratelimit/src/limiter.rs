//! Grants all demands of a call in one atomic step, or none.

use crate::{
    Clock, Limited, Meter, MonotonicClock, QuotaSet, Remaining, Reservation,
    cell::{Cell, SharedCell},
    clock::nanos,
    keys::Keys,
    reservation::Hold,
    sync::{MutexGuard, lock},
};
use smallvec::SmallVec;
use std::{hash::Hash, sync::Arc, time::Duration};

/// A wish to count `cost` units for `key` on `meter`.
#[derive(Clone, Debug)]
pub struct Demand<'a, K> {
    pub key: K,
    pub meter: &'a Arc<Meter>,
    /// Which of the meter's quotas must hold. All of them count, enforced or not.
    pub enforced: QuotaSet,
    pub cost: u64,
}

/// Counts for many keys. Shared by reference; all methods take `&self` and none blocks for longer than a few steps of another.
#[derive(Debug)]
pub struct Limiter<K: Eq + Hash, C: Clock = MonotonicClock> {
    keys: Keys<K>,
    clock: C,
}

/// The demands on one key, in the order they were asked; the index is the one in the call.
type Asked<'a, 'b, K> = [(usize, &'a Demand<'b, K>)];

impl<K: Clone + Ord + Hash, C: Clock> Limiter<K, C> {
    /// Counts at most `max_keys` keys at a time; beyond, new keys are refused until an old one is idle.
    pub fn new(max_keys: usize, clock: C) -> Self {
        Self { keys: Keys::new(max_keys), clock }
    }

    /// Holds the cost of every demand, or changes nothing. A key that is asked twice is asked for the sum.
    pub fn reserve(&self, demands: &[Demand<'_, K>]) -> Result<Reservation<C>, Limited> {
        possible(demands)?;
        let mut asked: SmallVec<[(usize, &Demand<'_, K>); 4]> = demands.iter().enumerate().collect();
        // INVARIANT: cells are locked in the order of their keys, each once, so no two calls wait for each other.
        asked.sort_by(|(_, a), (_, b)| a.key.cmp(&b.key));
        let cells = self.cells(&asked)?;
        let mut locked: SmallVec<[MutexGuard<'_, Cell>; 2]> = cells.iter().map(|cell| lock(cell)).collect();

        let now = nanos(self.clock.now()); // after the locks: waiting for them is time passed
        let mut remaining = SmallVec::from_elem(None, demands.len());
        let mut longest: Option<(Duration, Limited)> = None;
        for (cell, asked) in locked.iter_mut().zip(by_key(&asked)) {
            cell.tick(now);
            let mut before = 0;
            for &(demand, Demand { meter, enforced, cost, .. }) in asked {
                cell.adapt(meter);
                match cell.check(now, *enforced, *cost, before) {
                    Ok(tightest) => set(&mut remaining, demand, tightest),
                    Err(exhausted) => {
                        let retry_after = Duration::from_nanos(exhausted.wait);
                        if longest.is_none_or(|(other, _)| retry_after > other) {
                            longest =
                                Some((retry_after, Limited::Exhausted { demand, quota: exhausted.quota, retry_after }));
                        }
                    }
                }
                before += u128::from(*cost);
            }
        }
        if let Some((_, limited)) = longest {
            return Err(limited);
        }

        let costs: SmallVec<[u128; 2]> = by_key(&asked).map(total).collect();
        for (cell, cost) in locked.iter_mut().zip(&costs) {
            cell.hold(*cost);
        }
        drop(locked);
        let holds = cells.into_iter().zip(costs).map(|(cell, units)| Hold { cell, units }).collect();
        Ok(Reservation::new(self.clock.clone(), holds, remaining))
    }

    /// Counts what was spent so long ago, before there was this limiter. What is older than what the key counted already counts from
    /// then. False if there is no room for the key: nothing is counted then.
    pub fn restore(&self, key: &K, meter: &Arc<Meter>, cost: u64, age: Duration) -> bool {
        let then = nanos(self.clock.now()).saturating_sub(nanos(age));
        let Some(cell) = self.keys.cell(key, meter, || then) else { return false };
        let mut cell = lock(&cell);
        cell.tick(then);
        cell.adapt(meter);
        cell.spend(cost.into());
        true
    }

    /// Forgets the keys that have nothing in any window and nothing held; says how many.
    pub fn evict_idle(&self) -> usize {
        self.keys.evict_idle(nanos(self.clock.now()))
    }

    /// How many keys are counted at present.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    fn cells(&self, asked: &Asked<'_, '_, K>) -> Result<SmallVec<[SharedCell; 2]>, Limited> {
        by_key(asked)
            .filter_map(|asked| asked.first())
            .map(|(index, demand)| {
                let cell = self.keys.cell(&demand.key, demand.meter, || nanos(self.clock.now()));
                cell.ok_or(Limited::Full { demand: *index })
            })
            .collect()
    }
}

/// Refuses what could not pass at any time, before anything is touched.
pub(crate) fn possible<K>(demands: &[Demand<'_, K>]) -> Result<(), Limited> {
    for (demand, Demand { meter, enforced, cost, .. }) in demands.iter().enumerate() {
        if let Some(quota) = enforced.highest().filter(|highest| *highest >= meter.quotas().len()) {
            return Err(Limited::NoSuchQuota { demand, quota });
        }
        let too_small =
            |(index, quota): &(usize, &crate::Quota)| enforced.contains(*index) && quota.max().get() < *cost;
        if let Some((quota, _)) = meter.quotas().iter().enumerate().find(too_small) {
            return Err(Limited::TooCostly { demand, quota });
        }
    }
    Ok(())
}

fn by_key<'s, 'a, 'b, K: Eq>(asked: &'s Asked<'a, 'b, K>) -> impl Iterator<Item = &'s Asked<'a, 'b, K>> {
    asked.chunk_by(|(_, a), (_, b)| a.key == b.key)
}

fn total<K>(asked: &Asked<'_, '_, K>) -> u128 {
    asked.iter().map(|(_, demand)| u128::from(demand.cost)).sum()
}

fn set(remaining: &mut [Option<Remaining>], demand: usize, tightest: Option<Remaining>) {
    if let Some(place) = remaining.get_mut(demand) {
        *place = tightest;
    }
}
