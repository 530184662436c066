//! Agents of the aggregate: one agent for all servers behind it, and nothing of one for another.

use serde_json::{Value, json};
use testkit::HttpClient;

use super::stack::{Fake, legacy, plan, said, url};
use crate::gate::{OPEN, Plan, called};

/// Both servers behind one policy: an agent's sessions with them are not two agents.
#[tokio::test]
async fn a_client_is_one_agent_for_all_servers() {
    let [a, b] = [Fake::with("a", &["t"]).await, Fake::with("b", &["t"]).await];
    let limited = r#"{ "version": "1", "default": "allow", "tools": { "t": { "limits": [{ "max": 2, "window": "1h", "per": "agent" }] } } }"#;
    let plan = Plan::default().policy("p", limited).server("a", a.url(), "p").server("b", b.url(), "p");
    let gate = plan.start();
    let [one, two] = [legacy(&gate).await, legacy(&gate).await];
    let passes = async |client: &testkit::McpClient, tool: &str| {
        client.call(tool, json!({})).await["result"]["isError"].is_null()
    };
    assert!(passes(&one, "a__t").await && passes(&one, "b__t").await);
    assert!(!passes(&one, "a__t").await && !passes(&one, "b__t").await);
    assert!(passes(&two, "b__t").await, "another agent has its own");
    assert_eq!((called(&a.recorder).len(), called(&b.recorder).len()), (1, 2));
}

#[tokio::test]
async fn sessions_inside_are_not_sessions_outside() {
    let a = Fake::with("a", &["t"]).await;
    let gate = plan(&[("a", &a, OPEN)]).start();
    let client = legacy(&gate).await;
    assert_eq!(said(&client.call("a__t", json!({})).await)["by"], "a");
    let hello =
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25" } });
    let session = HttpClient::new(url(&gate)).post_streamed(&hello).await;
    let session = session.header("mcp-session-id").unwrap().to_owned();
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    for (at, status) in [(url(&gate), 200), (gate.url("a"), 404)] {
        let reply = HttpClient::new(at).header("Mcp-Session-Id", &session).post(&list).await;
        assert_eq!(reply.status, status);
    }
    for session in ["upstream-a", "nonsense", ""] {
        let reply = HttpClient::new(url(&gate)).header("Mcp-Session-Id", session).post(&list).await;
        assert_eq!(reply.status, 404);
    }
    assert_eq!(HttpClient::new(url(&gate)).post(&list).await.status, 400);
}

#[tokio::test]
async fn a_task_of_one_session_does_not_exist_in_another() {
    let a = Fake::with("a", &["task"]).await;
    let gate = plan(&[("a", &a, OPEN)]).start();
    let [one, two] = [legacy(&gate).await, legacy(&gate).await];
    one.request("tools/call", json!({ "name": "a__task", "arguments": {}, "task": {} })).await;
    assert_eq!(one.request("tasks/get", json!({ "taskId": "a/t1" })).await["error"], Value::Null);
    assert_eq!(two.request("tasks/get", json!({ "taskId": "a/t1" })).await["error"]["code"], -32602);
    assert_eq!(two.request("tasks/list", json!({})).await["result"]["tasks"], json!([]));
}

/// A reload of one server's policy is in force for the next request, and for that server only.
#[tokio::test]
async fn a_policy_that_is_reloaded_changes_its_own_server_only() {
    let [a, b] = [Fake::with("a", &["t"]).await, Fake::with("b", &["t"]).await];
    let gate = plan(&[("a", &a, OPEN), ("b", &b, OPEN)]).start();
    let client = legacy(&gate).await;
    assert_eq!(client.list_tools().await, ["a__t", "b__t"]);
    let before = gate.ready().await;
    std::fs::write(gate.folder.path().join("new"), r#"{ "version": "1", "tools": {} }"#).unwrap();
    std::fs::rename(gate.folder.path().join("new"), gate.folder.path().join("a.json")).unwrap();
    gate.until(|ready| crate::gate::policy_lines(ready) != crate::gate::policy_lines(&before)).await;
    assert_eq!(client.list_tools().await, ["b__t"]);
    assert_eq!(client.call("a__t", json!({})).await["result"]["isError"], true);
    assert_eq!(said(&client.call("b__t", json!({})).await)["by"], "b");
}
