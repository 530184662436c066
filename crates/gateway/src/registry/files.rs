//! What the configuration file describes, made once: its servers, and the policy files that they name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::About;
use super::credentials::Own;
use crate::builtin;
use crate::config::{self, Bounds, Config, PolicySource, Reach, Target, UpstreamHeaders};
use crate::control::Managed;
use crate::credentials::{Credentials, OAuth};
use crate::identity;
use crate::policies::{PolicyFile, PolicyTrouble};
use crate::server::{Endpoint, Road, Server, Way};
use crate::start::StartError;
use crate::stdio::{Nursery, Place, Stdio};
use crate::tls::Tls;

/// What ways to servers are made of.
pub(crate) struct Here {
    pub(crate) tls: Tls,
    /// Must outlive the threads that call.
    pub(crate) runtime: Handle,
    pub(crate) bounds: Arc<Bounds>,
    /// Where programs live, if there may be any.
    pub(crate) programs: Option<Place>,
    /// Are there other nodes that serve the same sessions?
    pub(crate) shares: bool,
}

/// A server, and what has been said of it.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) server: Arc<Server>,
    pub(super) about: About,
    pub(super) policy: PolicySource,
    pub(super) own: Option<Arc<Own>>,
}

pub(crate) struct Files {
    pub(super) members: Vec<Member>,
    pub(crate) policies: Arc<[Arc<PolicyFile>]>,
    /// By what names them.
    sources: BTreeMap<PolicySource, Arc<PolicyFile>>,
    /// Servers of our own; they end when these are dropped.
    pub(crate) builtins: Vec<oneshot::Sender<()>>,
    pub(super) agents: Vec<identity::Member>,
    /// Where they are described; for people.
    pub(super) agents_in: String,
}

impl Here {
    /// With a thread for programs, where there may be any.
    pub(crate) fn new(config: &Config, runtime: Handle) -> Result<(Self, Option<Nursery>), StartError> {
        let is_program = |server: &config::Server| matches!(server.target, Target::Command(_));
        let any = config.servers.values().any(is_program) || (config.store.url.is_some() && config.store.commands);
        let nursery = any.then(Nursery::start).transpose()?;
        let programs = nursery.as_ref().map(Nursery::place);
        let bounds = Arc::new(config.bounds.clone());
        let shares = config.sessions.store.is_some();
        Ok((Self { tls: Tls::of_system()?, runtime, bounds, programs, shares }, nursery))
    }

    /// A server as it is described, behind a policy that is not in force yet.
    pub(super) fn server(
        &self,
        id: &str,
        described: &config::Server,
        policy: &Arc<PolicyFile>,
        builtins: &mut Vec<oneshot::Sender<()>>,
    ) -> Result<Server, StartError> {
        let way = match &described.target {
            Target::Url(url) => {
                let road = Road::new(id, url, &described.reach, &self.tls)?;
                if let Some(key) = described.reach.tls.as_ref().and_then(|tls| tls.exposed_key.as_ref()) {
                    tracing::warn!(server = %id, key = %key.display(), "a private key can be read by every user of this machine");
                }
                let credentials = self.credentials(id, &described.headers, &described.credentials)?;
                let endpoint = Endpoint::new(url.clone(), credentials, road);
                Way::by(described.reach.transport, endpoint, &self.runtime, &self.bounds)
            }
            Target::Command(command) => {
                let no_place = || StartError::Thread(std::io::Error::other("there is none for programs"));
                let place = self.programs.clone().ok_or_else(no_place)?;
                Way::Stdio(Stdio::new(id, command, &self.bounds, place))
            }
            Target::Finetuning(settings) => {
                let builtin = builtin::finetuning(id, (**settings).clone())?;
                builtins.push(builtin.alive);
                let road = Road::new(id, &builtin.url, &Reach::default(), &self.tls)?;
                Way::http(builtin.url, Credentials::headers(&builtin.headers), road)
            }
        };
        let server = Server::new(id, way, Arc::clone(policy)).described(description(id, described));
        Ok(match &described.target {
            Target::Url(_) if self.shares => server.of_all_nodes(),
            Target::Url(_) | Target::Command(_) | Target::Finetuning(_) => server,
        })
    }

    /// Tokens are fetched where the operator says, over connections that are guarded and secured like those to servers.
    pub(super) fn credentials(
        &self,
        id: &str,
        headers: &UpstreamHeaders,
        credentials: &config::Credentials,
    ) -> Result<Credentials, rustls::Error> {
        Credentials::new(headers, credentials, |settings| {
            let road = Road::new(&format!("{id}: tokens"), &settings.token_url, &Reach::default(), &self.tls)?;
            Ok(OAuth::new(settings, &road, &self.bounds))
        })
    }
}

impl Files {
    pub(crate) fn load(config: &Config, here: &Here) -> Result<Self, StartError> {
        let mut sources: BTreeMap<PolicySource, Arc<PolicyFile>> = BTreeMap::new();
        let (mut members, mut builtins) = (Vec::new(), Vec::new());
        let folder = config.folder.as_deref();
        for (id, described) in &config.servers {
            let source = &described.policy;
            let unguarded = |source| StartError::Policy { server: id.as_str().into(), source: Box::new(source) };
            let policy = shared(&mut sources, source, folder).map_err(unguarded)?;
            let server = Arc::new(here.server(id.as_str(), described, &policy, &mut builtins)?);
            let about = About {
                managed: Managed::File { path: described.place.as_ref().to_owned() },
                document: described.written.clone(),
                probe: described.reach.probe_interval,
            };
            members.push(Member { server, about, policy: source.clone(), own: Own::of(described) });
        }
        let agents = config.agents.iter().map(|(id, agent)| {
            let unguarded = |source| StartError::AgentPolicy { agent: id.as_str().into(), source: Box::new(source) };
            let policies = agent.policies.iter();
            let policies =
                policies.map(|(server, source)| Ok((server.as_str().into(), shared(&mut sources, source, folder)?)));
            Ok(identity::Member::of_file(id, agent, policies.collect::<Result<_, _>>().map_err(unguarded)?))
        });
        let agents = agents.collect::<Result<Vec<_>, StartError>>()?;
        let agents_in = config.agents_in.to_string();
        Ok(Self { members, policies: sources.values().cloned().collect(), sources, builtins, agents, agents_in })
    }

    /// A policy that some server in a file names.
    pub(super) fn policy(&self, source: &PolicySource) -> Option<&Arc<PolicyFile>> {
        match source {
            PolicySource::File(_) | PolicySource::BuiltIn { .. } => self.sources.get(source),
            PolicySource::Named(name) => self.policies.iter().find(|policy| *policy.name == **name),
            PolicySource::Missing => None,
        }
    }
}

/// Where it is counts to the last letter. Secrets do not: whoever has the description of two nodes' servers learns nothing of those.
fn description(id: &str, described: &config::Server) -> Arc<str> {
    let url = match &described.target {
        Target::Url(url) => url.to_string(),
        Target::Command(_) | Target::Finetuning(_) => String::new(),
    };
    let mut digest = Sha256::new();
    for part in [id, &url, &described.written.to_string()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    HEXLOWER.encode(&digest.finalize()).into()
}

/// The same for all who name it.
fn shared(
    sources: &mut BTreeMap<PolicySource, Arc<PolicyFile>>,
    source: &PolicySource,
    folder: Option<&Path>,
) -> Result<Arc<PolicyFile>, PolicyTrouble> {
    if let Some(policy) = sources.get(source) {
        return Ok(Arc::clone(policy));
    }
    let policy = Arc::new(policy(source, folder)?);
    if matches!(source, PolicySource::File(_) | PolicySource::BuiltIn { .. }) {
        sources.insert(source.clone(), Arc::clone(&policy));
    }
    Ok(policy)
}

/// One that is found by its name comes later.
fn policy(source: &PolicySource, folder: Option<&Path>) -> Result<PolicyFile, PolicyTrouble> {
    match source {
        PolicySource::File(path) => PolicyFile::load(path, folder),
        PolicySource::BuiltIn { name, text } => PolicyFile::built_in(name, text),
        PolicySource::Named(_) | PolicySource::Missing => PolicyFile::absent(),
    }
}
