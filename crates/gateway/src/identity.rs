//! Who calls, proved: what an agent shows, whom that makes it, and how long that holds.

mod bearer;
mod directory;
mod doorman;
mod failures;
mod jwt;
mod pass;
mod token;
mod unauthorized;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::directory::DirectoryError;
pub(crate) use self::directory::{Directory, Member, Token};
pub(crate) use self::doorman::{Admitted, Doorman};
pub(crate) use self::failures::Failures;
pub(crate) use self::pass::{Over, Work};
pub use self::token::{InvalidLabel, NewToken};
pub(crate) use self::unauthorized::Unauthorized;
use crate::policies::PolicyFile;

/// An agent that is known by name, and what it may use.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) id: Arc<str>,
    /// What `agent.labels.KEY` is, by key, sorted.
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    /// None: all.
    pub(crate) servers: Option<BTreeSet<Box<str>>>,
    /// By server: what is in force for this agent instead of the server's own policy.
    pub(crate) policies: BTreeMap<Box<str>, Arc<PolicyFile>>,
}

impl Identity {
    pub(crate) fn may_use(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.contains(server))
    }

    /// Does it mean the same to every judge? What a policy file says is a matter of the file's; a version of the store's stays what it is.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.id == other.id
            && self.labels == other.labels
            && self.servers == other.servers
            && self.policies.len() == other.policies.len()
            && self.policies.iter().zip(&other.policies).all(same)
    }
}

type Bound<'a> = (&'a Box<str>, &'a Arc<PolicyFile>);

fn same(((server, policy), (other, others)): (Bound<'_>, Bound<'_>)) -> bool {
    server == other && Arc::ptr_eq(policy, others)
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish_non_exhaustive()
    }
}
