//! What an agent may use: its servers and no others, by its own policies, as its labels say.

use serde_json::json;
use testkit::{HttpClient, McpClient, Recorder};

use super::{Known, before, known};
use crate::gate::{Gate, OPEN, Plan, STRICT, called, methods, modern_call, modern_headers, tool};

fn at(gate: &Gate, path: &str) -> HttpClient {
    HttpClient::new(format!("http://{}{path}", gate.data))
}

#[tokio::test]
async fn a_server_of_others_is_one_that_does_not_exist() {
    let (a, b) = (Recorder::mcp([tool("x")]).await, Recorder::mcp([tool("x")]).await);
    let (alice, bob) = (Known::new("alice").with("servers = [\"a\"]"), Known::new("bob").with("servers = []"));
    let plan = Plan::default().server("a", a.url("/mcp"), "p").server("b", b.url("/mcp"), "p").policy("p", OPEN);
    let gate = known(plan, &[&alice, &bob]).start();
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {} } });
    for (agent, server) in [(&alice, "b"), (&bob, "a"), (&bob, "b")] {
        for verb in ["GET", "POST", "DELETE", "PUT"] {
            for (bound, none) in
                [(format!("/mcp/{server}"), "/mcp/nowhere"), (format!("/sse/{server}"), "/sse/nowhere")]
            {
                let lines = [("Content-Type", "application/json"), ("Accept", "text/event-stream, application/json")];
                let body = hello.to_string();
                let theirs = agent.shows(at(&gate, &bound)).send(verb, &lines, body.as_bytes()).await.whole().await;
                let nobodys = agent.shows(at(&gate, none)).send(verb, &lines, body.as_bytes()).await.whole().await;
                assert_eq!((theirs.status, theirs.body), (nobodys.status, nobodys.body), "{verb} {bound}");
                assert_eq!(theirs.status, 404, "{verb} {bound}");
            }
        }
    }
    assert_eq!((methods(&a).len(), methods(&b).len()), (0, 0));
    let call = modern_headers(alice.shows(at(&gate, "/mcp/a")), "tools/call", Some("x"));
    assert_eq!(call.post(&modern_call(1, "x", json!({}))).await.status, 200);
}

/// Nothing of the others is there: no tool, no name, no session opened with them.
#[tokio::test]
async fn the_aggregate_has_only_the_agents_servers() {
    let (a, b) = (Recorder::mcp([tool("x")]).await, Recorder::mcp([tool("y")]).await);
    let alice = Known::new("alice").with("servers = [\"a\"]");
    let all = Known::new("all");
    let plan = Plan::default().server("a", a.url("/mcp"), "p").server("b", b.url("/mcp"), "p").policy("p", OPEN);
    let gate = known(plan, &[&alice, &all]).start();
    for client in
        [McpClient::modern(alice.shows(at(&gate, "/mcp"))), McpClient::legacy(alice.shows(at(&gate, "/mcp"))).await]
    {
        assert_eq!(client.list_tools().await, ["a__x"]);
        let answer = client.call("b__y", json!({})).await;
        assert_eq!(answer["error"]["message"], "Unknown tool: b__y");
        assert!(client.call("a__x", json!({})).await["result"].is_object());
        let read = client.request("resources/read", json!({ "uri": "toolgate://b/docs://x" })).await;
        assert!(read["error"].is_object(), "{read}");
        let complete =
            json!({ "ref": { "type": "ref/prompt", "name": "b__p" }, "argument": { "name": "x", "value": "" } });
        assert!(client.request("completion/complete", complete).await["error"].is_object());
    }
    assert_eq!(methods(&b).len(), 0, "{:?}", methods(&b));
    assert_eq!(called(&a), ["x", "x"]);
    let client = McpClient::modern(all.shows(at(&gate, "/mcp")));
    assert_eq!(client.list_tools().await, ["a__x", "b__y"]);
}

#[tokio::test]
async fn rules_may_ask_for_the_agent_and_its_labels() {
    let upstream = Recorder::mcp([tool("a"), tool("b")]).await;
    let ops = Known::new("ops-bot").with("labels = { team = \"ops\" }");
    let dev = Known::new("dev-bot").with("labels = { team = \"dev\" }");
    let none = Known::new("none");
    let policy = r#"{ "version": "1", "tools": {
        "a": { "require": [{ "conditions": [{ "path": "agent.labels.team", "op": "eq", "value": "ops" }] }] },
        "b": { "deny_if": [{ "conditions": [{ "path": "agent.id", "op": "eq", "value": "ops-bot" }] }] } } }"#;
    let gate = before(&upstream, policy, &[&ops, &dev, &none]);
    for (agent, a, b) in [(&ops, true, false), (&dev, false, true), (&none, false, true)] {
        for client in [agent.modern(&gate), agent.legacy(&gate).await] {
            for (tool, fine) in [("a", a), ("b", b)] {
                let answer = client.call(tool, json!({})).await;
                assert_eq!(answer["result"]["isError"] != true, fine, "{} {tool}: {answer}", agent.id);
            }
        }
    }
}

/// Instead of the server's own, and with counts of its own; in both eras and through the aggregate.
#[tokio::test]
async fn an_agent_may_have_its_own_policy() {
    let upstream = Recorder::mcp([tool("allowed_tool"), tool("other")]).await;
    let strict = Known::new("strict").with("policies = { s = \"strict.json\" }");
    let free = Known::new("free");
    let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
    let gate = known(plan.policy("strict.json", STRICT), &[&strict, &free]).start();
    for (agent, tools, fine) in [(&strict, vec!["allowed_tool"], false), (&free, vec!["allowed_tool", "other"], true)] {
        let aggregate = |agent: &Known| agent.shows(at(&gate, "/mcp"));
        let clients = [
            (agent.modern(&gate), ""),
            (agent.legacy(&gate).await, ""),
            (McpClient::modern(aggregate(agent)), "s__"),
            (McpClient::legacy(aggregate(agent)).await, "s__"),
        ];
        for (client, prefix) in clients {
            let expected: Vec<String> = tools.iter().map(|tool| format!("{prefix}{tool}")).collect();
            assert_eq!(client.list_tools().await, expected, "{}", agent.id);
            let answer = client.call(&format!("{prefix}other"), json!({})).await;
            assert_eq!(answer["result"]["isError"] != true, fine, "{}: {answer}", agent.id);
        }
    }
    // It is watched like any other.
    assert!(gate.ready().await.contains("strict.json"));
}
