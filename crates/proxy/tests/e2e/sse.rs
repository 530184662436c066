//! An old client, HTTP+SSE, before the built program.

use serde_json::json;
use testkit::{HttpClient, Recorder};

use crate::program::Gateway;

#[tokio::test]
async fn an_old_client_is_served_until_a_signal_ends_its_stream() {
    let upstream = Recorder::mcp([r#"{"name":"fine","inputSchema":{}}"#]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), r#"{ "version": "1", "tools": { "fine": {} } }"#).unwrap();
    let url = format!("servers.s.url={}", upstream.url("/mcp"));
    let mut gateway = Gateway::start(folder.path(), &["--set", &url, "--set", "servers.s.policy=policy.json"]);
    let at = |path: &str| HttpClient::new(format!("http://{}{path}", gateway.data));

    let mut stream = at("/sse/s").get().await;
    let endpoint = at(&stream.next_event().await.unwrap().data);
    let params =
        json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    let messages = [
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "fine", "arguments": {} } }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "other", "arguments": {} } }),
    ];
    for message in messages {
        assert_eq!(endpoint.post(&message).await.status, 202);
        if let Some(id) = message["id"].as_u64() {
            let answer = stream.next_event().await.unwrap().json();
            assert_eq!((&answer["id"], answer["result"]["isError"] == true), (&json!(id), id == 2), "{answer}");
        }
    }
    gateway.signal("TERM");
    assert!(stream.next_event().await.is_none());
    assert_eq!(gateway.end(), Some(0));
    assert_eq!(upstream.requests().pop().unwrap().method, "DELETE");
}
