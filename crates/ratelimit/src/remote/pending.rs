//! Reservations that may need another word: those that are still held, those that left late, and those that never left.

use super::{call::Call, reply::Epoch};
use smallvec::SmallVec;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Reservations that may wait to be moved or given back. What comes on top stays as it was counted.
const MOST: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Pending {
    next: u64,
    grants: HashMap<u64, Grant>,
    /// Whose fate is known, and which the store has not heard yet; in the order in which it was decided.
    decided: VecDeque<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) call: Call,
    pub(super) epoch: Epoch,
    /// When each key counted it, by the server's clock.
    pub(super) nows: SmallVec<[u64; 2]>,
    /// The same by ours: certainly not after it.
    pub(super) since: Duration,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Held,
    /// It left later than it was counted.
    Left,
    /// It never will.
    Stayed,
}

impl Pending {
    pub(super) fn grant(&mut self, call: Call, epoch: Epoch, nows: SmallVec<[u64; 2]>, since: Duration) -> u64 {
        self.next += 1;
        self.grants.insert(self.next, Grant { call, epoch, nows, since, fate: Fate::Held });
        self.next
    }

    /// True where that must be told.
    pub(super) fn leaves(&mut self, ticket: u64, now: Duration) -> bool {
        let Some(grant) = self.grants.get(&ticket) else { return false };
        if now.saturating_sub(grant.since) <= grant.call.grace() {
            self.grants.remove(&ticket);
            return false;
        }
        self.decide(ticket, Fate::Left)
    }

    pub(super) fn stays(&mut self, ticket: u64) {
        self.decide(ticket, Fate::Stayed);
    }

    fn decide(&mut self, ticket: u64, fate: Fate) -> bool {
        if self.decided.len() >= MOST {
            self.grants.remove(&ticket); // it stays counted as it was
            return false;
        }
        if let Some(grant) = self.grants.get_mut(&ticket) {
            grant.fate = fate;
            self.decided.push_back(ticket);
        }
        true
    }

    /// What is to be told next, the oldest first.
    pub(super) fn decided(&self, most: usize) -> Vec<(u64, Grant)> {
        let known = |ticket: &u64| Some((*ticket, self.grants.get(ticket)?.clone()));
        self.decided.iter().filter_map(known).take(most).collect()
    }

    /// It was told, or cannot be.
    pub(super) fn told(&mut self, ticket: u64) {
        self.grants.remove(&ticket);
        while self.decided.front().is_some_and(|first| !self.grants.contains_key(first)) {
            self.decided.pop_front();
        }
    }

    /// What is held for so long that it must be counted anew.
    pub(super) fn stale(&self, now: Duration, most: usize) -> Vec<(u64, Grant)> {
        let is_stale =
            |grant: &Grant| grant.fate == Fate::Held && now.saturating_sub(grant.since) >= grant.call.refresh();
        let stale = self.grants.iter().filter(|(_, grant)| is_stale(grant));
        stale.map(|(ticket, grant)| (*ticket, grant.clone())).take(most).collect()
    }

    /// It was counted anew.
    pub(super) fn moved(&mut self, ticket: u64, epoch: Epoch, nows: SmallVec<[u64; 2]>, since: Duration) {
        if let Some(grant) = self.grants.get_mut(&ticket) {
            (grant.epoch, grant.nows, grant.since) = (epoch, nows, since);
        }
    }

    pub(super) fn untold(&self, now: Duration) -> usize {
        self.decided.len() + self.stale(now, usize::MAX).len()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
