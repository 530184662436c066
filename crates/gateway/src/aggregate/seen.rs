//! What a client has seen of each server's lists, as hashes: it is told of a change only where it would see one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::kind::Kind;

#[derive(Default)]
pub(crate) struct Seen(Mutex<HashMap<(Arc<str>, Kind), u64>>);

impl Seen {
    pub(super) fn get(&self, server: &Arc<str>, kind: Kind) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(Arc::clone(server), kind)).copied()
    }

    /// None: what it has seen is not known, so that any change may be one for it.
    pub(super) fn set(&self, server: &Arc<str>, kind: Kind, hash: Option<u64>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(server), kind);
        match hash {
            Some(hash) => drop(seen.insert(key, hash)),
            None => drop(seen.remove(&key)),
        }
    }

    /// There is no such server any more.
    pub(super) fn forget(&self, server: &Arc<str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| of != server);
    }

    /// Takes what the lists are now. True when the client would see another list than it has; or when nobody knows.
    pub(super) fn update(&self, server: &Arc<str>, now: &[(Kind, Option<u64>)]) -> bool {
        let known: Vec<_> = now.iter().filter_map(|(kind, new)| Some((self.get(server, *kind)?, *new))).collect();
        let same = !known.is_empty() && known.iter().all(|(old, new)| *new == Some(*old));
        for (kind, new) in now {
            if self.get(server, *kind).is_some() || !same {
                self.set(server, *kind, *new);
            }
        }
        !same
    }
}

/// Two lists look alike if all their items do, in order.
pub(super) fn hash<'a>(items: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    items.for_each(|item| item.hash(&mut hasher));
    hasher.finish()
}
