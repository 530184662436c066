//! From key to cell. A thin face, so that loom can put a plain locked map in its place.

use crate::cell::SharedCell;
use std::hash::Hash;

/// Guards of the map never leave this file; a cell is cloned out and locked outside.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Map<K: Eq + Hash>(dashmap::DashMap<K, SharedCell>);

#[cfg(not(loom))]
impl<K: Eq + Hash> Map<K> {
    pub(crate) fn new() -> Self {
        Self(dashmap::DashMap::new())
    }

    pub(crate) fn get(&self, key: &K) -> Option<SharedCell> {
        self.0.get(key).map(|cell| cell.clone())
    }

    /// The cell, and whether it is new.
    pub(crate) fn get_or_insert(&self, key: K, make: impl FnOnce() -> SharedCell) -> (SharedCell, bool) {
        match self.0.entry(key) {
            dashmap::Entry::Occupied(entry) => (entry.get().clone(), false),
            dashmap::Entry::Vacant(entry) => (entry.insert(make()).clone(), true),
        }
    }

    /// Judges and removes under one lock, so that nobody can take the cell in between.
    pub(crate) fn remove_if(&self, key: &K, judge: impl FnOnce(&mut SharedCell) -> bool) -> bool {
        self.0.remove_if_mut(key, |_, cell| judge(cell)).is_some()
    }
}

#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Map<K: Eq + Hash>(crate::sync::Mutex<std::collections::HashMap<K, SharedCell>>);

#[cfg(loom)]
impl<K: Eq + Hash> Map<K> {
    pub(crate) fn new() -> Self {
        Self(crate::sync::Mutex::new(std::collections::HashMap::new()))
    }

    pub(crate) fn get(&self, key: &K) -> Option<SharedCell> {
        crate::sync::lock(&self.0).get(key).cloned()
    }

    pub(crate) fn get_or_insert(&self, key: K, make: impl FnOnce() -> SharedCell) -> (SharedCell, bool) {
        match crate::sync::lock(&self.0).entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => (entry.get().clone(), false),
            std::collections::hash_map::Entry::Vacant(entry) => (entry.insert(make()).clone(), true),
        }
    }

    pub(crate) fn remove_if(&self, key: &K, judge: impl FnOnce(&mut SharedCell) -> bool) -> bool {
        let mut map = crate::sync::lock(&self.0);
        let gone = map.get_mut(key).is_some_and(judge);
        gone && map.remove(key).is_some()
    }
}
