//! GCRA as a bucket that drains at a steady rate. Integers only, so nothing drifts.

use crate::clock::Nanos;

/// Filled in units of 1/`window`: one unit weighs `window`, a nanosecond drains `max`. So a full bucket (`max` units) drains in one window.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    max: u64,
    window: Nanos,
    level: u128,
    at: Nanos,
}

impl Bucket {
    pub(crate) fn new(max: u64, window: Nanos) -> Self {
        Self { max, window, level: 0, at: 0 }
    }

    pub(crate) fn drain(&mut self, now: Nanos) {
        let drained = u128::from(now.saturating_sub(self.at)) * u128::from(self.max);
        self.level = self.level.saturating_sub(drained);
        self.at = now;
    }

    /// After `drain`. What is only counted and not enforced may run over: the bucket stays full, it does not owe.
    pub(crate) fn add(&mut self, units: u64) {
        self.level = self.level.saturating_add(self.weight(units.into())).min(self.full());
    }

    /// Whole units that still fit. Rounded down.
    pub(crate) fn room(&self) -> u128 {
        (self.full() - self.level) / u128::from(self.window)
    }

    /// Units that are in there. Rounded up.
    pub(crate) fn used(&self) -> u128 {
        self.level.div_ceil(u128::from(self.window))
    }

    /// How long until `units` fit. For more than `max`, what is above drains first.
    pub(crate) fn wait(&self, units: u128) -> Nanos {
        let weight = units.checked_mul(self.window.into());
        let over =
            weight.and_then(|weight| self.level.checked_add(weight)).map(|level| level.saturating_sub(self.full()));
        over.and_then(|over| Nanos::try_from(over.div_ceil(self.max.into())).ok()).unwrap_or(Nanos::MAX)
    }

    fn full(&self) -> u128 {
        self.weight(self.max.into())
    }

    fn weight(&self, units: u128) -> u128 {
        units.saturating_mul(self.window.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spends: &[(Nanos, u64)], now: Nanos, (room, used): (u128, u128), (units, wait): (u128, Nanos)) {
        let mut bucket = Bucket::new(10, 100);
        for &(at, units) in spends {
            bucket.drain(at);
            bucket.add(units);
        }
        bucket.drain(now);
        assert_eq!((bucket.room(), bucket.used(), bucket.wait(units)), (room, used, wait), "{spends:?} at {now}");
    }

    #[test]
    fn drains_one_unit_per_tenth_of_the_window() {
        check(&[], 0, (10, 0), (10, 0));
        check(&[(0, 10)], 0, (0, 10), (1, 10));
        check(&[(0, 10)], 9, (0, 10), (1, 1));
        check(&[(0, 10)], 10, (1, 9), (1, 0));
        check(&[(0, 10)], 15, (1, 9), (3, 15));
        check(&[(0, 10)], 100, (10, 0), (10, 0));
        check(&[(0, 4), (5, 4)], 5, (2, 8), (3, 5));
        check(&[(0, 4), (5, 4)], Nanos::MAX, (10, 0), (1, 0));
        check(&[(0, 10)], 0, (0, 10), (12, 120)); // 12 never fit: the time until their overflow is gone
    }

    #[test]
    fn an_unenforced_flood_leaves_it_full_and_no_more() {
        check(&[(0, u64::MAX), (0, u64::MAX)], 0, (0, 10), (1, 10));
    }

    #[test]
    fn the_largest_quota_does_not_overflow() {
        let mut bucket = Bucket::new(u64::MAX, Nanos::MAX);
        bucket.add(u64::MAX);
        assert_eq!((bucket.room(), bucket.wait(1)), (0, 1));
        bucket.drain(Nanos::MAX);
        assert_eq!((bucket.used(), bucket.room()), (0, u64::MAX.into()));
        assert_eq!(bucket.wait(u128::MAX), Nanos::MAX);
    }
}
