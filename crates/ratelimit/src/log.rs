//! The sliding log: who was counted when, and no longer than needed.

use crate::clock::Nanos;
use std::collections::VecDeque;

/// So many instants are kept exactly; beyond, they are merged into slots.
const EXACT_ENTRIES: usize = 1024;
/// Slots per window when merged.
const SLOTS: Nanos = 128;

/// Units counted at an instant, or merged ones at the youngest of their instants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Nanos,
    pub(crate) units: u64,
}

// INVARIANT: entries rise strictly in time, and `used` is their sum.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    window: Nanos,
    used: u128,
    merged: bool,
    entries: VecDeque<Entry>,
}

impl Log {
    /// Allocates nothing: most keys are idle most of the time.
    pub(crate) fn new(window: Nanos) -> Self {
        Self { window, used: 0, merged: false, entries: VecDeque::new() }
    }

    /// The units in `(now - window, now]`, after `expire(now)`.
    pub(crate) fn used(&self) -> u128 {
        self.used
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().copied()
    }

    pub(crate) fn expire(&mut self, now: Nanos) {
        // Half-open: what was counted exactly one window ago has left. Subtracted, not added: a sum could overflow into the past.
        while let Some(entry) = self.entries.pop_front_if(|entry| now.saturating_sub(entry.at) >= self.window) {
            self.used -= u128::from(entry.units);
        }
        self.merged &= !self.entries.is_empty();
    }

    /// Counts units at `now`, which is not before any earlier entry.
    pub(crate) fn add(&mut self, now: Nanos, units: u64) {
        if units == 0 {
            return;
        }
        let slot = self.slot();
        match self.entries.back_mut() {
            Some(last) if last.at == now || (self.merged && last.at / slot == now / slot) => {
                self.used -= u128::from(last.units);
                merge(last, Entry { at: now, units });
                self.used += u128::from(last.units);
            }
            _ => {
                self.entries.push_back(Entry { at: now, units });
                self.used += u128::from(units);
            }
        }
        if !self.merged && self.entries.len() > EXACT_ENTRIES {
            self.merge_slots();
        }
    }

    /// How long until `excess` units have left. What is not in the log is only held, and taken as counted now.
    pub(crate) fn wait(&self, now: Nanos, excess: u128) -> Nanos {
        let mut left = 0;
        let last = self.entries.iter().find(|entry| {
            left += u128::from(entry.units);
            left >= excess
        });
        last.map_or(self.window, |entry| self.window.saturating_sub(now.saturating_sub(entry.at)))
    }

    fn merge_slots(&mut self) {
        let slot = self.slot();
        let mut slots: VecDeque<Entry> = VecDeque::new();
        for entry in self.entries.drain(..) {
            match slots.back_mut() {
                Some(last) if last.at / slot == entry.at / slot => merge(last, entry),
                _ => slots.push_back(entry),
            }
        }
        self.used = slots.iter().map(|entry| u128::from(entry.units)).sum();
        self.entries = slots;
        self.merged = true;
    }

    /// Rounded up, so that a window never spans more than `SLOTS + 1` of them.
    fn slot(&self) -> Nanos {
        self.window.div_ceil(SLOTS).max(1)
    }
}

/// The younger instant counts for both. Saturates only where the sum is above every possible `max` anyway.
fn merge(older: &mut Entry, younger: Entry) {
    older.at = younger.at;
    older.units = older.units.saturating_add(younger.units);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Nanos = 128_000;

    /// What a log of unlimited length says: the units that are younger than the window.
    fn exact(history: &[Entry], now: Nanos, window: Nanos) -> u128 {
        history.iter().filter(|entry| now - entry.at < window).map(|entry| u128::from(entry.units)).sum()
    }

    #[track_caller]
    fn check(spends: &[(Nanos, u64)], now: Nanos, used: u128, (excess, wait): (u128, Nanos)) {
        let mut log = Log::new(100);
        for &(at, units) in spends {
            log.expire(at);
            log.add(at, units);
        }
        log.expire(now);
        assert_eq!((log.used(), log.wait(now, excess)), (used, wait), "{spends:?} at {now}");
    }

    #[test]
    fn units_leave_one_window_after_they_came() {
        check(&[(0, 1)], 0, 1, (1, 100));
        check(&[(0, 1)], 99, 1, (1, 1));
        check(&[(0, 1)], 100, 0, (1, 100));
        check(&[(0, 3), (50, 4)], 60, 7, (3, 40));
        check(&[(0, 3), (50, 4)], 60, 7, (4, 90));
        check(&[(0, 3), (50, 4)], 110, 4, (1, 40));
        check(&[(7, 0)], 8, 0, (1, 100));
        check(&[(0, 1)], 60, 1, (2, 100)); // the second unit is only held
        check(&[(0, u64::MAX), (0, u64::MAX), (1, 5)], 2, u128::from(u64::MAX) + 5, (1, 98));
        check(&[(Nanos::MAX, 1)], Nanos::MAX, 1, (1, 100));
    }

    #[test]
    fn a_busy_log_is_bounded_and_exact_again_when_empty() {
        let mut log = Log::new(WINDOW);
        for at in 0..1024 {
            log.add(at, 1);
        }
        assert!(!log.merged);
        for at in 1024..10 * WINDOW {
            log.expire(at);
            log.add(at, 1);
            assert!(log.entries.len() <= 130);
            let exact = u128::from(WINDOW.min(at + 1));
            let counted = exact..=exact + u128::from(log.slot());
            assert!(counted.contains(&log.used()), "{} instead of {exact}", log.used());
        }
        log.expire(11 * WINDOW);
        assert_eq!((log.used(), log.merged), (0, false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn never_counts_less_than_was_spent_nor_much_longer(
            // Mostly small steps: only a crowded window is merged.
            steps in prop::collection::vec((prop_oneof![1_500 => 0..150_u64, 500 => Just(0), 1 => 0..WINDOW], 0..9_u64), 2_000..4_000),
            window in prop_oneof![3 => Just(WINDOW), 1 => 1..500_u64],
        ) {
            let (mut log, mut history, mut now) = (Log::new(window), Vec::new(), 0);
            for (number, (step, units)) in steps.into_iter().enumerate() {
                now += step;
                log.expire(now);
                log.add(now, units);
                history.push(Entry { at: now, units });
                if number % 8 != 0 {
                    continue; // counting all that was ever added is slow
                }
                history.retain(|entry| now - entry.at < 2 * window);
                prop_assert!(log.used() >= exact(&history, now, window));
                prop_assert!(log.used() <= exact(&history, now, window + log.slot()));
                prop_assert!(log.merged || log.used() == exact(&history, now, window));
                prop_assert!(log.entries.len() <= EXACT_ENTRIES);
                prop_assert!(!log.merged || log.entries.len() <= 130);
            }
        }
    }
}
