//! What our own tools of the fixture do. The rest of it is tested by the conformance suite.

use serde_json::{Value, json};
use testkit::fixture::{self, Fixture};
use testkit::{HttpClient, McpClient};

async fn clients(fixture: &Fixture) -> [McpClient; 2] {
    [McpClient::legacy(HttpClient::new(fixture.url())).await, McpClient::modern(HttpClient::new(fixture.url()))]
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}

#[tokio::test]
async fn both_eras_list_and_call_the_same_tools() {
    let fixture = fixture::serve().await;
    let [legacy, modern] = clients(&fixture).await;
    assert_eq!(legacy.list_tools().await, modern.list_tools().await);
    for client in [legacy, modern] {
        assert_eq!(text(&client.call("echo", json!({ "a": [1, "é"] })).await), r#"{"a":[1,"é"]}"#);
        assert_eq!(client.call("nothing", json!({})).await["error"]["message"], "Unknown tool: nothing");
    }
}

#[tokio::test]
async fn whoami_shows_the_headers_of_the_request() {
    let fixture = fixture::serve().await;
    let http = HttpClient::new(fixture.url())
        .header("Authorization", "Bearer secret")
        .header("X-Twice", "1")
        .header("X-Twice", "2");
    let answer = McpClient::modern(http).call("whoami", json!({})).await;
    let headers: Vec<(String, String)> = serde_json::from_str(text(&answer)).unwrap();
    let twice: Vec<_> = headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, value)| value.as_str()).collect();
    assert_eq!(twice, ["1", "2"]);
    assert!(headers.contains(&("authorization".into(), "Bearer secret".into())));
}

#[tokio::test]
async fn a_slow_call_ends_when_it_is_cancelled_in_the_way_of_its_era() {
    let fixture = fixture::serve().await;
    let [legacy, modern] = clients(&fixture).await;

    let running =
        legacy.start("slow-1", "tools/call", json!({ "name": "slow", "arguments": { "label": "told" } })).await;
    legacy.call("begun", json!({ "wait_for": "told" })).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "slow-1" } });
    assert_eq!(legacy.http().post(&cancel).await.status, 202);
    let seen = legacy.call("cancelled", json!({ "wait_for": "told" })).await;
    assert_eq!(text(&seen), r#"["told"]"#);
    drop(running);

    let call = modern.start(2, "tools/call", json!({ "name": "slow", "arguments": { "label": "left" } }));
    // Dropping the call hangs up.
    tokio::select! {
        _ = call => panic!("a slow call does not answer"),
        _ = modern.call("begun", json!({ "wait_for": "left" })) => {}
    }
    let seen = modern.call("cancelled", json!({ "wait_for": "left" })).await;
    assert_eq!(text(&seen), r#"["told","left"]"#);
}

#[tokio::test]
async fn progress_is_reported_before_the_answer() {
    let fixture = fixture::serve().await;
    for client in clients(&fixture).await {
        let params = json!({ "name": "progress", "arguments": { "steps": 2 }, "_meta": { "progressToken": "p" } });
        let mut reply = client.start(9, "tools/call", params).await;
        let mut seen = Vec::new();
        while let Some(event) = reply.next_event().await {
            if !event.data.is_empty() {
                seen.push(event.json());
            }
        }
        let progress: Vec<_> = seen.iter().map(|message| message["params"]["progress"].as_f64()).collect();
        assert_eq!(progress, [Some(1.0), Some(2.0), None]);
        assert_eq!(text(&seen[2]), "2 steps");
    }
}

#[tokio::test]
async fn a_legacy_session_hears_of_changes_it_asked_for() {
    let fixture = fixture::serve().await;
    let [client, _] = clients(&fixture).await;
    let mut stream = client.http().get().await;
    client.request("resources/subscribe", json!({ "uri": "test://watched-resource" })).await;
    client.call("touch", json!({ "uri": "test://static-text" })).await;
    client.call("touch", json!({ "uri": "test://watched-resource" })).await;
    client.call("test_trigger_tool_change", json!({})).await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let event = stream.next_event().await.expect("the stream stays open");
        if !event.data.is_empty() {
            heard.push(event.json());
        }
    }
    assert_eq!(heard[0]["params"]["uri"], "test://watched-resource");
    assert_eq!(heard[1]["method"], "notifications/tools/list_changed");
}
