//! Progressive discovery: two tools that find and call all others, and are no way around a rule.

use serde_json::{Value, json};
use testkit::{McpClient, Recorder};

use super::stack::{Fake, dead, legacy, listed, modern, plan, said};
use crate::gate::{Gate, OPEN, Plan, called};

const POLICY: &str = r#"{ "version": "1", "tools": { "read*": {}, "no": "deny", "secret": "hide", "limited": { "rate_limit": "1/hour" } } }"#;

async fn stack() -> (Gate, Fake, Fake) {
    let tools = ["read_file", "no", "secret", "limited"];
    let [a, b] = [Fake::with("a", &tools).await, Fake::with("b", &["read_mail"]).await];
    let plan = plan(&[("a", &a, POLICY), ("b", &b, POLICY)]).server("dead", dead(), "a.json");
    (plan.set("aggregate.discovery", "true").start(), a, b)
}

async fn clients(gate: &Gate) -> [McpClient; 2] {
    [modern(gate), legacy(gate).await]
}

fn found(answer: &Value) -> Vec<String> {
    let Value::Array(tools) = said(answer) else { return Vec::new() };
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_list_is_two_tools_that_find_what_the_agent_may_use() {
    let (gate, _a, _b) = stack().await;
    for client in clients(&gate).await {
        let answer = client.request("tools/list", json!({})).await;
        assert_eq!(listed(&answer, "tools", "name"), ["search_tools", "call_tool"]);
        let search = async |query: Value| client.call("search_tools", query).await;
        let answer = search(json!({ "query": "read" })).await;
        assert_eq!(found(&answer), ["a__read_file", "b__read_mail"]);
        assert_eq!(answer["result"]["_meta"]["dev.toolgate/unavailable"], json!(["dead"]));
        assert_eq!(said(&answer)[0]["inputSchema"], json!({ "type": "object" }));
        assert_eq!(found(&search(json!({ "query": "Mail, to READ" })).await), ["b__read_mail", "a__read_file"]);
        assert_eq!(found(&search(json!({ "query": "read", "limit": 1 })).await), ["a__read_file"]);
        for nothing in ["secret", "no", "zebra", ""] {
            assert!(found(&search(json!({ "query": nothing })).await).is_empty(), "{nothing}");
        }
        assert_eq!(search(json!({})).await["result"]["isError"], true);
    }
}

#[tokio::test]
async fn a_call_by_the_tool_is_judged_as_the_call() {
    let (gate, a, _b) = stack().await;
    for client in clients(&gate).await {
        let by = async |name: &str| client.call("call_tool", json!({ "name": name, "arguments": { "x": 1 } })).await;
        let ran = by("a__read_file").await;
        assert_eq!(said(&ran), json!({ "by": "a", "name": "read_file", "arguments": { "x": 1 }, "state": null }));
        let direct = client.call("a__no", json!({ "x": 1 })).await;
        // Each is a request of its own.
        let but_for_its_id = |mut answer: Value| {
            let decision = answer["result"]["_meta"]["dev.toolgate/decision"].as_object_mut().unwrap();
            assert!(decision.remove("request_id").is_some());
            answer["result"].take()
        };
        assert_eq!(but_for_its_id(by("a__no").await), but_for_its_id(direct.clone()));
        assert_eq!(direct["result"]["_meta"]["dev.toolgate/decision"]["rule"], "/tools/no");
        for unknown in ["a__secret", "c__ghost", "call_tool", "search_tools", "x"] {
            let answer = by(unknown).await;
            assert_eq!(answer["error"], json!({ "code": -32602, "message": format!("Unknown tool: {unknown}") }));
        }
        assert!(by("a__limited").await["result"]["isError"].is_null());
        let again = client.call("a__limited", json!({})).await;
        assert_eq!(again["result"]["_meta"]["dev.toolgate/decision"]["code"], "limited", "one count for both ways");
        assert_eq!(client.call("call_tool", json!({})).await["result"]["isError"], true);
    }
    assert_eq!(called(&a.recorder), ["read_file", "limited", "read_file", "limited"]);
}

/// Its own client knows no schema, and so sends no such headers.
#[tokio::test]
async fn arguments_that_a_server_wants_mirrored_are_mirrored() {
    let definition = r#"{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}"#;
    let upstream = Recorder::mcp([definition]).await;
    let plan = Plan::default().server("s", upstream.url("/mcp"), "p").policy("p", OPEN);
    let gate = plan.set("aggregate.discovery", "true").start();
    modern(&gate).call("call_tool", json!({ "name": "s__t", "arguments": { "region": "west" } })).await;
    let sent = upstream.requests().pop().unwrap();
    assert_eq!((sent.header("mcp-param-region"), sent.header("mcp-name")), (Some("west"), Some("t")));
}
