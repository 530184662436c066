//! A gateway whose servers and policies are the store's, and the way to change them that the admin API has.

use gateway::{ApplyError, Control};
use serde_json::{Value, json};
use store::{Draft, Kept, Policy, Server, Store};
use testkit::{HttpClient, McpClient, Recorder};

use crate::gate::{Gate, Plan};

pub(super) struct Managed {
    pub(super) gate: Gate,
    pub(super) control: Control,
    pub(super) store: Store,
}

/// With a store in its folder.
pub(super) fn started(plan: Plan) -> Managed {
    let gate = plan.with_store().start();
    let control = gate.control();
    let store = control.store().unwrap().clone();
    Managed { gate, control, store }
}

impl Managed {
    pub(super) fn new() -> Self {
        started(Plan::default())
    }

    /// As a file would describe it.
    pub(super) async fn put(&self, id: &str, document: Value, policy: Option<&str>) {
        let server = Server { document, policy: policy.map(str::to_owned), enabled: true };
        match self.store.get::<Server>(id).await {
            Ok(_) => self.store.replace(id, server, None).await.unwrap(),
            Err(_) => self.store.create(id, server).await.unwrap(),
        };
    }

    pub(super) async fn put_before(&self, id: &str, upstream: &Recorder, policy: &str) {
        self.put(id, json!({ "url": upstream.url("/mcp") }), Some(policy)).await;
    }

    pub(super) async fn delete(&self, id: &str) {
        self.store.delete::<Server>(id, None).await.unwrap();
    }

    pub(super) async fn policy(&self, name: &str, text: &str) -> Kept<Policy> {
        let (hash, text) = (text.len().to_string(), text.to_owned());
        let draft = Draft { hash, text, catalogue: None, note: String::new(), author: "test".to_owned() };
        self.store.add_policy_version(name, &draft, true, None).await.unwrap()
    }

    pub(super) async fn refresh(&self) {
        self.control.refresh().await.unwrap();
    }

    pub(super) async fn refused(&self) -> String {
        match self.control.refresh().await {
            Err(ApplyError::Refused(faults)) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            other => panic!("it was taken, or not read: {other:?}"),
        }
    }

    pub(super) fn http(&self, server: &str) -> HttpClient {
        HttpClient::new(self.gate.url(server))
    }

    pub(super) fn modern(&self, server: &str) -> McpClient {
        McpClient::modern(self.http(server))
    }

    pub(super) async fn legacy(&self, server: &str) -> McpClient {
        McpClient::legacy(self.http(server)).await
    }
}

/// Only this tool; every other is denied in words that name it.
pub(super) fn only(allowed: &str) -> String {
    let denied = if allowed == "a" { "b" } else { "a" };
    format!(
        r#"{{ "version": "1", "tools": {{ "{allowed}": {{}}, "{denied}": {{ "action": "deny", "reason": "only {allowed}" }} }} }}"#
    )
}

/// What came of a call: the words of a denial, or none.
pub(super) fn denied(answer: &Value) -> Option<String> {
    assert!(answer["result"].is_object(), "no answer to a call: {answer}");
    answer["result"]["isError"].as_bool()?;
    Some(answer["result"]["content"][0]["text"].as_str().unwrap().to_owned())
}
