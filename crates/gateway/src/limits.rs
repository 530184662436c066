//! Adapts what a permit owes to what a limiter counts: in memory, or in a store that many gateways share.

mod charge;
mod held;
mod key;
mod rebuild;

use std::sync::Arc;
use std::time::Duration;

use policy::{Owed, Permitted, RulePointer};
use ratelimit::{Clock, Demand, Limited, Limiter, MonotonicClock, Refused, Remote, Reservation};
use redis_link::Address;

pub(crate) use self::charge::Charge;
pub(crate) use self::held::{Fate, Held};
use self::key::LimitKey;
pub(crate) use self::key::Place;
use crate::config::{self, LimitStore};
use crate::policies::Bound;

/// The time before the gateway started, for counts that are older than it: longer than any window.
const PAST: Duration = Duration::from_secs(2 * 366 * 24 * 60 * 60);

/// How long a store that nobody knows grants nothing: longer than it takes every other gateway to say that it knew another.
const SETTLE: Duration = Duration::from_secs(3);

/// How often it is looked whether the store is there, for the log.
const LOOK: Duration = Duration::from_millis(250);

/// Where calls are counted.
pub(crate) enum Limits {
    Memory(Counts),
    Redis(Arc<Remote>, Address),
}

/// Counts in memory.
pub(crate) struct Counts<C: Clock = MonotonicClock>(Limiter<LimitKey, C>);

/// A limit that refused a call.
#[derive(Clone, Debug)]
pub(crate) struct OverLimit {
    pub(crate) why: Why,
    /// None where the table of counts is full.
    pub(crate) rule: Option<RulePointer>,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is used up, or can never be enough; or there is no room to count.
    Reached,
    /// The store lost counts: until a window is over, nobody knows what is left.
    Lost,
    /// The store does not answer as it should.
    Unavailable,
}

impl Limits {
    pub(crate) fn new(settings: &config::Limits) -> Result<Self, redis_link::InvalidAddress> {
        match &settings.store {
            LimitStore::Memory => Ok(Self::Memory(Counts::by(settings.keys.get(), MonotonicClock::ahead_by(PAST)))),
            LimitStore::Redis(address) => {
                let (address, prefix, timeout) = (address.clone(), settings.prefix.clone(), settings.timeout);
                let shown = address.clone();
                let settings = ratelimit::Settings { address, prefix, timeout, settle: SETTLE };
                Remote::new(settings).map(|remote| Self::Redis(Arc::new(remote), shown))
            }
        }
    }

    /// All that the call owes, in one step, or nothing. None when it owes nothing.
    pub(crate) async fn reserve(
        &self,
        bound: &Bound,
        permitted: &Permitted<'_>,
        place: &Place<'_>,
    ) -> Result<Option<Held>, OverLimit> {
        match self {
            Self::Memory(counts) => Ok(counts.reserve(bound, permitted, place)?.map(Held::memory)),
            // Boxed, so that what most calls wait in does not grow with what few wait for.
            Self::Redis(remote, _) => Box::pin(elsewhere(remote, bound, permitted, place)).await,
        }
    }

    pub(crate) fn evict_idle(&self) {
        match self {
            Self::Memory(counts) => drop(counts.0.evict_idle()),
            Self::Redis(..) => {} // the store forgets by itself
        }
    }

    /// Keeps the store reached, for ever.
    pub(crate) async fn keep(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Redis(remote, address) => _ = tokio::join!(remote.keep(), tells(remote, address)),
        }
    }

    /// None where there is no store that could fail.
    pub(crate) fn status(&self) -> Option<ratelimit::Status> {
        match self {
            Self::Memory(_) => None,
            Self::Redis(remote, _) => Some(remote.status()),
        }
    }
}

/// Says when the store is lost, and when it is back; for ever.
async fn tells(remote: &Remote, address: &Address) {
    let mut lost = false;
    loop {
        tokio::time::sleep(LOOK).await;
        match (remote.status().trouble, lost) {
            (Some(why), false) => {
                tracing::warn!(store = %address, error = %why, "the store of limits (`limits.store`) is lost");
                lost = true;
            }
            (None, true) => {
                tracing::info!(store = %address, "the store of limits (`limits.store`) is back");
                lost = false;
            }
            (Some(_), true) | (None, false) => {}
        }
    }
}

impl<C: Clock> Counts<C> {
    /// By a clock of the caller's.
    pub(crate) fn by(keys: usize, clock: C) -> Self {
        Self(Limiter::new(keys, clock))
    }

    pub(crate) fn reserve(
        &self,
        bound: &Bound,
        permitted: &Permitted<'_>,
        place: &Place<'_>,
    ) -> Result<Option<Reservation<C>>, OverLimit> {
        let owed = permitted.owed();
        if owed.is_empty() {
            return Ok(None);
        }
        let demands = demands(bound, owed, place)?;
        self.0.reserve(&demands).map(Some).map_err(|limited| over(bound, owed, &limited))
    }
}

async fn elsewhere(
    remote: &Arc<Remote>,
    bound: &Bound,
    permitted: &Permitted<'_>,
    place: &Place<'_>,
) -> Result<Option<Held>, OverLimit> {
    let owed = permitted.owed();
    if owed.is_empty() {
        return Ok(None);
    }
    let demands = demands(bound, owed, place)?;
    match remote.reserve(&demands).await {
        Ok(reservation) => Ok(Some(Held::remote(reservation))),
        Err(Refused::Limited(limited)) => Err(over(bound, owed, &limited)),
        Err(Refused::Unavailable { retry_after, .. }) => match refusing(bound, owed) {
            None => Ok(Some(Held::uncounted())),
            Some(rule) => Err(OverLimit { why: Why::Unavailable, rule: Some(rule), retry_after: Some(retry_after) }),
        },
    }
}

/// The limit that refuses what cannot be counted: the first one in force whose rule does not let it pass.
///
/// INVARIANT: nothing but the operator's own word in each of the rules makes a call pass that is not counted.
fn refusing(bound: &Bound, owed: &[Owed]) -> Option<RulePointer> {
    let limits = owed.iter().flat_map(|owed| {
        let limits = bound.policy.counters().get(owed.counter).map(|counter| counter.limits.as_slice());
        owed.enforced.iter().filter_map(move |index| limits?.get(*index))
    });
    limits.into_iter().find(|limit| !limit.passes_uncounted).map(|limit| limit.pointer.clone())
}

fn demands<'b>(bound: &'b Bound, owed: &[Owed], place: &Place<'_>) -> Result<Vec<Demand<'b, LimitKey>>, OverLimit> {
    let missing = || OverLimit { why: Why::Reached, rule: None, retry_after: None };
    let mut demands = Vec::with_capacity(owed.len());
    for owed in owed {
        let counter = bound.policy.counters().get(owed.counter).ok_or_else(missing)?;
        let meter = bound.meters.get(owed.counter).ok_or_else(missing)?;
        let key = place.key(counter);
        demands.push(Demand { key, meter, enforced: owed.enforced.iter().copied().collect(), cost: owed.cost });
    }
    Ok(demands)
}

fn over(bound: &Bound, owed: &[Owed], limited: &Limited) -> OverLimit {
    let (why, place) = match *limited {
        Limited::Exhausted { demand, quota, .. } | Limited::TooCostly { demand, quota } => {
            (Why::Reached, Some((demand, quota)))
        }
        Limited::NoSuchQuota { demand, quota } => (Why::Reached, Some((demand, quota))),
        Limited::Lost { demand, quota, .. } => (Why::Lost, Some((demand, quota))),
        Limited::Full { .. } => (Why::Reached, None),
    };
    let rule = place.and_then(|(demand, quota)| {
        let counter = bound.policy.counters().get(owed.get(demand)?.counter)?;
        Some(counter.limits.get(quota)?.pointer.clone())
    });
    OverLimit { why, rule, retry_after: limited.retry_after() }
}
