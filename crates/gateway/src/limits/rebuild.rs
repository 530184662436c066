//! Counts what the audit journal says was let through before a restart: the last window of it, and never too little.
//!
//! A call is counted as of its end, for it left before; one whose end nobody recorded as of now. One whose end says that it never left is
//! not counted.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use journal::Reader;
use ratelimit::{Clock, Meter};
use serde::Deserialize;

use super::charge::Charged;
use super::key::LimitKey;
use super::{Counts, Limits};
use crate::policies::Bound;

/// What a journal gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rebuilt {
    /// Calls that were counted, and of those the ones whose end is not known.
    pub(crate) calls: u64,
    pub(crate) open: u64,
    /// Counts for which there was no room.
    pub(crate) lost: u64,
}

/// As much of a record as is asked for here.
#[derive(Deserialize)]
struct Record<'r> {
    #[serde(borrow)]
    kind: Cow<'r, str>,
    seq: u64,
    #[serde(borrow)]
    time: Cow<'r, str>,
    #[serde(borrow, default)]
    agent: Cow<'r, str>,
    #[serde(borrow, default)]
    server: Cow<'r, str>,
    #[serde(borrow, default)]
    outcome: Cow<'r, str>,
    #[serde(borrow)]
    charged: Option<Charged<'r>>,
    of: Option<u64>,
    sent: Option<bool>,
}

/// The policies in force, by the names under which they count, and have counted.
pub(crate) type Policies = HashMap<Arc<str>, Arc<Bound>>;

impl Limits {
    /// Counts again what a journal in `folder` says; a store of its own has not forgotten anything.
    pub(crate) fn rebuild(&self, folder: &Path, policies: &Policies) -> io::Result<Rebuilt> {
        match self {
            Self::Memory(counts) => counts.rebuild(folder, policies, SystemTime::now()),
            Self::Redis(..) => Ok(Rebuilt::default()),
        }
    }
}

impl<C: Clock> Counts<C> {
    fn rebuild(&self, folder: &Path, policies: &Policies, now: SystemTime) -> io::Result<Rebuilt> {
        let meters = policies.values().flat_map(|bound| &bound.meters);
        let Some(longest) = meters.flat_map(|meter| meter.quotas()).map(ratelimit::Quota::window).max() else {
            return Ok(Rebuilt::default());
        };
        let age = |time: &str| {
            let time = crate::replay::time(time).ok()?;
            Some(now.duration_since(time).unwrap_or_default())
        };
        let begins_too_early = |first: &str| {
            serde_json::from_str::<Record<'_>>(first)
                .ok()
                .and_then(|record| age(&record.time))
                .is_some_and(|age| age > longest)
        };
        let mut reader = Reader::from_last(folder, begins_too_early)?;
        let (mut open, mut rebuilt) = (HashMap::<u64, Vec<(LimitKey, u64)>>::new(), Rebuilt::default());
        while let Some(line) = reader.next_line()? {
            // Most lines are neither.
            if !line.contains("\"charged\"") && !line.contains("\"outcome\",") {
                continue;
            }
            let Ok(record) = serde_json::from_str::<Record<'_>>(&line) else { continue };
            match (&*record.kind, record.charged, record.of) {
                ("decision", Some(charged), _) => {
                    open.insert(record.seq, charged.counts(&record.agent, &record.server).collect());
                }
                // That of a further round says nothing of when it left.
                ("outcome", _, Some(of)) if record.outcome != "round" => {
                    let Some(counts) = open.remove(&of) else { continue };
                    if record.sent != Some(false) {
                        rebuilt.calls += 1;
                        rebuilt.lost += self.restore(counts, policies, age(&record.time).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        rebuilt.open = open.len() as u64;
        rebuilt.calls += rebuilt.open;
        for counts in open.into_values() {
            rebuilt.lost += self.restore(counts, policies, Duration::ZERO);
        }
        Ok(rebuilt)
    }

    /// How many found no room.
    fn restore(&self, counts: Vec<(LimitKey, u64)>, policies: &Policies, age: Duration) -> u64 {
        let known = counts.into_iter().filter_map(|(key, cost)| {
            let bound = policies.get(&key.policy)?;
            let meter = meter(bound, &key)?;
            Some((meter, LimitKey { policy: Arc::clone(&bound.name), ..key }, cost))
        });
        let restored = known.map(|(meter, key, cost)| self.0.restore(&key, meter, cost, age));
        restored.filter(|has_room| !has_room).count() as u64
    }
}

fn meter<'p>(bound: &'p Bound, key: &LimitKey) -> Option<&'p Arc<Meter>> {
    let is_it = |counter: &policy::Counter| counter.name.as_str() == &*key.counter && key.per.is(counter.per);
    bound.meters.get(bound.policy.counters().iter().position(is_it)?)
}

#[cfg(test)]
mod tests;
