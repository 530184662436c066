//! How long ago the store was known to say what is in force. Too long, and calls are refused: a right that was taken away in the
//! meantime must not go on for ever.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::refusal::Refusal;

/// Credentials that cannot be used of which readiness tells.
const MAX_TOLD: usize = 100;

/// Of what is in force.
pub(crate) struct Standing {
    /// None where there is no store: then nothing grows old.
    stale: Option<Duration>,
    began: Instant,
    /// Milliseconds after `began`.
    confirmed: AtomicU64,
    /// It did not answer when it was asked last.
    away: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Credentials that cannot be used.
    unusable: Mutex<Vec<String>>,
}

impl Standing {
    pub(crate) fn new(stale: Option<Duration>) -> Self {
        Self {
            stale,
            began: Instant::now(),
            confirmed: AtomicU64::new(0),
            away: AtomicBool::new(false),
            trouble: Mutex::default(),
            unusable: Mutex::default(),
        }
    }

    /// INVARIANT: asked for every call, whether anything is known to be amiss or not.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let Some(stale) = self.stale else { return Ok(()) };
        let confirmed = Duration::from_millis(self.confirmed.load(Ordering::Relaxed));
        match self.began.elapsed().saturating_sub(confirmed) > stale {
            true => Err(Refusal::Stale),
            false => Ok(()),
        }
    }

    /// Is it known that the store would not answer now? Then nobody need wait to find out.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// What is in force is what the store says, as of `when`.
    pub(super) fn confirmed(&self, when: Instant) {
        self.answered(when);
        if self.trouble().take().is_some() {
            tracing::info!("the store is read again");
        }
    }

    /// The store says something else, which cannot be put in force. What it takes away from agents is.
    pub(super) fn refused(&self, when: Instant, why: &str) {
        self.answered(when);
        self.note(format!("what the store says is not in force: {why}"));
    }

    fn answered(&self, when: Instant) {
        let since = u64::try_from((when - self.began).as_millis()).unwrap_or(u64::MAX);
        self.confirmed.fetch_max(since, Ordering::Relaxed);
        self.away.store(false, Ordering::Relaxed);
    }

    pub(super) fn lost(&self, why: &str) {
        self.away.store(true, Ordering::Relaxed);
        self.note(format!("the store cannot be read: {why}"));
    }

    fn note(&self, why: String) {
        let mut trouble = self.trouble();
        if trouble.as_ref() != Some(&why) {
            tracing::error!(error = %why, "what was in force stays in force");
        }
        *trouble = Some(why);
    }

    /// All of them: what was unusable before and is not among them is no longer.
    pub(super) fn unusable(&self, now: Vec<String>) {
        let mut unusable = self.unusable.lock().unwrap_or_else(PoisonError::into_inner);
        for why in now.iter().filter(|why| !unusable.contains(why)) {
            tracing::error!(error = %why, "calls are refused for want of a credential");
        }
        *unusable = now;
    }

    /// For readiness: a line for each.
    pub(crate) fn wanting(&self) -> Vec<String> {
        let unusable = self.unusable.lock().unwrap_or_else(PoisonError::into_inner);
        let more = unusable.len().checked_sub(MAX_TOLD).filter(|more| *more > 0);
        let more = more.map(|more| format!("and {more} more credentials that cannot be used"));
        unusable.iter().take(MAX_TOLD).cloned().chain(more).collect()
    }

    /// For readiness.
    pub(crate) fn told(&self) -> Option<String> {
        self.trouble().clone()
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_credentials_it_is_said_how_many_more() {
        let standing = Standing::new(None);
        let wanting = |count: usize| {
            standing.unusable((0..count).map(|n| format!("credential {n}")).collect());
            standing.wanting()
        };
        assert!(wanting(0).is_empty());
        assert_eq!(wanting(MAX_TOLD).last().unwrap(), "credential 99");
        assert_eq!(wanting(MAX_TOLD + 3).split_off(MAX_TOLD), ["and 3 more credentials that cannot be used"]);
    }
}
