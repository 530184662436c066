//! A legacy client before a server that knows only 2026-07-28: each side hears its own language, and the policy stands between.

use serde_json::{Value, json};
use testkit::{Answer, Exchange, McpClient, Recorder, Reply};

use crate::gate::{Gate, OPEN, called, methods, tool};

const META: &str = "io.modelcontextprotocol/";

/// What a modern server says of itself here.
fn discovered() -> Value {
    json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
        "capabilities": { "tools": { "listChanged": true }, "prompts": {}, "logging": {}, "completions": {},
            "resources": { "subscribe": true, "listChanged": true }, "extensions": { "vendor/x": {} } },
        "instructions": "Be kind.", "vendor": 1.50,
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "hand", "version": "1", "x": [] } } })
}

/// The next request of an upstream by hand that is no introduction: those are answered here, as by a server that is modern only.
async fn next(upstream: &Recorder) -> Exchange {
    loop {
        let exchange = upstream.next_exchange().await;
        assert!(!exchange.request.body.is_empty(), "modern has neither GET nor DELETE");
        let message = exchange.request.json();
        match message["method"].as_str() {
            Some("initialize") => exchange.answer(failure(&message, 404, -32601)),
            Some("server/discover") => exchange.answer_with_result(&discovered()),
            Some("tools/list") => exchange.answer_with_result(&json!({ "resultType": "complete", "tools": [] })),
            _ => return exchange,
        }
    }
}

fn failure(message: &Value, status: u16, code: i64) -> Answer {
    let error = json!({ "code": code, "message": "no" });
    Answer::json(status, &json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }))
}

async fn introduced(gate: &Gate, upstream: &Recorder, capabilities: Value) -> McpClient {
    let client = McpClient::legacy_with(gate.http(), "2025-11-25", capabilities);
    tokio::pin!(client);
    tokio::select! {
        client = &mut client => client,
        exchange = next(upstream) => panic!("more than an introduction: {:?}", exchange.request),
    }
}

fn everything() -> Value {
    json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } })
}

/// Sends a request, and gives back what the server got, to be answered, and what the client gets.
async fn sent(upstream: &Recorder, client: &McpClient, id: i64, method: &str, params: Value) -> (Pending, Exchange) {
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let http = client.http().clone();
    let reply = tokio::spawn(async move { http.post_streamed(&body).await });
    (Pending(reply), next(upstream).await)
}

/// A response that has not begun.
struct Pending(tokio::task::JoinHandle<Reply>);

impl Pending {
    async fn begun(self) -> Reply {
        testkit::patiently("a response", self.0).await.unwrap()
    }

    async fn answer(self, id: i64) -> Value {
        self.begun().await.answer_to(&json!(id)).await
    }
}

#[tokio::test]
async fn initialize_is_answered_from_discover() {
    for (asked, agreed) in [("2025-11-25", "2025-11-25"), ("2024-11-05", "2024-11-05"), ("2026-07-28", "2025-11-25")] {
        let upstream = Recorder::by_hand().await;
        let gate = Gate::before(&upstream, OPEN);
        let info = json!({ "name": "old", "version": "7" });
        let params = json!({ "protocolVersion": asked, "capabilities": everything(), "clientInfo": info });
        let hello = json!({ "jsonrpc": "2.0", "id": "h", "method": "initialize", "params": params });
        let http = gate.http();
        let reply = tokio::select! {
            reply = http.post(&hello) => reply,
            exchange = next(&upstream) => panic!("{:?}", exchange.request),
        };
        assert_eq!(reply.status, 200);
        assert!(reply.header("mcp-session-id").is_some());
        assert_eq!(
            reply.json(),
            json!({ "jsonrpc": "2.0", "id": "h", "result": {
            "protocolVersion": agreed, "instructions": "Be kind.", "vendor": 1.50,
            "capabilities": { "tools": { "listChanged": true }, "prompts": {}, "logging": {}, "completions": {},
                "resources": { "subscribe": true, "listChanged": true }, "extensions": { "vendor/x": {} } },
            "serverInfo": { "name": "hand", "version": "1", "x": [] },
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "hand", "version": "1", "x": [] } },
        } })
        );
        let requests = upstream.requests();
        let discover = requests.iter().rfind(|request| request.json()["method"] == "server/discover").unwrap();
        let meta = &discover.json()["params"]["_meta"];
        assert_eq!(meta[format!("{META}clientInfo")], info);
        assert_eq!(meta[format!("{META}clientCapabilities")], everything());
    }
}

#[tokio::test]
async fn lists_and_calls() {
    let upstream = Recorder::mcp_modern([tool("a"), tool("b")]).await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "tools": { "a": {} } }"#);
    for _ in 0..2 {
        let client = gate.legacy().await;
        let listed = client.request("tools/list", json!({})).await["result"].clone();
        assert_eq!(
            listed,
            json!({ "tools": [{ "name": "a", "inputSchema": { "type": "object" } }] }),
            "filtered, stripped"
        );
        let result = client.call("a", json!({ "n": 1.50 })).await["result"].clone();
        assert_eq!(result, json!({ "content": [{ "type": "text", "text": r#"{"arguments":{"n":1.5},"name":"a"}"# }] }));
        assert_eq!(client.call("b", json!({})).await["result"]["isError"], true, "denied");
        assert_eq!(client.request("ping", json!({})).await["result"], json!({}));
    }
    assert_eq!(called(&upstream), ["a", "a"]);
    assert_eq!(methods(&upstream).iter().filter(|method| *method == "initialize").count(), 1, "once is enough");
    assert!(!methods(&upstream).iter().any(|method| method == "ping" || method.starts_with("notifications/")));
}
