//! Over HTTP: the door, and both eras behind it.

use azure_emulator::{Emulator, Running, demo};
use finetuning_server::{FineTuningServer, Settings, serve_http};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::variables;

async fn serve(bearer: Option<&str>) -> (Running, String) {
    let service = Emulator::builder().manual_clock().start().await.unwrap();
    let server = FineTuningServer::new(Settings::from_env(variables(&service, &[])).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(serve_http(server, listener, bearer.map(Into::into)));
    (service, url)
}

fn call() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "fetch_finetuning_status", "arguments": { "job_id": demo::SUCCEEDED_JOB },
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} },
    } })
}

fn modern(url: &str) -> reqwest::RequestBuilder {
    let request = reqwest::Client::new().post(url).header("accept", "application/json, text/event-stream");
    let request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
    request
        .header("mcp-name", "fetch_finetuning_status")
        .header("content-type", "application/json")
        .body(call().to_string())
}

#[tokio::test]
async fn without_the_token_nobody_is_answered() {
    let (service, url) = serve(Some("the-token")).await;
    for request in [modern(&url), modern(&url).bearer_auth("the-tokem"), modern(&url).bearer_auth("")] {
        let refused = request.send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), refused.headers()["www-authenticate"].as_bytes()),
            (401, &b"Bearer"[..])
        );
    }
    assert!(service.journal().is_empty());
    let answered = modern(&url).bearer_auth("the-token").send().await.unwrap();
    assert_eq!(answered.status().as_u16(), 200);
    assert!(answered.text().await.unwrap().contains("succeeded"));
}

#[tokio::test]
async fn no_page_in_a_browser_is_answered() {
    let (service, url) = serve(None).await;
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example")] {
        let refused = modern(&url).header(name, value).send().await.unwrap();
        assert_eq!(refused.status().as_u16(), 403, "{name}: {value}");
    }
    assert!(service.journal().is_empty());
}

#[tokio::test]
async fn a_legacy_client_gets_a_session() {
    let (_service, url) = serve(None).await;
    let http = reqwest::Client::new();
    let post = |body: Value| {
        let request = http.post(&url).header("accept", "application/json, text/event-stream");
        request.header("content-type", "application/json").body(body.to_string())
    };
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    let welcome = post(hello).send().await.unwrap();
    let session = welcome.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    assert!(welcome.text().await.unwrap().contains("azure-finetuning"));
    let post = |body: Value| post(body).header("mcp-session-id", &session).header("mcp-protocol-version", "2025-06-18");
    post(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).send().await.unwrap();
    let list = post(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).send().await.unwrap();
    assert!(list.text().await.unwrap().contains("fetch_finetuning_status"));
}

#[tokio::test]
async fn elsewhere_there_is_nothing() {
    let (_service, url) = serve(None).await;
    let nothing = reqwest::get(url.replace("/mcp", "/")).await.unwrap();
    assert_eq!(nothing.status().as_u16(), 404);
}
