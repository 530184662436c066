//! What a signal does to calls that are under way.

use serde_json::json;
use tempfile::TempDir;
use testkit::{Exchange, HttpClient, McpClient, Recorder, patiently};
use tokio::task::JoinHandle;

use crate::program::Gateway;

/// A gateway that has been told to end, while the upstream has not answered a call yet.
struct Draining {
    gateway: Gateway,
    exchange: Exchange,
    call: JoinHandle<serde_json::Value>,
    _folder: TempDir,
    _upstream: Recorder,
}

async fn draining() -> Draining {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), r#"{ "version": "1", "tools": { "slow": {} } }"#).unwrap();
    let upstream = Recorder::by_hand().await;
    let url = format!("servers.s.url={}", upstream.url("/mcp"));
    let gateway = Gateway::start(folder.path(), &["--set", &url, "--set", "servers.s.policy=policy.json"]);

    let client = McpClient::modern(HttpClient::new(format!("http://{}/mcp/s", gateway.data)));
    let call = tokio::spawn(async move { client.call("slow", json!({})).await });
    let exchange = loop {
        // Before the call, the gateway asks the server what it is.
        let exchange = upstream.next_exchange().await;
        match exchange.request.json().get("method").and_then(|method| method.as_str()) {
            Some("tools/call") => break exchange,
            _ => exchange
                .answer_with_result(&json!({ "supportedVersions": ["2026-07-28"], "capabilities": {}, "tools": [] })),
        }
    };
    gateway.signal("TERM");
    let ready = HttpClient::new(format!("http://{}/readyz", gateway.admin));
    patiently("the drain", async { while ready.send("GET", &[], b"").await.status != 503 {} }).await;
    Draining { gateway, exchange, call, _folder: folder, _upstream: upstream }
}

#[tokio::test]
async fn a_call_under_way_is_finished_first() {
    let Draining { mut gateway, exchange, call, _folder, _upstream } = draining().await;
    exchange.answer_with_result(&json!({ "content": [{ "type": "text", "text": "late" }], "resultType": "complete" }));
    let answer = patiently("the answer", call).await.unwrap();
    assert_eq!(answer.pointer("/result/content/0/text"), Some(&json!("late")), "{answer}");
    assert_eq!(gateway.end(), Some(0));
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_it() {
    let Draining { mut gateway, call, exchange: _unanswered, _folder, _upstream } = draining().await;
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));
    assert!(patiently("the end of the call", call).await.is_err(), "nobody answered");
}
