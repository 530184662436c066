//! All keys and their cells: bounded, because keys come from outside.

use crate::{
    Meter,
    cell::{Cell, SharedCell},
    clock::Nanos,
    map::Map,
    sync::{Arc, AtomicUsize, Mutex, Ordering, lock},
};
use std::{collections::VecDeque, hash::Hash, sync::PoisonError};

/// How many keys are looked at to find an idle one when there is no room: the price of a new key stays bounded.
const PROBES: usize = 16;

#[derive(Debug)]
pub(crate) struct Keys<K: Eq + Hash> {
    map: Map<K>,
    cap: usize,
    /// How many more keys may come. Counts only; what it guards is ordered by the map's own locks.
    room: AtomicUsize,
    // INVARIANT: every key of the map once (or is about to be pushed). Only its owner removes from the map, so none is forgotten.
    turns: Mutex<VecDeque<K>>,
}

impl<K: Clone + Eq + Hash> Keys<K> {
    pub(crate) fn new(cap: usize) -> Self {
        Self { map: Map::new(), cap, room: AtomicUsize::new(cap), turns: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn len(&self) -> usize {
        self.cap - self.room.load(Ordering::Relaxed)
    }

    /// The key's cell, made if there is room.
    pub(crate) fn cell(
        &self,
        key: &K,
        meter: &std::sync::Arc<Meter>,
        now: impl FnOnce() -> Nanos,
    ) -> Option<SharedCell> {
        if let Some(cell) = self.map.get(key) {
            return Some(cell);
        }
        if !self.take_room() && !self.make_room(now()) {
            return self.map.get(key); // somebody else may have taken the last place for this very key
        }
        let (cell, new) = self.map.get_or_insert(key.clone(), || Arc::new(Mutex::new(Cell::new(meter))));
        if new {
            lock(&self.turns).push_back(key.clone());
        } else {
            self.room.fetch_add(1, Ordering::Relaxed);
        }
        Some(cell)
    }

    /// Forgets every idle key, and says how many.
    pub(crate) fn evict_idle(&self, now: Nanos) -> usize {
        let mut evicted = 0;
        let mut left = lock(&self.turns).len();
        while left > 0 {
            let mut turns = lock(&self.turns); // anew for each batch: newcomers wait for a few looks, not for all
            for _ in 0..left.min(PROBES) {
                evicted += usize::from(self.evict_next(&mut turns, now));
            }
            left = left.saturating_sub(PROBES);
        }
        self.room.fetch_add(evicted, Ordering::Relaxed);
        evicted
    }

    fn take_room(&self) -> bool {
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1)).is_ok()
    }

    /// Evicts one idle key and keeps its place for the caller.
    fn make_room(&self, now: Nanos) -> bool {
        let mut turns = lock(&self.turns);
        (0..PROBES.min(turns.len())).any(|_| self.evict_next(&mut turns, now))
    }

    fn evict_next(&self, turns: &mut VecDeque<K>, now: Nanos) -> bool {
        let Some(key) = turns.pop_front() else { return false };
        // INVARIANT: unshared under the map's write lock = nobody holds units in it or is about to. So a key never has two cells.
        let gone = self.map.remove_if(&key, |cell| {
            Arc::get_mut(cell).is_some_and(|cell| cell.get_mut().unwrap_or_else(PoisonError::into_inner).is_idle(now))
        });
        if !gone {
            turns.push_back(key);
        }
        gone
    }
}
