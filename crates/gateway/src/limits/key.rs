//! Whose count: a counter of one policy document, for one caller, session, server, or for all.

use std::sync::Arc;

use policy::{Counter, Per};
use ratelimit::StoredKey;

use crate::agent::{self, Agent};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LimitKey {
    pub(super) policy: Arc<str>,
    pub(super) counter: Box<str>,
    pub(super) per: PerKey,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PerKey {
    Agent(Arc<str>),
    Session(Arc<str>),
    Server(Arc<str>),
    Gateway,
}

/// Who and where a call is, as far as limits ask.
pub(crate) struct Place<'a> {
    pub(crate) policy: &'a Arc<str>,
    pub(crate) server: &'a Arc<str>,
    pub(crate) agent: &'a Agent,
}

impl Place<'_> {
    pub(super) fn key(&self, counter: &Counter) -> LimitKey {
        let per = match counter.per {
            Per::Agent => PerKey::Agent(Arc::clone(&self.agent.key)),
            Per::Session => PerKey::Session(Arc::clone(self.agent.session.as_ref().unwrap_or(&self.agent.key))),
            Per::Server => PerKey::Server(Arc::clone(self.server)),
            Per::Gateway => PerKey::Gateway,
        };
        LimitKey { policy: Arc::clone(self.policy), counter: counter.name.as_str().into(), per }
    }
}

impl PerKey {
    pub(super) fn is(&self, per: Per) -> bool {
        per == match self {
            Self::Agent(_) => Per::Agent,
            Self::Session(_) => Per::Session,
            Self::Server(_) => Per::Server,
            Self::Gateway => Per::Gateway,
        }
    }
}

impl StoredKey for LimitKey {
    /// Each part with its length in front, so that no two keys are written alike.
    fn store(&self, out: &mut Vec<u8>) {
        let (kind, whose): (_, &str) = match &self.per {
            PerKey::Agent(agent) => (b'a', agent),
            PerKey::Session(session) => (b's', session),
            PerKey::Server(server) => (b'v', server),
            PerKey::Gateway => (b'g', ""),
        };
        let own = agent::home(whose);
        for part in [&*self.policy, &*self.counter, whose, &own] {
            out.extend_from_slice(part.len().to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(part.as_bytes());
        }
        out.push(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(policy: &str, counter: &str, per: PerKey) -> Vec<u8> {
        let mut out = Vec::new();
        LimitKey { policy: policy.into(), counter: counter.into(), per }.store(&mut out);
        out
    }

    /// Vector 90: no two keys are written alike.
    #[test]
    fn keys_do_not_collide() {
        let agent = |whose: &str| PerKey::Agent(whose.into());
        let all = [
            stored("p", "c", agent("x")),
            stored("p", "c", PerKey::Session("x".into())),
            stored("p", "c", PerKey::Server("x".into())),
            stored("p", "c", PerKey::Gateway),
            stored("p", "c", agent("")),
            stored("pc", "", agent("x")),
            stored("p", "c1:x", agent("")),
            stored("p1:c", "", agent("x")),
            stored("p", "c", agent("anonymous#1")),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(stored("p", "c", agent("x")), b"1:p1:c1:x0:a");
    }
}
