//! A snapshot in the making: of what the files describe and what the store says. Either all of it is good, or none is taken.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;
use store::{ActivePolicy, Document as _, Kept, Snapshot, Unreadable};

use super::credentials::{AllWorn, Dress, Own};
use super::files::{Files, Here, Member};
use super::{About, Registry};
use crate::config::{self, Adjustable, Live, NotAdjustable, PolicySource, ServerId};
use crate::control::{Fault, Managed, What};
use crate::identity::Directory;
use crate::policies::{PolicyFile, chain};
use crate::server::Server;
use crate::vault::Vault;

/// What was made of the store's word, for the next time: what is said again is not made again.
#[derive(Default)]
pub(super) struct Memory {
    policies: BTreeMap<String, (ActivePolicy, Arc<PolicyFile>)>,
    /// With the documents that they were made of.
    members: BTreeMap<String, (Value, Member)>,
    pub(super) worn: AllWorn,
    /// Nothing of what credentials there are opens with the key that is here.
    pub(super) strange: bool,
    /// Versions of agents and of their tokens, and hashes of credentials: two that differ are another.
    pub(super) agents: BTreeMap<String, String>,
    pub(super) credentials: BTreeMap<String, String>,
    /// What the store says of settings, as it is written; and what of it is left out.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) left_out: Vec<(String, NotAdjustable)>,
}

/// A server, and what is to judge its calls.
pub(super) type Bind = (Arc<Server>, Arc<PolicyFile>);

pub(super) struct Draft {
    pub(super) registry: Registry,
    pub(super) agents: Directory,
    pub(super) live: Live,
    pub(super) binds: Vec<Bind>,
    /// What servers are shown that were shown something else.
    pub(super) dresses: Vec<Dress>,
    pub(super) memory: Memory,
}

/// What does not change while the gateway runs.
pub(crate) struct Frame {
    pub(super) here: Here,
    pub(super) files: Files,
    /// The aggregate's servers; none means all.
    pub(super) joined: Vec<ServerId>,
    /// May a server of the store's be a program?
    pub(super) commands: bool,
    /// Of the store's credentials.
    pub(super) key: Option<Arc<Vault>>,
    /// What the store may have a say in.
    pub(super) adjustable: Adjustable,
    /// Stands for a policy that is missing.
    absent: Arc<PolicyFile>,
}

impl Frame {
    pub(crate) fn new(config: &config::Config, here: Here, files: Files) -> Result<Self, crate::PolicyTrouble> {
        let absent = Arc::new(PolicyFile::absent()?);
        let joined = config.aggregate.servers.clone();
        let key = config.store.key.clone();
        let adjustable = config.adjustable.clone();
        Ok(Self { here, files, joined, commands: config.store.commands, key, adjustable, absent })
    }

    pub(super) fn draft(&self, snapshot: Option<&Snapshot>, before: &Memory) -> Result<Draft, Vec<Fault>> {
        let mut faults: Vec<Fault> =
            snapshot.iter().flat_map(|snapshot| &snapshot.unreadable).map(unreadable).collect();
        let mut memory = Memory {
            agents: snapshot.map(super::agents::versions).unwrap_or_default(),
            credentials: snapshot.map(super::credentials::hashes).unwrap_or_default(),
            settings: snapshot.map(settings).unwrap_or_default(),
            strange: super::credentials::are_strange(self.key.as_deref(), snapshot),
            ..Memory::default()
        };
        for active in snapshot.iter().flat_map(|snapshot| &snapshot.policies) {
            match self.policy(active, before) {
                Ok(policy) => drop(memory.policies.insert(active.name.clone(), (active.clone(), policy))),
                Err(fault) => faults.push(fault),
            }
        }
        for kept in snapshot.iter().flat_map(|snapshot| &snapshot.servers) {
            match self.member(kept, before) {
                Ok(Some(member)) => {
                    drop(memory.members.insert(kept.id.clone(), (kept.value.document.clone(), member)));
                }
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
        }
        let agents = self.agents(snapshot, &memory).map_err(|more| faults.extend(more));
        match (agents, faults.is_empty()) {
            (Ok(agents), true) => Ok(self.assembled(snapshot, memory, agents, &before.worn)),
            _ => Err(faults),
        }
    }

    fn assembled(
        &self,
        snapshot: Option<&Snapshot>,
        mut memory: Memory,
        agents: Directory,
        worn_before: &AllWorn,
    ) -> Draft {
        let kept = memory.members.values().map(|(_, member)| member);
        let members: Vec<&Member> = self.files.members.iter().chain(kept).collect();
        let (worn, dresses) = self.dresses(snapshot, &members, worn_before);
        let bind = |member: &&Member| (Arc::clone(&member.server), self.found(&member.policy, &memory));
        let binds = members.iter().map(bind).collect();
        let servers: HashMap<_, _> =
            members.iter().map(|member| (member.server.id.as_ref().into(), Arc::clone(&member.server))).collect();
        let about = members.iter().map(|member| (member.server.id.as_ref().into(), member.about.clone())).collect();
        let files = self.files.policies.iter().cloned();
        let policies = files.chain(memory.policies.values().map(|(_, policy)| Arc::clone(policy)));
        let policies = policies.map(|policy| (policy.name.as_ref().into(), policy)).collect();
        memory.worn = worn;
        let said = snapshot.into_iter().flat_map(|snapshot| &snapshot.settings);
        let (live, left_out) = self.adjustable.with(said.map(|kept| (kept.id.as_str(), &kept.value.0)));
        memory.left_out = left_out;
        let registry = Registry::new(servers, &self.joined).with(about, policies);
        Draft { registry, agents, live, binds, dresses, memory }
    }

    /// A server that is in force.
    pub(super) fn in_force<'m>(&'m self, id: &str, memory: &'m Memory) -> Option<&'m Member> {
        let of_file = self.files.members.iter().find(|member| *member.server.id == *id);
        of_file.or_else(|| memory.members.get(id).map(|(_, member)| member))
    }

    /// INVARIANT: what is not found denies everything.
    pub(super) fn found(&self, source: &PolicySource, memory: &Memory) -> Arc<PolicyFile> {
        let kept = match source {
            PolicySource::Named(name) => memory.policies.get(name).map(|(_, policy)| policy),
            PolicySource::File(_) | PolicySource::BuiltIn { .. } | PolicySource::Missing => None,
        };
        Arc::clone(kept.or_else(|| self.files.policy(source)).unwrap_or(&self.absent))
    }

    fn policy(&self, active: &ActivePolicy, before: &Memory) -> Result<Arc<PolicyFile>, Fault> {
        if let Some((_, policy)) = before.policies.get(&active.name).filter(|(known, _)| known == active) {
            return Ok(Arc::clone(policy));
        }
        self.check_policy(&active.name, &active.text, active.catalogue.as_deref()).map(Arc::new)
    }

    /// What a snapshot with this policy in it would be refused for.
    pub(super) fn check_policy(&self, name: &str, text: &str, catalogue: Option<&str>) -> Result<PolicyFile, Fault> {
        let fault = |why| Fault { what: What::Policy, id: name.to_owned(), why };
        if self.files.policies.iter().any(|policy| *policy.name == *name) {
            return Err(fault("has the name of a policy file that the configuration names".to_owned()));
        }
        PolicyFile::kept(name, text, catalogue).map_err(|error| fault(chain(&error)))
    }

    /// None for one that is switched off.
    fn member(&self, kept: &Kept<store::Server>, before: &Memory) -> Result<Option<Member>, Fault> {
        let policy = kept.value.policy.clone().map_or(PolicySource::Missing, PolicySource::Named);
        let known = before.members.get(&kept.id).filter(|(document, _)| *document == kept.value.document);
        let member = match known {
            Some((_, member)) => Member { policy, ..member.clone() },
            None => self.check_server(&kept.id, &kept.value)?,
        };
        Ok(kept.value.enabled.then_some(member))
    }

    /// What a snapshot with this server in it would be refused for; otherwise the server, which nobody calls yet.
    pub(super) fn check_server(&self, id: &str, said: &store::Server) -> Result<Member, Fault> {
        let fault = |why| Fault { what: What::Server, id: id.to_owned(), why };
        if let Some(member) = self.files.members.iter().find(|member| *member.server.id == *id) {
            let path = member.about.managed.path().unwrap_or_default();
            return Err(fault(format!("is described twice: in {path}, and in the store")));
        }
        let policy = said.policy.clone().map_or(PolicySource::Missing, PolicySource::Named);
        let described = config::Server::of_document(id, &said.document, policy.clone(), self.commands);
        let (id, described) = described.map_err(|errors| fault(errors.to_string()))?;
        let server = self.here.server(id.as_str(), &described, &self.absent, &mut Vec::new());
        let server = Arc::new(server.map_err(|error| fault(chain(&error)))?);
        let own = Own::of(&described);
        let about = About { managed: Managed::Api, document: described.written, probe: described.reach.probe_interval };
        Ok(Member { server, about, policy, own })
    }
}

fn unreadable(found: &Unreadable) -> Fault {
    let what = match found.kind {
        store::Server::KIND => What::Server,
        store::Token::KIND => What::Token,
        store::Setting::KIND => What::Setting,
        _ => What::Agent,
    };
    Fault { what, id: found.id.clone(), why: format!("cannot be read: {}", found.why) }
}

fn settings(snapshot: &Snapshot) -> BTreeMap<String, String> {
    snapshot.settings.iter().map(|kept| (kept.id.clone(), kept.value.0.to_string())).collect()
}
