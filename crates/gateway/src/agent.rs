//! Who calls: an agent that is known, under whichever session or address; or `anonymous`, told apart by legacy session or by address
//! (`design.md`, section 2).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::identity::{Identity, Proof};
use crate::nodes::Key;
use crate::policies::PolicyFile;
use crate::process;
use crate::server::Server;

/// A caller. `key` is what limits count on and what others' things are told apart by: the id of an agent that is known, else a session's
/// ordinal (its id is a secret) or the peer's address. No id looks like one of the latter.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) key: Arc<str>,
    /// Of an agent that is known by nothing else.
    pub(crate) session: Option<Arc<str>>,
    pub(crate) identity: Option<Arc<Identity>>,
    /// By what it was let in.
    pub(crate) proof: Proof,
}

impl Agent {
    pub(crate) fn peer(address: IpAddr) -> Self {
        Self { key: format!("anonymous@{}", one_of(address)).into(), session: None, identity: None, proof: Proof::None }
    }

    pub(crate) fn session(ordinal: u64) -> Self {
        let key: Arc<str> = format!("anonymous#{ordinal}").into();
        Self { session: Some(Arc::clone(&key)), key, identity: None, proof: Proof::None }
    }

    /// Nobody known, in a session that is every node's: the same on all of them.
    pub(crate) fn of_all_nodes(session: &Key) -> Self {
        let key: Arc<str> = format!("anonymous:{}", session.hex().get(..16).unwrap_or_default()).into();
        Self { session: Some(Arc::clone(&key)), key, identity: None, proof: Proof::None }
    }

    /// Whichever session it opens, and wherever it comes from, it is the same.
    pub(crate) fn known(identity: Arc<Identity>, proof: Proof) -> Self {
        Self { key: Arc::clone(&identity.id), session: None, identity: Some(identity), proof }
    }

    /// The authenticated id, which rules may ask for.
    pub(crate) fn id(&self) -> Option<&str> {
        self.identity.as_ref().map(|identity| &*identity.id)
    }

    pub(crate) fn labels(&self) -> &[(Box<str>, Box<str>)] {
        self.identity.as_ref().map_or(&[], |identity| &identity.labels)
    }

    pub(crate) fn may_use(&self, server: &str) -> bool {
        self.identity.as_ref().is_none_or(|identity| identity.may_use(server))
    }

    /// What is in force for it there.
    pub(crate) fn policy(&self, server: &Server) -> Arc<PolicyFile> {
        self.own_policy(server).cloned().unwrap_or_else(|| server.policy.document())
    }

    /// What is in force there for this agent alone, whatever the server is bound to.
    pub(crate) fn own_policy(&self, server: &Server) -> Option<&Arc<PolicyFile>> {
        self.identity.as_ref()?.policies.get(&*server.id)
    }

    /// May it use what the other began? Nobody known may use what anybody unknown began, and the other way round.
    pub(crate) fn is_who(&self, other: &Self) -> bool {
        self.id() == other.id()
    }

    /// Is it the same, and would every judge say so? What the other asked for may be answered to it, and the other way round.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.key == other.key
            && match (&self.identity, &other.identity) {
                (Some(one), Some(two)) => one.is_like(two),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }

    /// The same in that session, as it is known now: a session keeps nobody's labels or policies.
    pub(crate) fn in_session_of(&self, other: &Self) -> Self {
        match self.identity {
            Some(_) => self.clone(),
            None => other.clone(),
        }
    }
}

/// Sessions are numbered by the process that has them: another process, and this one after a restart, means others by the same number.
pub(crate) fn is_of_this_process(key: &str) -> bool {
    key.starts_with("anonymous#")
}

/// What must stand beside an agent's key where other processes read it, so that it means the same there; nothing for most.
pub(crate) fn home(key: &str) -> String {
    if is_of_this_process(key) { format!("{:x}", process::mark()) } else { String::new() }
}

/// The address that stands for the peer. All of loopback is one peer: a local process may call from any address there.
pub(crate) fn one_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address if address.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::Agent;

    #[test]
    fn all_of_loopback_is_one_agent() {
        let key = |address: &str| Agent::peer(address.parse().unwrap()).key;
        for address in ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.0.0.9"] {
            assert_eq!(&*key(address), "anonymous@127.0.0.1", "{address}");
        }
        assert_eq!(&*key("::ffff:10.0.0.7"), "anonymous@10.0.0.7");
        assert_ne!(key("10.0.0.7"), key("10.0.0.8"));
    }
}
