//! Who calls, proved: what an agent shows, whom that makes it, and how long that holds.

mod bearer;
mod directory;
mod doorman;
mod failures;
mod foreign;
mod forget;
pub(crate) mod jwt;
pub(crate) mod metadata;
mod pass;
mod proof;
mod token;
mod unauthorized;
mod vouched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::directory::DirectoryError;
pub(crate) use self::directory::{Directory, Member, Token};
pub(crate) use self::doorman::{Admitted, Doorman};
pub(crate) use self::failures::Failures;
pub(crate) use self::forget::forget;
pub(crate) use self::pass::{Over, Work};
pub(crate) use self::proof::Proof;
pub use self::token::{InvalidLabel, NewToken};
pub(crate) use self::unauthorized::Unauthorized;
use crate::policies::PolicyFile;

/// What `agent.labels.KEY` is, by key, sorted.
pub(crate) type Labels = Box<[(Box<str>, Box<str>)]>;

/// An agent that is known by name, and what it may use.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) id: Arc<str>,
    pub(crate) labels: Labels,
    /// None: all.
    pub(crate) servers: Option<BTreeSet<Box<str>>>,
    /// By server: what is in force for this agent instead of the server's own policy.
    pub(crate) policies: BTreeMap<Box<str>, Arc<PolicyFile>>,
    /// Servers that it may not use for want of scopes.
    pub(crate) lacks: BTreeSet<Box<str>>,
}

impl Identity {
    pub(crate) fn may_use(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.contains(server)) && !self.lacks.contains(server)
    }

    /// Does it mean the same to every judge? A file says something else by itself; another version of the store's is another document.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.id == other.id
            && self.labels == other.labels
            && self.servers == other.servers
            && self.lacks == other.lacks
            && self.policies.len() == other.policies.len()
            && self.policies.iter().zip(&other.policies).all(|(one, two)| one.0 == two.0 && Arc::ptr_eq(one.1, two.1))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish_non_exhaustive()
    }
}
