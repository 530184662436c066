//! What there is to call: an immutable snapshot, swapped whole. A request takes one at its beginning and keeps it.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::config::ServerId;
use crate::server::Server;

/// One snapshot.
pub(crate) struct Registry {
    servers: HashMap<Box<str>, Arc<Server>>,
    /// Those of the aggregate, by id.
    joined: Box<[Arc<Server>]>,
}

impl Registry {
    /// `joined`: the ids of the aggregate's servers; none means all.
    pub(crate) fn new(servers: HashMap<Box<str>, Arc<Server>>, joined: &[ServerId]) -> Self {
        let chosen = |server: &&Arc<Server>| joined.is_empty() || joined.iter().any(|id| id.as_str() == &*server.id);
        let mut joined: Vec<_> = servers.values().filter(chosen).cloned().collect();
        joined.sort_by(|a, b| a.id.cmp(&b.id));
        Self { servers, joined: joined.into() }
    }

    pub(crate) fn server(&self, id: &str) -> Option<&Arc<Server>> {
        self.servers.get(id)
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.servers.values()
    }

    /// The servers of the aggregate, by id.
    pub(crate) fn joined(&self) -> &[Arc<Server>] {
        &self.joined
    }

    /// A server of the aggregate.
    pub(crate) fn member(&self, id: &str) -> Option<&Arc<Server>> {
        self.joined.get(self.joined.binary_search_by(|server| (*server.id).cmp(id)).ok()?)
    }
}

/// The snapshot of now, and who wants to know when there is another.
pub(crate) struct Current {
    now: ArcSwap<Registry>,
    swaps: watch::Sender<u64>,
}

impl Current {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { now: ArcSwap::from_pointee(registry), swaps: watch::Sender::new(0) }
    }

    pub(crate) fn load(&self) -> Arc<Registry> {
        self.now.load_full()
    }

    /// Changes with each snapshot.
    pub(crate) fn swaps(&self) -> watch::Receiver<u64> {
        self.swaps.subscribe()
    }

    /// Puts another in its place. Servers that are not in it are told.
    pub(crate) fn swap(&self, registry: Registry) {
        let registry = Arc::new(registry);
        let before = self.now.swap(Arc::clone(&registry));
        for server in before.servers() {
            if registry.server(&server.id).is_none_or(|now| !Arc::ptr_eq(now, server)) {
                server.retire();
            }
        }
        self.swaps.send_modify(|swaps| *swaps += 1);
    }
}
