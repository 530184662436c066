//! The limiter from outside: cases, contention, laws over random histories, and a second opinion on GCRA.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "how long a refusal takes is measured")]

mod both;
mod cases;
mod contention;
mod laws;
mod redis_faults;
mod smooth;

use ratelimit::{Algorithm, Clock, Demand, Limited, Limiter, ManualClock, Meter, Quota, QuotaSet, Reservation};
use std::{num::NonZeroU64, sync::Arc, time::Duration};

const MICRO: Duration = Duration::from_micros(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn quota(max: u64, window: Duration, algorithm: Algorithm) -> Quota {
    Quota::new(NonZeroU64::new(max).unwrap(), window, algorithm).unwrap()
}

fn window(max: u64, window: Duration) -> Quota {
    quota(max, window, Algorithm::Window)
}

fn meter(quotas: impl IntoIterator<Item = Quota>) -> Arc<Meter> {
    Arc::new(Meter::new(quotas).unwrap())
}

fn limiter(max_keys: usize) -> (Limiter<&'static str, ManualClock>, ManualClock) {
    let clock = ManualClock::default();
    (Limiter::new(max_keys, clock.clone()), clock)
}

/// All quotas of the meter enforced.
fn demand<K>(key: K, meter: &Arc<Meter>, cost: u64) -> Demand<'_, K> {
    Demand { key, meter, enforced: (0..meter.quotas().len()).collect(), cost }
}

/// One unit for one key.
fn one<C: Clock>(
    limiter: &Limiter<&'static str, C>,
    key: &'static str,
    meter: &Arc<Meter>,
) -> Result<Reservation<C>, Limited> {
    limiter.reserve(&[demand(key, meter, 1)])
}

fn exhausted(demand: usize, quota: usize, retry_after: Duration) -> Limited {
    Limited::Exhausted { demand, quota, retry_after }
}

/// Asks without taking: what the tightest quota has left.
fn left<C: Clock>(limiter: &Limiter<&'static str, C>, key: &'static str, meter: &Arc<Meter>) -> u64 {
    limiter.reserve(&[demand(key, meter, 0)]).unwrap().remaining(0).unwrap().units
}

fn enforce(indices: impl IntoIterator<Item = usize>) -> QuotaSet {
    indices.into_iter().collect()
}
