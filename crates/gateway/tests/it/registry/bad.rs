//! What cannot be put in force: nothing of it is, and why is told to whoever asks.

use serde_json::json;
use testkit::Recorder;

use super::managed::{Managed, denied, only, started};
use crate::gate::{OPEN, Plan, called, tool};

#[tokio::test]
async fn one_bad_document_keeps_all_of_it_out() {
    let upstream = Recorder::mcp(["a", "b"].map(tool)).await;
    let managed = Managed::new();
    managed.policy("p", &only("a")).await;
    managed.put_before("x", &upstream, "p").await;
    managed.refresh().await;
    managed.put("bad", json!({ "url": "ftp://x" }), Some("p")).await;
    managed.policy("p", &only("b")).await;
    managed.delete("x").await;
    let why = managed.refused().await;
    assert!(why.contains("server `bad`") && why.contains("must be an absolute http or https URL"), "{why}");
    assert_eq!(managed.modern("x").list_tools().await, ["a"], "the server and the policy of before");
    let ready = managed.gate.admin("/readyz").await;
    let said = String::from_utf8(ready.body).unwrap();
    assert!(ready.status == 503 && said.contains("not in force") && said.contains("server `bad`"), "{said}");
    managed.put("bad", json!({ "url": upstream.url("/mcp") }), Some("p")).await;
    managed.refresh().await;
    assert_eq!(managed.modern("bad").list_tools().await, ["b"]);
    assert_eq!(managed.gate.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_bad_policy_keeps_all_of_it_out() {
    let upstream = Recorder::mcp(["a", "b"].map(tool)).await;
    let managed = Managed::new();
    managed.policy("p", &only("a")).await;
    managed.put_before("x", &upstream, "p").await;
    managed.refresh().await;
    managed.policy("q", "{").await;
    managed.policy("p", &only("b")).await;
    let why = managed.refused().await;
    assert!(why.contains("policy `q`"), "{why}");
    assert_eq!(managed.modern("x").list_tools().await, ["a"]);
}

/// What may only come from the configuration file is not even looked at.
#[tokio::test]
async fn no_document_names_a_command_a_file_or_a_variable() {
    let managed = Managed::new();
    let url = "https://mcp.example.com/mcp";
    for (document, said) in [
        (json!({ "command": ["/bin/sh"] }), "servers.x.command"),
        (json!({ "command": "/bin/sh -c true" }), "servers.x.command"),
        (json!({ "command": { "a": "b" } }), "servers.x.command"),
        (json!({ "builtin": "azure-finetuning" }), "servers.x.builtin"),
        (json!({ "url": url, "headers": { "A": { "file": "/etc/passwd" } } }), "servers.x.headers.A.file"),
        (json!({ "url": url, "headers": { "A": { "env": "HOME" } } }), "servers.x.headers.A.env"),
        (
            json!({ "url": url, "oauth": { "client_secret": { "file": "/etc/passwd" } } }),
            "servers.x.oauth.client_secret.file",
        ),
        (
            json!({ "url": url, "agents": { "a": { "headers": { "A": { "env": "HOME" } } } } }),
            "servers.x.agents.a.headers.A.env",
        ),
        (json!({ "url": url, "tls": { "ca": "/etc/passwd" } }), "servers.x.tls.ca"),
        (json!({ "url": url, "tls": { "cert": "a", "key": "b" } }), "servers.x.tls.cert"),
        (json!({ "url": url, "policy": "/etc/passwd" }), "servers.x.policy"),
    ] {
        let server = store::Server { document: document.clone(), policy: None, enabled: true };
        let fault = managed.control.check_server("x", &server).await.unwrap_err();
        assert!(fault.why.contains(said) && fault.why.contains("configuration file"), "{document}: {fault}");
        assert!(!fault.why.contains("root:"), "{fault}");
    }
}

#[tokio::test]
async fn a_document_is_checked_as_a_file_is() {
    let managed = Managed::new();
    let url = "https://mcp.example.com/mcp";
    for (id, document, said) in [
        ("X", json!({ "url": url }), "is not a server id"),
        ("a__b", json!({ "url": url }), "is not a server id"),
        ("x", json!([]), "is not an object"),
        ("x", json!({}), "servers.x.url` is missing"),
        ("x", json!({ "url": 7 }), "servers.x.url` is 7"),
        ("x", json!({ "url": "http://169.254.169.254/" }), "cannot be connected to"),
        ("x", json!({ "url": url, "ulr": url }), "no setting `servers.x.ulr`"),
        ("x", json!({ "url": url, "headers": { "Host": "x" } }), "writes itself"),
        ("x", json!({ "url": url, "transport": "carrier pigeon" }), "servers.x.transport"),
        ("x", json!({ "url": url, "networks": { "a": { "b": { "c": { "d": { "e": { "f": {} } } } } } } }), "deeply"),
    ] {
        let server = store::Server { document: document.clone(), policy: None, enabled: true };
        let fault = managed.control.check_server(id, &server).await.unwrap_err();
        assert!(fault.to_string().contains(said), "{document}: {fault}");
    }
    let server =
        |policy: &str| store::Server { document: json!({ "url": url }), policy: Some(policy.into()), enabled: true };
    let fault = managed.control.check_server("x", &server("p")).await.unwrap_err();
    assert!(fault.why.contains("names the policy `p`"), "{fault}");
    assert!(managed.control.check_policy("p", "{", None).is_err());
    assert!(managed.control.check_policy("p", OPEN, None).is_ok());
    managed.policy("p", OPEN).await;
    managed.refresh().await;
    assert!(managed.control.check_server("x", &server("p")).await.is_ok());
    assert!(managed.control.servers().is_empty(), "asking changes nothing");
}

#[tokio::test]
async fn what_a_file_has_the_store_may_not_have() {
    let upstream = Recorder::mcp(["a", "b"].map(tool)).await;
    let plan = || Plan::default().server("x", upstream.url("/mcp"), "policy.json").policy("policy.json", &only("a"));
    let managed = started(plan());
    managed.put("x", json!({ "url": "https://elsewhere.example.com/mcp" }), None).await;
    let why = managed.refused().await;
    assert!(
        why.contains("server `x` is described twice") && why.contains("toolgate.toml") && why.contains("store"),
        "{why}"
    );
    assert_eq!(denied(&managed.modern("x").call("a", json!({})).await), None);
    assert_eq!(called(&upstream), ["a"]);
    managed.delete("x").await;
    managed.refresh().await;
    let name = managed.gate.policy_file().display().to_string();
    assert!(managed.control.check_policy(&name, OPEN, None).is_err(), "nor a policy of the file's name");
}

/// The file is written after the store: then it is the next start that finds it.
#[tokio::test]
async fn a_gateway_does_not_start_on_what_is_described_twice() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let store = store::Store::open(&url).await.unwrap();
    let document = json!({ "url": "https://mcp.example.com/mcp" });
    store.create("x", store::Server { document, policy: None, enabled: true }).await.unwrap();
    let plan = Plan::default().server("x", "https://mcp.example.com/mcp", "policy.json").policy("policy.json", OPEN);
    let error = plan.set("store.url", &url).fails();
    let said = gateway_chain(&error);
    assert!(said.contains("toolgate.toml") && said.contains("server `x` is described twice"), "{said}");
}

fn gateway_chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(gateway_chain);
    [Some(error.to_string()), source].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// What the store said last time is in force from the first call on.
#[tokio::test]
async fn a_gateway_starts_with_what_the_store_says() {
    let upstream = Recorder::mcp(["a", "b"].map(tool)).await;
    let managed = Managed::new();
    managed.policy("p", &only("b")).await;
    managed.put_before("x", &upstream, "p").await;
    let url = format!("sqlite:{}", managed.gate.store_file().display());
    let again = started(Plan::default().set("store.url", &url));
    assert_eq!(again.modern("x").list_tools().await, ["b"]);
    let none = Plan::default().set("store.url", "").start();
    assert!(none.control().store().is_none());
    let refused = none.control().refresh().await.unwrap_err();
    assert!(matches!(refused, gateway::ApplyError::NoStore), "{refused}");
}
