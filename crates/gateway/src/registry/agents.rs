//! The agents of a snapshot: those of the file, and those of the store with their tokens.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use store::{Kept, Snapshot};

use super::draft::{Frame, Memory};
use crate::config::{self, AgentId, PolicySource};
use crate::control::{AgentView, Fault, Managed, What};
use crate::identity::{Directory, Identity, Member, Token};

type Tokens<'s> = HashMap<&'s str, Vec<Token>>;

impl Frame {
    /// All or none: an agent that cannot be is a fault, and so is a token that two of them have.
    pub(super) fn agents(&self, snapshot: Option<&Snapshot>, memory: &Memory) -> Result<Directory, Vec<Fault>> {
        let mut tokens = tokens(snapshot);
        let (mut members, mut faults) = (self.files.agents.clone(), Vec::new());
        for kept in snapshot.iter().flat_map(|snapshot| &snapshot.agents) {
            match self.check_agent(&kept.id, &kept.value) {
                Ok(id) => {
                    let tokens = tokens.remove(kept.id.as_str()).unwrap_or_default();
                    members.push(self.agent(&id, &kept.value, tokens, memory));
                }
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Directory::new(members).map_err(|error| vec![fault(&error.agent, error.to_string())])
    }

    /// What a snapshot with this agent in it would be refused for. A server or a policy that is not there is no fault: the agent has
    /// nothing of the one, and calls nothing by the other.
    pub(super) fn check_agent(&self, id: &str, said: &store::Agent) -> Result<AgentId, Fault> {
        if self.files.agents.iter().any(|member| *member.identity.id == *id) {
            return Err(fault(id, format!("is described twice: in {}, and in the store", self.files.agents_in)));
        }
        config::check_labels(&said.labels).map_err(|why| fault(id, why))?;
        id.parse().map_err(|error: config::InvalidAgentId| fault(id, format!("is not an agent id: it {error}")))
    }

    /// What is in force, without what the store takes away of it: agents, their tokens, servers that they may use. None where that is nothing.
    pub(super) fn narrowed(&self, in_force: &Directory, snapshot: &Snapshot) -> Option<Directory> {
        let said: HashMap<&str, &store::Agent> =
            snapshot.agents.iter().map(|kept| (kept.id.as_str(), &kept.value)).collect();
        let tokens: HashSet<&str> = snapshot.tokens.iter().map(|kept| kept.id.as_str()).collect();
        let is_filed = |id: &str| self.files.agents.iter().any(|member| *member.identity.id == *id);
        let still = |identity: &Arc<Identity>| {
            if is_filed(&identity.id) {
                return Some(Arc::clone(identity));
            }
            let said = said.get(&*identity.id).filter(|said| said.enabled)?;
            let lacks = |server: &str| said.servers.as_ref().is_some_and(|servers| !servers.contains(server));
            let servers: Option<BTreeSet<Box<str>>> = match (&identity.servers, &said.servers) {
                (Some(may), _) => Some(may.iter().filter(|server| !lacks(server)).cloned().collect()),
                (None, said) => said.as_ref().map(|said| said.iter().map(|server| server.as_str().into()).collect()),
            };
            match servers == identity.servers {
                true => Some(Arc::clone(identity)),
                false => Some(Arc::new(Identity { servers, ..Identity::clone(identity) })),
            }
        };
        in_force.narrowed(still, |identity, token| is_filed(&identity.id) || tokens.contains(token))
    }

    fn agent(&self, id: &AgentId, said: &store::Agent, tokens: Vec<Token>, memory: &Memory) -> Member {
        let boxed = |text: &String| text.as_str().into();
        let named = |name: &String| self.found(&PolicySource::Named(name.clone()), memory);
        let identity = Identity {
            id: id.as_str().into(),
            labels: said.labels.iter().map(|(key, value)| (boxed(key), boxed(value))).collect(),
            servers: said.servers.as_ref().map(|servers| servers.iter().map(boxed).collect()),
            policies: said.policies.iter().map(|(server, name)| (boxed(server), named(name))).collect(),
            lacks: Default::default(),
        };
        Member { identity: Arc::new(identity), enabled: said.enabled, tokens }
    }

    /// As they are in force, by id.
    pub(super) fn agent_views(&self, directory: &Directory) -> Vec<AgentView> {
        let text = |text: &str| text.to_owned();
        let views = directory.members().map(|(identity, enabled)| AgentView {
            id: text(&identity.id),
            managed: match self.files.agents.iter().any(|member| member.identity.id == identity.id) {
                true => Managed::File { path: self.files.agents_in.clone() },
                false => Managed::Api,
            },
            enabled,
            labels: identity.labels.iter().map(|(key, value)| (text(key), text(value))).collect(),
            servers: identity.servers.as_ref().map(|servers| servers.iter().map(|id| text(id)).collect()),
            policies: identity.policies.iter().map(|(server, policy)| (text(server), text(&policy.name))).collect(),
        });
        let mut views: Vec<_> = views.collect();
        views.sort_by(|a, b| a.id.cmp(&b.id));
        views
    }
}

/// The version of each agent, and those of its tokens: what is said to have changed.
pub(super) fn versions(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let version = |kept: &Kept<store::Agent>| (kept.id.clone(), kept.version.to_string());
    let mut all: BTreeMap<String, String> = snapshot.agents.iter().map(version).collect();
    let mut tokens: Vec<_> = snapshot.tokens.iter().map(|kept| (&kept.value.agent, kept.version)).collect();
    tokens.sort_unstable();
    for (agent, version) in tokens {
        if let Some(said) = all.get_mut(agent) {
            said.push_str(&format!(" {version}"));
        }
    }
    all
}

/// By agent.
fn tokens(snapshot: Option<&Snapshot>) -> Tokens<'_> {
    let mut tokens = Tokens::new();
    for Kept { id, value, .. } in snapshot.iter().flat_map(|snapshot| &snapshot.tokens) {
        tokens.entry(&value.agent).or_default().push(Token {
            sha256: value.sha256,
            id: id.as_str().into(),
            label: value.label.as_str().into(),
            // INVARIANT: what no clock can say has expired already
            expires: value.expires_ms.map(|at| {
                let since = Duration::from_millis(u64::try_from(at).unwrap_or_default());
                SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
            }),
            revoked: value.revoked_ms.is_some(),
        });
    }
    tokens
}

fn fault(id: &str, why: String) -> Fault {
    Fault { what: What::Agent, id: id.to_owned(), why }
}
