//! Servers that are programs: to a client they look like any other, whatever they say, and however they end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient, Reply, patiently};

use crate::gate::{Gate, OPEN, Plan, modern_call, modern_headers, modern_request};

/// A gateway before our program, with these arguments and more lines of configuration.
fn plan(arguments: &[&str], more: &str) -> Plan {
    let command = [&[env!("CARGO_BIN_EXE_stdio_server")], arguments].concat();
    Plan::default()
        .toml(&format!("[servers.s]\ncommand = {}\npolicy = \"policy.json\"\n{more}", json!(command)))
        .policy("policy.json", OPEN)
        .env("PATH", "/usr/bin:/bin")
}

fn gate(arguments: &[&str], more: &str) -> Gate {
    plan(arguments, more).start()
}

/// What a tool said, or the whole answer where it said nothing.
fn said(answer: &Value) -> Value {
    match answer["result"]["content"][0]["text"].as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        None => answer.clone(),
    }
}

async fn call(client: &McpClient, tool: &str, arguments: Value) -> Value {
    said(&client.call(tool, arguments).await)
}

fn failed(id: impl Into<Value>) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "error": { "code": -32603, "message": "upstream failed" } })
}

/// All messages of an answer, and at its end there is nothing more.
async fn messages(mut reply: Reply) -> Vec<Value> {
    if reply.header("content-type") != Some("text/event-stream") {
        return vec![reply.whole().await.json()];
    }
    let mut messages = Vec::new();
    while let Some(event) = reply.next_event().await {
        messages.push(event.json());
    }
    messages
}

#[tokio::test]
async fn a_client_of_either_era_reaches_a_program_of_its_era() {
    for (arguments, eras) in [(&["--legacy"][..], "l"), (&["--modern"], "m"), (&[], "lm")] {
        let gate = gate(arguments, "");
        for era in eras.chars() {
            let client = if era == 'l' { gate.legacy().await } else { gate.modern() };
            assert_eq!(client.list_tools().await, ["echo"]);
            assert_eq!(call(&client, "echo", json!({ "a": [1, "\n"] })).await, json!({ "a": [1, "\n"] }));
            let none = client.request("prompts/list", json!({})).await;
            assert_eq!(none["error"]["code"], -32601, "{none}");
        }
    }
}
