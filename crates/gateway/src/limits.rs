//! Adapts what a permit owes to what the limiter counts.

use std::sync::Arc;
use std::time::Duration;

use policy::{Per, Permitted, RulePointer};
use ratelimit::{Clock, Demand, Limited, Limiter, MonotonicClock, Reservation};

use crate::agent::Agent;
use crate::policies::Bound;

/// Whose count: a counter of one policy document, for one caller, session, server, or for all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LimitKey {
    policy: Arc<str>,
    counter: Box<str>,
    per: PerKey,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PerKey {
    Agent(Arc<str>),
    Session(Arc<str>),
    Server(Arc<str>),
    Gateway,
}

/// A limit that refused a call.
#[derive(Clone, Debug)]
pub(crate) struct OverLimit {
    /// None where the table of counts is full.
    pub(crate) rule: Option<RulePointer>,
    pub(crate) retry_after: Option<Duration>,
}

pub(crate) struct Limits<C: Clock = MonotonicClock>(Limiter<LimitKey, C>);

/// What a call holds until it leaves.
pub(crate) type Held<C = MonotonicClock> = Reservation<C>;

/// Who and where a call is, as far as limits ask.
pub(crate) struct Place<'a> {
    pub(crate) policy: &'a Arc<str>,
    pub(crate) server: &'a Arc<str>,
    pub(crate) agent: &'a Agent,
}

impl Limits {
    pub(crate) fn new(keys: usize) -> Self {
        Self::by(keys, MonotonicClock::default())
    }
}

impl<C: Clock> Limits<C> {
    /// By a clock of the caller's.
    pub(crate) fn by(keys: usize, clock: C) -> Self {
        Self(Limiter::new(keys, clock))
    }

    /// All that the call owes, in one step, or nothing. None when it owes nothing.
    pub(crate) fn reserve(
        &self,
        bound: &Bound,
        permitted: &Permitted<'_>,
        place: &Place<'_>,
    ) -> Result<Option<Held<C>>, OverLimit> {
        let owed = permitted.owed();
        if owed.is_empty() {
            return Ok(None);
        }
        let missing = || OverLimit { rule: None, retry_after: None };
        let mut demands = Vec::with_capacity(owed.len());
        for owed in owed {
            let counter = bound.policy.counters().get(owed.counter).ok_or_else(missing)?;
            let meter = bound.meters.get(owed.counter).ok_or_else(missing)?;
            let key = LimitKey {
                policy: Arc::clone(place.policy),
                counter: counter.name.as_str().into(),
                per: place.key(counter.per),
            };
            demands.push(Demand { key, meter, enforced: owed.enforced.iter().copied().collect(), cost: owed.cost });
        }
        self.0.reserve(&demands).map(Some).map_err(|limited| over(bound, permitted, &limited))
    }

    pub(crate) fn evict_idle(&self) -> usize {
        self.0.evict_idle()
    }
}

impl Place<'_> {
    fn key(&self, per: Per) -> PerKey {
        match per {
            Per::Agent => PerKey::Agent(Arc::clone(&self.agent.key)),
            Per::Session => PerKey::Session(Arc::clone(self.agent.session.as_ref().unwrap_or(&self.agent.key))),
            Per::Server => PerKey::Server(Arc::clone(self.server)),
            Per::Gateway => PerKey::Gateway,
        }
    }
}

fn over(bound: &Bound, permitted: &Permitted<'_>, limited: &Limited) -> OverLimit {
    let place = match *limited {
        Limited::Exhausted { demand, quota, .. } | Limited::TooCostly { demand, quota } => Some((demand, quota)),
        Limited::NoSuchQuota { demand, quota } => Some((demand, quota)),
        Limited::Full { .. } => None,
    };
    let rule = place.and_then(|(demand, quota)| {
        let counter = bound.policy.counters().get(permitted.owed().get(demand)?.counter)?;
        Some(counter.limits.get(quota)?.pointer.clone())
    });
    OverLimit { rule, retry_after: limited.retry_after() }
}
