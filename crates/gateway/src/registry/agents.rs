//! Who may call, as files and the store have it: made anew with each snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use store::Snapshot;

use super::draft::{Frame, Memory};
use crate::config::{self, AgentId, PolicySource};
use crate::control::{Fault, What};
use crate::identity::{Directory, Identity, Member, Token};
use crate::policies::PolicyFile;

impl Frame {
    /// INVARIANT: a token is good for the agent that it names, and for nobody where there is no such agent.
    pub(super) fn directory(&self, snapshot: Option<&Snapshot>, memory: &Memory) -> Result<Directory, Vec<Fault>> {
        let files = self.files.agents.iter();
        let mut members: BTreeMap<&str, Member> = files
            .map(|(id, agent)| (id.as_str(), Member::of_file(id, agent, self.bound(&agent.policies, memory))))
            .collect();
        let mut faults = Vec::new();
        for kept in snapshot.iter().flat_map(|snapshot| &snapshot.agents) {
            match self.check_agent(&kept.id, &kept.value) {
                Ok(()) => drop(members.insert(&kept.id, self.member_of(&kept.id, &kept.value, memory))),
                Err(fault) => faults.push(fault),
            }
        }
        for kept in snapshot.iter().flat_map(|snapshot| &snapshot.tokens) {
            if let Some(member) = members.get_mut(kept.value.agent.as_str()) {
                member.tokens.push(token(&kept.value));
            }
        }
        match faults.is_empty() {
            true => Directory::new(members.into_values()).map_err(|error| {
                let (id, why) = (error.agent().to_owned(), format!("cannot come in: {error}"));
                vec![Fault { what: What::Agent, id, why }]
            }),
            false => Err(faults),
        }
    }

    /// What a snapshot with this agent in it would be refused for.
    pub(super) fn check_agent(&self, id: &str, agent: &store::Agent) -> Result<(), Fault> {
        let fault = |why| Fault { what: What::Agent, id: id.to_owned(), why };
        id.parse::<AgentId>().map_err(|error| fault(format!("is not an agent id: it {error}")))?;
        if let Some((_, of_file)) = self.files.agents.iter().find(|(known, _)| known.as_str() == id) {
            return Err(fault(format!("is described twice: in {}, and in the store", of_file.place)));
        }
        config::check_labels(&agent.labels).map_err(fault)
    }

    fn member_of(&self, id: &str, agent: &store::Agent, memory: &Memory) -> Member {
        let boxed = |text: &String| text.as_str().into();
        let policies = agent.policies.iter();
        let policies =
            policies.map(|(server, name)| (boxed(server), self.found(&PolicySource::Named(name.clone()), memory)));
        let identity = Identity {
            id: id.into(),
            labels: agent.labels.iter().map(|(key, value)| (boxed(key), boxed(value))).collect(),
            servers: agent.servers.as_ref().map(|servers| servers.iter().map(boxed).collect()),
            policies: policies.collect(),
        };
        Member { identity, enabled: agent.enabled, tokens: Vec::new() }
    }

    fn bound(
        &self,
        policies: &BTreeMap<config::ServerId, PolicySource>,
        memory: &Memory,
    ) -> BTreeMap<Box<str>, Arc<PolicyFile>> {
        policies.iter().map(|(server, source)| (server.as_str().into(), self.found(source, memory))).collect()
    }
}

fn token(kept: &store::Token) -> Token {
    let at = |ms: i64| SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    Token {
        sha256: kept.sha256,
        label: kept.label.as_str().into(),
        expires: kept.expires_ms.map(at),
        revoked: kept.revoked_ms.is_some(),
    }
}
