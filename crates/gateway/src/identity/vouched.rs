//! Agents that others vouch for: whoever signed a token, or a certificate. If one of that name is known here, it is that one, and may
//! no more than that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::directory::Directory;
use super::doorman::Admitted;
use super::pass::{By, Pass};
use super::proof::Proof;
use super::unauthorized::Unauthorized;
use super::{Identity, Labels};
use crate::agent::Agent;

pub(super) struct Vouched {
    pub(super) agent: Box<str>,
    pub(super) labels: Labels,
    /// Servers that ask for more than was granted.
    pub(super) lacks: BTreeSet<Box<str>>,
    pub(super) until: SystemTime,
    pub(super) proof: Proof,
}

impl Vouched {
    pub(super) fn admit(self, directory: &Directory) -> Result<Admitted, Unauthorized> {
        let ours = directory.member(&self.agent);
        if let Some((_, false)) = ours {
            return Err(Unauthorized::Disabled(self.agent));
        }
        let ours = ours.map(|(identity, _)| Arc::clone(identity));
        let (servers, policies, labels) = match &ours {
            Some(ours) => (ours.servers.clone(), ours.policies.clone(), merged(self.labels, &ours.labels)),
            None => (None, BTreeMap::new(), self.labels),
        };
        let identity = Identity { id: self.agent.into(), labels, servers, policies, lacks: self.lacks };
        let pass = Pass { by: By::Voucher(ours), until: Some(self.until) };
        Ok(Admitted { agent: Agent::known(Arc::new(identity), self.proof), pass })
    }
}

/// Our own word counts more.
fn merged(theirs: Labels, ours: &Labels) -> Labels {
    let mut all: BTreeMap<Box<str>, Box<str>> = theirs.into_iter().collect();
    all.extend(ours.iter().cloned());
    all.into_iter().collect()
}
