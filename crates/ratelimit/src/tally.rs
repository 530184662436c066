//! What one quota remembers, whichever way it counts.

use crate::{Algorithm, Quota, bucket::Bucket, clock::Nanos, log::Entry, log::Log};

#[derive(Clone, Debug)]
pub(crate) enum Tally {
    Log(Log),
    Bucket(Bucket),
}

impl Tally {
    pub(crate) fn new(quota: &Quota) -> Self {
        match quota.algorithm() {
            Algorithm::Window => Self::Log(Log::new(quota.window_nanos())),
            Algorithm::Smooth => Self::Bucket(Bucket::new(quota.max().get(), quota.window_nanos())),
        }
    }

    /// Starts from what another tally knows, at its present time.
    pub(crate) fn seeded(quota: &Quota, from: &Self, now: Nanos) -> Self {
        let mut tally = Self::new(quota);
        let mut add = |entry: Entry| {
            tally.expire(entry.at);
            tally.add(entry.at, entry.units);
        };
        match from {
            Self::Log(log) => log.entries().for_each(add),
            // A bucket knows no instants: as young as can be is the strict side.
            Self::Bucket(bucket) => add(Entry { at: now, units: u64::try_from(bucket.used()).unwrap_or(u64::MAX) }),
        }
        tally.expire(now);
        tally
    }

    /// Forgets what `now` lets it forget. Everything below speaks of the time of the last call.
    pub(crate) fn expire(&mut self, now: Nanos) {
        match self {
            Self::Log(log) => log.expire(now),
            Self::Bucket(bucket) => bucket.drain(now),
        }
    }

    pub(crate) fn add(&mut self, now: Nanos, units: u64) {
        match self {
            Self::Log(log) => log.add(now, units),
            Self::Bucket(bucket) => bucket.add(units),
        }
    }

    /// Units that still fit under `max`.
    pub(crate) fn room(&self, max: u64) -> u128 {
        match self {
            Self::Log(log) => u128::from(max).saturating_sub(log.used()),
            Self::Bucket(bucket) => bucket.room(),
        }
    }

    /// How long until `units` fit under `max`.
    pub(crate) fn wait(&self, now: Nanos, units: u128, max: u64) -> Nanos {
        match self {
            Self::Log(log) => log.wait(now, log.used().saturating_add(units).saturating_sub(max.into())),
            Self::Bucket(bucket) => bucket.wait(units),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Log(log) => log.used() == 0,
            Self::Bucket(bucket) => bucket.used() == 0,
        }
    }
}
