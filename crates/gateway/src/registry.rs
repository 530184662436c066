//! What there is to call: an immutable snapshot, swapped whole. A request takes one at its beginning and keeps it.

mod agents;
mod credentials;
mod draft;
mod files;
mod keeper;
mod standing;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

pub(crate) use self::draft::Frame;
pub(crate) use self::files::{Files, Here};
pub(crate) use self::keeper::{First, Keeper};
pub(crate) use self::standing::Standing;
use crate::config::ServerId;
use crate::control::Managed;
use crate::policies::PolicyFile;
use crate::server::Server;

/// One snapshot.
pub(crate) struct Registry {
    servers: HashMap<Box<str>, Arc<Server>>,
    /// Those of the aggregate, by id.
    joined: Box<[Arc<Server>]>,
    about: HashMap<Box<str>, About>,
    /// All that can be bound by name.
    policies: BTreeMap<Box<str>, Arc<PolicyFile>>,
}

/// What has been said of a server, for people; and what is done about it as long as it is here.
#[derive(Clone)]
pub(crate) struct About {
    pub(crate) managed: Managed,
    /// Without secrets.
    pub(crate) document: Value,
    pub(crate) probe: Option<Duration>,
}

impl Registry {
    /// `joined`: the ids of the aggregate's servers; none means all.
    pub(crate) fn new(servers: HashMap<Box<str>, Arc<Server>>, joined: &[ServerId]) -> Self {
        let chosen = |server: &&Arc<Server>| joined.is_empty() || joined.iter().any(|id| id.as_str() == &*server.id);
        let mut joined: Vec<_> = servers.values().filter(chosen).cloned().collect();
        joined.sort_by(|a, b| a.id.cmp(&b.id));
        Self { servers, joined: joined.into(), about: HashMap::new(), policies: BTreeMap::new() }
    }

    fn with(self, about: HashMap<Box<str>, About>, policies: BTreeMap<Box<str>, Arc<PolicyFile>>) -> Self {
        Self { about, policies, ..self }
    }

    pub(crate) fn server(&self, id: &str) -> Option<&Arc<Server>> {
        self.servers.get(id)
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.servers.values()
    }

    /// With what has been said of them.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Arc<Server>, &About)> {
        self.servers.iter().filter_map(|(id, server)| Some((server, self.about.get(id)?)))
    }

    /// This very one, and not another of its id.
    fn has(&self, server: &Arc<Server>) -> bool {
        self.server(&server.id).is_some_and(|here| Arc::ptr_eq(here, server))
    }

    /// By name: the store's, and those of the files that servers in a file name.
    pub(crate) fn policies(&self) -> &BTreeMap<Box<str>, Arc<PolicyFile>> {
        &self.policies
    }

    fn policy_hashes(&self) -> BTreeMap<&str, Arc<str>> {
        self.policies.iter().map(|(name, policy)| (&**name, Arc::clone(&policy.current().hash))).collect()
    }

    /// Of the servers' descriptions.
    fn hashes(&self) -> BTreeMap<&str, String> {
        self.about.iter().map(|(id, about)| (&**id, hash(&about.document))).collect()
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
        before.servers().filter(|server| !registry.has(server)).for_each(|server| server.retire());
        self.stir();
    }

    /// Something in it is not as it was.
    pub(crate) fn stir(&self) {
        self.swaps.send_modify(|swaps| *swaps += 1);
    }
}

/// Of a description without its secrets: two that differ in nothing else look alike.
fn hash(document: &Value) -> String {
    HEXLOWER.encode(&Sha256::digest(document.to_string()))
}
