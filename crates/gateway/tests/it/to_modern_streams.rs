//! The GET stream of a legacy session before a modern server: what is listened to upstream, and what the client hears of it.

use serde_json::{Value, json};
use testkit::{AnswerStream, McpClient, Recorder, Reply};

use crate::gate::{Gate, OPEN};
use crate::to_modern::{META, everything, introduced, next};

/// The next `subscriptions/listen`: what it asks for, its id, and the stream, acknowledged.
async fn listened(upstream: &Recorder) -> (Value, Value, AnswerStream) {
    let exchange = next(upstream).await;
    let message = exchange.request.json();
    assert_eq!(message["method"], "subscriptions/listen");
    assert_eq!(exchange.request.header("mcp-method"), Some("subscriptions/listen"));
    assert_eq!(message["params"]["_meta"][format!("{META}protocolVersion")], "2026-07-28");
    let (id, wanted) = (message["id"].clone(), message["params"]["notifications"].clone());
    let mut stream = exchange.answer_with_events();
    stream.event(&notice(&id, "subscriptions/acknowledged", json!({ "notifications": wanted })));
    (wanted, id, stream)
}

fn notice(subscription: &Value, name: &str, mut params: Value) -> Value {
    params["_meta"][format!("{META}subscriptionId")] = subscription.clone();
    json!({ "jsonrpc": "2.0", "method": format!("notifications/{name}"), "params": params })
}

fn plain(name: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": format!("notifications/{name}"), "params": params })
}

async fn subscribed(client: &McpClient, method: &str, uri: &str) -> Value {
    client.request(&format!("resources/{method}"), json!({ "uri": uri })).await
}

async fn opened(client: &McpClient) -> Reply {
    let reply = client.http().get().await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    reply
}

#[tokio::test]
async fn what_the_server_tells_is_heard_without_modern_words() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let mut reply = opened(&client).await;
    let (wanted, id, mut stream) = listened(&upstream).await;
    assert_eq!(wanted, json!({ "toolsListChanged": true, "resourcesListChanged": true }), "what the server offers");
    stream.event(&json!({ "jsonrpc": "2.0", "id": 9, "method": "roots/list" }));
    stream.event(&notice(&id, "message", json!({ "data": 1 })));
    stream.event(&notice(&id, "tools/list_changed", json!({})));
    assert_eq!(reply.next_event().await.unwrap().json(), plain("tools/list_changed", json!({})));
    stream.event(&notice(&id, "resources/list_changed", json!({ "x": 1.50, "_meta": { "vendor": 1 } })));
    assert_eq!(
        reply.next_event().await.unwrap().json(),
        plain("resources/list_changed", json!({ "x": 1.50, "_meta": { "vendor": 1 } }))
    );
    drop(reply);
    stream.hung_up().await;
}

#[tokio::test]
async fn subscriptions_are_listened_to_while_somebody_hears() {
    let upstream = Recorder::by_hand().await;
    let policy = r#"{ "version": "1", "resources": { "file:///*": {} } }"#;
    let gate = Gate::before(&upstream, policy);
    let client = introduced(&gate, &upstream, everything()).await;
    let sent = upstream.requests().len();
    assert_eq!(subscribed(&client, "subscribe", "file:///a").await["result"], json!({}));
    assert!(subscribed(&client, "subscribe", "secret:///a").await["error"]["code"].is_i64(), "judged as ever");
    assert_eq!(upstream.requests().len(), sent, "nobody hears yet");

    let mut reply = opened(&client).await;
    let (wanted, id, mut first) = listened(&upstream).await;
    assert_eq!(wanted["resourceSubscriptions"], json!(["file:///a"]));
    first.event(&notice(&id, "resources/updated", json!({ "uri": "file:///a" })));
    assert_eq!(reply.next_event().await.unwrap().json(), plain("resources/updated", json!({ "uri": "file:///a" })));
    first.event(&notice(&id, "resources/updated", json!({ "uri": "secret:///a" })));

    assert_eq!(subscribed(&client, "subscribe", "file:///b").await["result"], json!({}));
    let exchange = next(&upstream).await;
    let message = exchange.request.json();
    assert_eq!(message["params"]["notifications"]["resourceSubscriptions"], json!(["file:///a", "file:///b"]));
    let mut second = exchange.answer_with_events();
    first.event(&notice(&id, "resources/updated", json!({ "uri": "file:///a", "n": 2 })));
    assert_eq!(
        reply.next_event().await.unwrap().json()["params"]["n"],
        2,
        "the old one is heard until the new one is acknowledged"
    );
    second.event(&notice(&message["id"], "subscriptions/acknowledged", json!({})));
    first.hung_up().await;
    second.event(&notice(&message["id"], "resources/updated", json!({ "uri": "file:///b" })));
    assert_eq!(reply.next_event().await.unwrap().json()["params"]["uri"], "file:///b");

    assert_eq!(subscribed(&client, "subscribe", "file:///b").await["result"], json!({}), "nothing new");
    assert_eq!(subscribed(&client, "unsubscribe", "file:///a").await["result"], json!({}));
    let (wanted, _, _third) = listened(&upstream).await;
    assert_eq!(wanted["resourceSubscriptions"], json!(["file:///b"]));
    second.hung_up().await;
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let mut reply = opened(&client).await;
    let (wanted, id, mut stream) = listened(&upstream).await;
    stream.event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete" } }));
    stream.end();
    next(&upstream).await.answer(testkit::Answer::status(500));
    next(&upstream).await.answer_with_events().cut();
    let (again, id, mut stream) = listened(&upstream).await;
    assert_eq!(wanted, again);
    stream.event(&notice(&id, "tools/list_changed", json!({})));
    assert_eq!(reply.next_event().await.unwrap().json(), plain("tools/list_changed", json!({})));
}

#[tokio::test]
async fn a_session_has_one_stream_and_it_ends_with_it() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let mut first = opened(&client).await;
    let (_, _, mut heard) = listened(&upstream).await;
    let mut second = opened(&client).await;
    assert!(first.next_event().await.is_none(), "the latest is it");
    heard.hung_up().await;
    let (_, _, mut heard) = listened(&upstream).await;
    assert_eq!(client.http().send("DELETE", &[], b"").await.status, 204);
    assert!(second.next_event().await.is_none());
    heard.hung_up().await;
}

#[tokio::test]
async fn subscriptions_are_bounded() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    for n in 0..256 {
        assert_eq!(subscribed(&client, "subscribe", &format!("file:///{n}")).await["result"], json!({}));
    }
    assert_eq!(subscribed(&client, "subscribe", "file:///more").await["error"]["code"], 1503);
    assert_eq!(subscribed(&client, "subscribe", "file:///7").await["result"], json!({}), "one that is there");
}

/// What a server does not offer does not exist.
#[tokio::test]
async fn a_server_without_notices_has_no_stream() {
    let upstream = Recorder::start(|request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("server/discover") => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } }),
            _ => return testkit::Answer::json(404, &json!({ "jsonrpc": "2.0", "id": message["id"], "error": { "code": -32601, "message": "no" } })),
        };
        testkit::Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    let client = gate.legacy().await;
    assert_eq!(client.http().get().await.status, 405);
    assert_eq!(subscribed(&client, "subscribe", "file:///a").await["error"]["code"], -32601);
    assert_eq!(client.request("logging/setLevel", json!({ "level": "info" })).await["error"]["code"], -32601);
}
