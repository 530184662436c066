//! All agents that are known by tokens, as of one moment: made whole, and never changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use subtle::ConstantTimeEq as _;

use super::Identity;
use super::proof::Proof;
use super::token::Hash;
use super::unauthorized::Unauthorized;
use crate::config::{self, AgentId};
use crate::policies::PolicyFile;

/// What finds a token: how long that takes tells of the first bytes of its hash, which nobody can choose.
type Start = [u8; 8];

#[derive(Default)]
pub(crate) struct Directory {
    grants: HashMap<Start, Vec<Grant>>,
    /// By id; whether they have tokens or not.
    members: HashMap<Arc<str>, (Arc<Identity>, bool)>,
}

/// An agent as files or the store have it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) identity: Arc<Identity>,
    pub(crate) enabled: bool,
    pub(crate) tokens: Vec<Token>,
}

/// A token as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) sha256: Hash,
    /// What records call it: its id in the store, or its label in a file.
    pub(crate) id: Arc<str>,
    /// What people call it.
    pub(crate) label: Box<str>,
    pub(crate) expires: Option<SystemTime>,
    pub(crate) revoked: bool,
}

/// A token, and whom it makes its bearer.
pub(crate) struct Grant {
    pub(crate) identity: Arc<Identity>,
    token: Token,
    enabled: bool,
}

/// Two agents with one token would be one.
#[derive(Debug, thiserror::Error)]
#[error("the token `{label}` of agent `{agent}` is also the token `{other_label}` of agent `{other}`")]
pub struct DirectoryError {
    pub(crate) agent: Box<str>,
    label: Box<str>,
    other: Box<str>,
    other_label: Box<str>,
}

impl Member {
    /// As the configuration has it.
    pub(crate) fn of_file(id: &AgentId, agent: &config::Agent, policies: BTreeMap<Box<str>, Arc<PolicyFile>>) -> Self {
        let boxed = |text: &String| text.as_str().into();
        let labels = agent.labels.iter().map(|(key, value)| (boxed(key), boxed(value))).collect();
        let servers = agent.servers.as_ref().map(|servers| servers.iter().map(|id| id.as_str().into()).collect());
        let tokens = agent.tokens.iter().map(|token| Token {
            sha256: token.sha256,
            id: token.label.as_str().into(),
            label: boxed(&token.label),
            expires: token.expires,
            revoked: false,
        });
        Self {
            identity: Arc::new(Identity { id: id.as_str().into(), labels, servers, policies, lacks: BTreeSet::new() }),
            enabled: true,
            tokens: tokens.collect(),
        }
    }
}

impl Directory {
    pub(crate) fn new(members: impl IntoIterator<Item = Member>) -> Result<Self, DirectoryError> {
        let mut directory = Self::default();
        for Member { identity, enabled, tokens } in members {
            directory.members.insert(Arc::clone(&identity.id), (Arc::clone(&identity), enabled));
            for token in tokens {
                directory.add(Grant { identity: Arc::clone(&identity), token, enabled })?;
            }
        }
        Ok(directory)
    }

    fn add(&mut self, grant: Grant) -> Result<(), DirectoryError> {
        if let Some(other) = self.find(&grant.token.sha256) {
            return Err(DirectoryError {
                agent: (&*grant.identity.id).into(),
                label: grant.token.label,
                other: (&*other.identity.id).into(),
                other_label: other.token.label.clone(),
            });
        }
        self.grants.entry(start(&grant.token.sha256)).or_default().push(grant);
        Ok(())
    }

    /// With less: `still` gives an agent as it may be now, none where it may nothing; `holds` is whether its token of that id is one. None
    /// where nothing of it changes.
    pub(crate) fn narrowed(
        &self,
        still: impl Fn(&Arc<Identity>) -> Option<Arc<Identity>>,
        holds: impl Fn(&Identity, &str) -> bool,
    ) -> Option<Self> {
        let mut changes = false;
        let mut narrowed = Self::default();
        for (id, (identity, enabled)) in &self.members {
            let (now, may) = still(identity).map_or_else(|| (Arc::clone(identity), false), |now| (now, *enabled));
            changes |= may != *enabled || !Arc::ptr_eq(&now, identity);
            narrowed.members.insert(Arc::clone(id), (now, may));
        }
        for (start, grants) in &self.grants {
            let grants = grants.iter().filter_map(|grant| {
                let (identity, enabled) = narrowed.known(&grant.identity.id)?;
                let mut token = grant.token.clone();
                token.revoked |= !holds(&identity, &token.id);
                changes |= token.revoked != grant.token.revoked;
                Some(Grant { identity, token, enabled })
            });
            let grants = grants.collect();
            narrowed.grants.insert(*start, grants);
        }
        changes.then_some(narrowed)
    }

    pub(crate) fn find(&self, hash: &Hash) -> Option<&Grant> {
        let alike = self.grants.get(&start(hash))?;
        alike.iter().find(|grant| grant.token.sha256.ct_eq(hash).into())
    }

    /// The agent of that id, and whether it is enabled.
    pub(super) fn member(&self, id: &str) -> Option<&(Arc<Identity>, bool)> {
        self.members.get(id)
    }

    /// The agent of that id as it is now, and whether it is enabled.
    pub(crate) fn known(&self, id: &str) -> Option<(Arc<Identity>, bool)> {
        self.member(id).map(|(identity, enabled)| (Arc::clone(identity), *enabled))
    }

    /// All agents, and whether each is enabled.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Arc<Identity>, bool)> {
        self.members.values().map(|(identity, enabled)| (identity, *enabled))
    }

    /// Does nobody have a token?
    pub(crate) fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }
}

fn start(hash: &Hash) -> Start {
    hash.first_chunk().copied().unwrap_or_default()
}

impl Grant {
    /// Whom it makes its bearer now.
    pub(crate) fn identity(&self, now: SystemTime) -> Result<&Arc<Identity>, Unauthorized> {
        let (agent, label) = (|| (&*self.identity.id).into(), || self.token.label.clone());
        match self.token.expires {
            _ if !self.enabled => Err(Unauthorized::Disabled(agent())),
            _ if self.token.revoked => Err(Unauthorized::Revoked { agent: agent(), label: label() }),
            Some(at) if now >= at => Err(Unauthorized::Expired { agent: agent(), label: label(), at }),
            Some(_) | None => Ok(&self.identity),
        }
    }

    pub(super) fn proof(&self) -> Proof {
        Proof::Token(Arc::clone(&self.token.id))
    }

    pub(super) fn expires(&self) -> Option<SystemTime> {
        self.token.expires
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::{Directory, Member, Token};
    use crate::identity::Identity;

    fn member(id: &str, enabled: bool, tokens: Vec<Token>) -> Member {
        let identity = Identity {
            id: id.into(),
            labels: Box::default(),
            servers: None,
            policies: Default::default(),
            lacks: Default::default(),
        };
        Member { identity: Arc::new(identity), enabled, tokens }
    }

    fn token(byte: u8) -> Token {
        let label = format!("t{byte}");
        Token { sha256: [byte; 32], id: label.as_str().into(), label: label.into(), expires: None, revoked: false }
    }

    #[test]
    fn a_token_makes_its_agent_as_long_as_it_is_good() {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let near = |byte, sha256: [u8; 32]| Token { sha256, ..token(byte) };
        let mut like_one = [1; 32];
        like_one[31] = 2;
        let directory = Directory::new([
            member("a", true, vec![token(1), near(9, like_one), Token { expires: Some(then), ..token(2) }]),
            member("b", true, vec![Token { revoked: true, ..token(3) }]),
            member("c", false, vec![token(4)]),
        ])
        .unwrap();
        let who = |hash: &[u8; 32], now| {
            let grant = directory.find(hash).ok_or("unknown".to_owned())?;
            grant.identity(now).map(|identity| identity.id.to_string()).map_err(|why| why.to_string())
        };
        let early = then - Duration::from_secs(1);
        assert_eq!(who(&[1; 32], then), Ok("a".into()));
        assert_eq!(who(&like_one, then), Ok("a".into()));
        like_one[31] = 3;
        assert_eq!(who(&like_one, then), Err("unknown".into()), "its beginning is not enough");
        assert_eq!(who(&[2; 32], early), Ok("a".into()));
        assert_eq!(who(&[2; 32], then), Err("the token `t2` of `a` expired at 2001-09-09T01:46:40Z".into()));
        assert_eq!(who(&[3; 32], early), Err("the token `t3` of `b` was revoked".into()));
        assert_eq!(who(&[4; 32], early), Err("the agent `c` is disabled".into()));
        assert_eq!(who(&[5; 32], early), Err("unknown".into()));
    }

    #[test]
    fn a_token_is_one_agents() {
        let two = Directory::new([member("a", true, vec![token(1)]), member("b", true, vec![token(2), token(1)])]);
        let why = two.err().unwrap().to_string();
        assert_eq!(why, "the token `t1` of agent `b` is also the token `t1` of agent `a`");
    }
}
