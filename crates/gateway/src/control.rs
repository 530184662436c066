//! What runs, for those who manage it: the admin API stands on this.

mod approvals;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use store::{Store, StoreError};
use tokio::sync::watch;

pub use self::approvals::Redeemable;
pub use self::told::{AuditStatus, NotRecorded};
use crate::config::{Adjusted, Live, NotAdjustable};
use crate::registry::Keeper;

/// A running gateway's handle. Cheap to clone; outlives the gateway, and then says that it has ended.
#[derive(Clone)]
pub struct Control(Arc<Keeper>);

/// Who says what something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Managed {
    /// A file, which the API does not change.
    File {
        path: String,
    },
    Api,
}

/// A server that is in force.
#[derive(Clone, Debug)]
pub struct ServerView {
    pub id: String,
    pub managed: Managed,
    /// Its description; what may be a secret is masked.
    pub document: Value,
    /// The name of its policy; none where there is none, and every call is denied.
    pub policy: Option<String>,
    /// How it is doing, where that can be said.
    pub health: Option<String>,
}

/// A policy that is in force.
#[derive(Clone, Debug)]
pub struct PolicyView {
    pub name: String,
    pub managed: Managed,
    pub hash: String,
    /// Why the file as it is now is not in force, if it is not.
    pub trouble: Option<String>,
    /// The servers that it judges the calls of, by id.
    pub servers: Vec<String>,
}

/// An agent that is known by name.
#[derive(Clone, Debug)]
pub struct AgentView {
    pub id: String,
    pub managed: Managed,
    pub enabled: bool,
    pub labels: BTreeMap<String, String>,
    /// None: all.
    pub servers: Option<BTreeSet<String>>,
    /// By server, the name of what judges its calls there instead of the server's own.
    pub policies: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Server,
    Policy,
    Agent,
    Token,
    Credential,
    Setting,
}

/// One thing that cannot be put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub what: What,
    pub id: String,
    pub why: String,
}

/// Why what was in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("there is no store: `store.url` is empty")]
    NoStore,
    #[error("the gateway has ended")]
    Ended,
    #[error("the store cannot be read")]
    Unavailable(#[source] StoreError),
    #[error("{}", lines(.0))]
    Refused(Vec<Fault>),
}

impl Control {
    pub(crate) fn new(keeper: Arc<Keeper>) -> Self {
        Self(keeper)
    }

    pub fn store(&self) -> Option<&Store> {
        self.0.store()
    }

    /// Puts in force what the store says, whole or not at all. When it returns a revision, calls on this node are judged by that one.
    pub async fn refresh(&self) -> Result<i64, ApplyError> {
        self.0.refresh().await
    }

    /// Would `refresh` take it? It need not be in the store.
    pub async fn check_server(&self, id: &str, server: &store::Server) -> Result<(), Fault> {
        let fault = |why: &str| Fault { what: What::Server, id: id.to_owned(), why: why.to_owned() };
        self.0.check_server(id, server).await?;
        let registry = self.0.shared().ok_or_else(|| fault("the gateway has ended"))?.registry.load();
        match &server.policy {
            Some(name) if !registry.policies().contains_key(name.as_str()) => {
                Err(fault(&format!("names the policy `{name}`, and there is none of that name in force")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Would `refresh` take it? It need not be in the store.
    pub fn check_policy(&self, name: &str, text: &str, catalogue: Option<&str>) -> Result<(), Fault> {
        self.0.check_policy(name, text, catalogue)
    }

    /// Would `refresh` take it? It need not be in the store. Beyond that, what it names must be there.
    pub fn check_agent(&self, id: &str, agent: &store::Agent) -> Result<(), Fault> {
        let fault = |why: String| Fault { what: What::Agent, id: id.to_owned(), why };
        self.0.check_agent(id, agent)?;
        let registry = self.0.shared().ok_or_else(|| fault("the gateway has ended".to_owned()))?.registry.load();
        let named = agent.servers.iter().flatten().chain(agent.policies.keys());
        if let Some(server) = named.into_iter().find(|server| registry.server(server).is_none()) {
            return Err(fault(format!("names the server `{server}`, and there is none of that id in force")));
        }
        match agent.policies.values().find(|name| !registry.policies().contains_key(name.as_str())) {
            Some(name) => Err(fault(format!("names the policy `{name}`, and there is none of that name in force"))),
            None => Ok(()),
        }
    }

    /// Is there a credential, and none that opens with the key of this node? Then whatever is sealed here is of no use at others.
    pub async fn has_another_key(&self) -> bool {
        self.0.has_another_key().await
    }

    /// A credential as the store keeps it: of a server, of one agent there or of all (`agent`), and of that kind (`headers`, `oauth`).
    /// Refused for what `refresh` could not use. None where there is no key to seal by.
    pub async fn seal_credential(
        &self,
        server: &str,
        agent: Option<&str>,
        kind: &str,
        value: &Value,
    ) -> Result<Option<store::Credential>, Fault> {
        self.0.seal_credential((server, agent, kind), value).await
    }

    /// The settings that may change while the gateway runs, as they are without the store.
    pub fn settings(&self) -> Vec<Adjusted> {
        self.0.settings()
    }

    /// Would `refresh` take it? It need not be in the store.
    pub fn check_setting(&self, key: &str, value: &Value) -> Result<(), NotAdjustable> {
        self.0.check_setting(key, value)
    }

    /// What those settings are now, and tells when they change. None once the gateway has ended.
    pub fn live(&self) -> Option<watch::Receiver<Live>> {
        self.0.shared().map(|shared| shared.live.subscribe())
    }

    /// The agents that are known by name, by id.
    pub fn agents(&self) -> Vec<AgentView> {
        self.0.agents()
    }

    /// The servers that are in force, by id.
    pub fn servers(&self) -> Vec<ServerView> {
        let Some(shared) = self.0.shared() else { return Vec::new() };
        let registry = shared.registry.load();
        let views = registry.members().map(|(server, about)| ServerView {
            id: server.id.as_ref().to_owned(),
            managed: about.managed.clone(),
            document: about.document.clone(),
            policy: server.policy.document().named().map(str::to_owned),
            health: server.way.endpoint().map(|endpoint| endpoint.road.health.state()),
        });
        let mut views: Vec<_> = views.collect();
        views.sort_by(|a, b| a.id.cmp(&b.id));
        views
    }

    /// The policies that are in force, by name.
    pub fn policies(&self) -> Vec<PolicyView> {
        let Some(shared) = self.0.shared() else { return Vec::new() };
        let registry = shared.registry.load();
        let bound = |name: &str| {
            let servers = registry.servers().filter(|server| *server.policy.document().name == *name);
            let mut servers: Vec<String> = servers.map(|server| server.id.as_ref().to_owned()).collect();
            servers.sort_unstable();
            servers
        };
        let views = registry.policies().iter().map(|(name, policy)| PolicyView {
            name: name.as_ref().to_owned(),
            managed: match policy.is_kept() {
                true => Managed::Api,
                false => Managed::File { path: policy.path.display().to_string() },
            },
            hash: policy.current().hash.as_ref().to_owned(),
            trouble: policy.trouble(),
            servers: bound(name),
        });
        views.collect()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Managed {
    /// The file, if it is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::File { path } => Some(path),
            Self::Api => None,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Policy => "policy",
            Self::Agent => "agent",
            Self::Token => "token",
            Self::Credential => "credential",
            Self::Setting => "setting",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` {}", self.what, self.id, self.why)
    }
}

impl std::error::Error for Fault {}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}
