//! What the console asks of the gateway, and what it makes of the answers: whatever `refresh` would refuse becomes a problem before
//! anything is kept.

use std::ops::Deref;

use gateway::{Control, Fault};
use serde_json::Value;

use crate::problem::{Code, Problem};

/// A gateway with a store.
#[derive(Clone)]
pub(crate) struct Gate(Control);

impl Gate {
    pub(crate) fn new(control: Control) -> Self {
        Self(control)
    }

    pub(crate) async fn check_server(&self, id: &str, server: &store::Server) -> Result<(), Problem> {
        self.0.check_server(id, server).await.map_err(|fault| refused("/document", &fault))
    }

    pub(crate) fn check_policy(&self, name: &str, text: &str, catalogue: Option<&str>) -> Result<(), Problem> {
        self.0.check_policy(name, text, catalogue).map_err(|fault| refused("/text", &fault))
    }

    pub(crate) fn check_agent(&self, id: &str, agent: &store::Agent) -> Result<(), Problem> {
        self.0.check_agent(id, agent).map_err(|fault| refused("", &fault))
    }

    pub(crate) async fn seal_credential(
        &self,
        server: &str,
        agent: Option<&str>,
        kind: &str,
        value: &Value,
    ) -> Result<store::Credential, Problem> {
        if self.0.has_another_key().await {
            let why = "this node's `store.key` opens none of the credentials that are kept: give it the key that sealed them, or remove them first";
            return Err(Problem::new(Code::NotAvailable, why));
        }
        let sealed = self.0.seal_credential(server, agent, kind, value).await;
        let no_key = || Problem::new(Code::NotAvailable, "there is no key to seal credentials with: set `store.key`");
        sealed.map_err(|fault| refused("/value", &fault))?.ok_or_else(no_key)
    }
}

fn refused(path: &str, fault: &Fault) -> Problem {
    Problem::invalid(path, fault.to_string())
}

impl Deref for Gate {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.0
    }
}
