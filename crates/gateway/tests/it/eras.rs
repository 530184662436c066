//! Client and server of different eras: bridged, or a clear error that names both and a way on for a client that speaks both.

use serde_json::json;
use testkit::{Answer, HttpClient, McpClient, Recorded, Recorder};

use crate::gate::{Gate, OPEN, methods, modern_call, modern_headers, tool};

/// An upstream of one era: legacy answers 400 to what it does not know, as npm servers do; modern answers 404 to `initialize`.
async fn upstream(legacy: bool) -> Recorder {
    let error = |request: &Recorded, status: u16, code: i64| {
        let id = request.json()["id"].clone();
        Answer::json(status, &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "no" } }))
    };
    Recorder::start(move |request| {
        if request.body.is_empty() {
            return Answer::status(405);
        }
        let message = request.json();
        let modern = !message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null();
        let result = match message["method"].as_str() {
            _ if modern == legacy => return error(request, if legacy { 400 } else { 404 }, if legacy { -32000 } else { -32601 }),
            Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }),
            Some("server/discover") => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} }),
            Some("tools/list") => json!({ "tools": [{ "name": "a" }] }),
            _ if message["id"].is_null() => return Answer::status(202),
            _ => json!({ "content": [] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await
}

/// With a policy that hides, the tools are looked up before a call: that must not hide the real trouble.
const HIDING: &str = r#"{ "version": "1", "default": "allow", "hide": ["h"] }"#;

#[tokio::test]
async fn a_modern_client_before_a_legacy_server() {
    for policy in [OPEN, HIDING] {
        let upstream = upstream(true).await;
        let gate = Gate::before(&upstream, policy);
        let client = gate.modern();
        assert_eq!(client.list_tools().await, ["a"]);
        let called = client.call("a", json!({})).await;
        assert_eq!(called["result"]["content"], json!([]), "{called}");
        assert_eq!(called["result"]["resultType"], "complete");
        let discovered = client.request("server/discover", json!({})).await;
        assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]), "{discovered}");
        let mut listening = client.start("k", "subscriptions/listen", json!({ "notifications": {} })).await;
        assert_eq!(listening.next_event().await.unwrap().json()["method"], "notifications/subscriptions/acknowledged");
        let count = |wanted: &str| methods(&upstream).iter().filter(|method| *method == wanted).count();
        assert_eq!((count("server/discover"), count("initialize")), (1, 1), "what was learnt is remembered");
        assert!(gate.legacy().await.call("a", json!({})).await["error"].is_null(), "and a legacy one is served");
    }
}

#[tokio::test]
async fn a_legacy_client_before_a_modern_server() {
    let upstream = upstream(false).await;
    let gate = Gate::before(&upstream, OPEN);
    for revision in ["2025-11-25", "2024-11-05"] {
        let client = McpClient::legacy_of(gate.http(), revision).await;
        assert_eq!(client.list_tools().await, ["a"]);
        assert!(client.call("a", json!({})).await["error"].is_null(), "both speak their own");
    }
    let initialized = methods(&upstream).iter().filter(|method| *method == "initialize").count();
    assert_eq!(initialized, 1, "what was learnt is remembered");
    let client = gate.modern();
    assert!(client.call("a", json!({})).await["error"].is_null(), "and a modern one is served");
}

#[tokio::test]
async fn both_eras_on_one_url() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let clients = [gate.modern(), gate.legacy().await, McpClient::legacy_of(gate.http(), "2024-11-05").await];
    for client in clients {
        assert_eq!(client.list_tools().await, ["a"]);
        assert_eq!(
            client.call("a", json!({ "n": 1 })).await["result"]["content"][0]["text"],
            r#"{"arguments":{"n":1},"name":"a"}"#
        );
    }
    let discovered = gate.modern().request("server/discover", json!({})).await;
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]));
}

/// A server that is away when it is asked for its era is asked again.
#[tokio::test]
async fn an_era_is_learnt_from_an_answer_only() {
    for trouble in [500, 502, 503, 401, 403, 407, 429, 301, 307] {
        let first = std::sync::atomic::AtomicBool::new(true);
        let upstream = Recorder::start(move |request| {
            if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                return Answer::status(trouble);
            }
            let result = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "content": [] });
            Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result }))
        })
        .await;
        let gate = Gate::before(&upstream, OPEN);
        let http: HttpClient = modern_headers(gate.http(), "tools/call", Some("a"));
        let failed = http.post(&modern_call(1, "a", json!({}))).await;
        assert_eq!(failed.json()["error"]["code"], -32603, "{trouble}");
        assert_eq!(http.post(&modern_call(1, "a", json!({}))).await.json()["result"]["content"], json!([]));
    }
}

/// A server that does not answer is waited for once, not by one caller after the other.
#[tokio::test]
async fn a_silent_server_is_waited_for_by_all_at_once() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.call_timeout", "500ms")]);
    // One after the other would take longer than anybody here waits.
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let client = gate.modern();
            tokio::spawn(async move { client.call("a", json!({})).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap()["error"]["code"], -32603);
    }
    assert!(methods(&upstream).iter().all(|method| method == "server/discover"));
}
