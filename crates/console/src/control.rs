//! What the console asks of the gateway, as the console speaks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway::Act;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::problem::{Code, Problem};

#[derive(Clone)]
pub struct Control {
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) acts: Arc<std::sync::Mutex<Vec<String>>>,
}

pub(crate) struct Event;
impl Event {
    pub(crate) fn name(&self) -> &'static str {
        "x"
    }
    pub(crate) fn json(&self) -> String {
        "{}".into()
    }
}

pub(crate) enum Managed {
    File(String),
    Api,
}

impl Managed {
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::File(path) => Some(path),
            Self::Api => None,
        }
    }
}

pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) managed: Managed,
    pub(crate) document: Value,
    pub(crate) policy: Option<String>,
    pub(crate) health: Option<String>,
}

pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) managed: Managed,
    pub(crate) hash: String,
}

pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) managed: Managed,
    pub(crate) enabled: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) servers: Option<BTreeSet<String>>,
    pub(crate) policies: BTreeMap<String, String>,
}

pub(crate) struct AuditStatus {
    pub(crate) waiting: u64,
    pub(crate) lost: u64,
    pub(crate) trouble: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("no")]
pub(crate) struct ApplyError;

impl Control {
    pub(crate) fn servers(&self) -> Vec<Server> {
        Vec::new()
    }
    pub(crate) fn policies(&self) -> Vec<Policy> {
        Vec::new()
    }
    pub(crate) fn agents(&self) -> Vec<Agent> {
        Vec::new()
    }
    pub(crate) async fn check_server(&self, _id: &str, _server: &store::Server) -> Result<(), Problem> {
        Ok(())
    }
    pub(crate) async fn check_agent(&self, _id: &str, _agent: &store::Agent) -> Result<(), Problem> {
        Ok(())
    }
    pub(crate) async fn check_policy(&self, _: &str, _: &str, _: Option<&str>) -> Result<(), Problem> {
        Ok(())
    }
    pub(crate) fn seal_credential(
        &self,
        _server: String,
        _agent: Option<String>,
        _kind: String,
        _value: &Value,
    ) -> Result<store::Credential, Problem> {
        Err(Problem::new(Code::NotAvailable, "there is no key to seal credentials with"))
    }
    pub(crate) fn audit_status(&self) -> Option<AuditStatus> {
        None
    }
    pub(crate) fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }
    pub(crate) async fn refresh(&self) -> Result<(), ApplyError> {
        Ok(())
    }
    pub(crate) async fn record(&self, act: Act<'_>) -> Result<(), ApplyError> {
        self.acts.lock().unwrap_or_else(|e| e.into_inner()).push(format!("{act:?}"));
        Ok(())
    }
}
