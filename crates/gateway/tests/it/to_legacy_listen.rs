//! Subscriptions of modern clients over the one stream of a legacy session.

use serde_json::{Value, json};
use testkit::{Answer, Reply};

use crate::gate::Gate;
use crate::legacy_hand::{Hand, of, post};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn listen(id: &str, notifications: Value) -> Value {
    of(&json!({}), id, "subscriptions/listen", json!({ "notifications": notifications }))
}

fn notice(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": format!("notifications/{method}"), "params": params })
}

fn everything() -> Value {
    json!({ "tools": { "listChanged": true }, "prompts": {}, "resources": { "subscribe": true, "listChanged": false } })
}

async fn next(reply: &mut Reply) -> Value {
    reply.next_event().await.expect("an event").json()
}

/// A listener for one resource: its stream, after the acknowledgement.
async fn watching(hand: &Hand, gate: &Gate, id: &str, subscribes: bool) -> Reply {
    let posted = post(gate, &listen(id, json!({ "toolsListChanged": true, "resourceSubscriptions": ["a:b"] })));
    if subscribes {
        let (exchange, seen) = hand.expect("resources/subscribe").await;
        assert_eq!(seen["params"], json!({ "uri": "a:b" }));
        exchange.answer_with_result(&json!({}));
    }
    let mut reply = posted.await.unwrap();
    assert_eq!(next(&mut reply).await["method"], "notifications/subscriptions/acknowledged");
    reply
}

#[tokio::test]
async fn what_the_server_can_do_is_granted_and_nothing_else() {
    let hand = Hand::new(everything()).await;
    let gate = hand.gate();
    let wanted = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": ["a:b", "a:no"] });
    let posted = post(&gate, &listen("l", wanted));
    for uri in ["a:b", "a:no"] {
        let (exchange, seen) = hand.expect("resources/subscribe").await;
        assert_eq!(seen["params"]["uri"], uri);
        match uri {
            "a:b" => exchange.answer_with_result(&json!({})),
            _ => exchange.answer(Answer::json(
                200,
                &json!({ "jsonrpc": "2.0", "id": seen["id"], "error": { "code": -32002, "message": "no" } }),
            )),
        }
    }
    let granted = json!({ "toolsListChanged": true, "resourceSubscriptions": ["a:b"] });
    let expected =
        notice("subscriptions/acknowledged", json!({ "notifications": granted, "_meta": { SUBSCRIPTION: "l" } }));
    // The server has no stream: the subscription stays, and it is asked again.
    tokio::select! {
        reply = async {
            let mut reply = posted.await.unwrap();
            assert_eq!(next(&mut reply).await, expected);
            reply.next_event().await
        } => panic!("the stream stays open: {reply:?}"),
        _ = async {
            while hand.upstream.requests().iter().filter(|request| request.method == "GET").count() < 2 {
                let exchange = hand.upstream.next_exchange().await;
                exchange.answer(match exchange_is_get(&hand) { true => Answer::status(405), false => Answer::status(200) });
            }
        } => {}
    }
}

fn exchange_is_get(hand: &Hand) -> bool {
    hand.upstream.requests().last().is_some_and(|request| request.method == "GET")
}

#[tokio::test]
async fn one_stream_is_fanned_out_to_whoever_wants_it() {
    let hand = Hand::with_streams(everything()).await;
    let gate = hand.gate();
    let mut one = watching(&hand, &gate, "one", true).await;
    let mut stream = hand.next().await.answer_with_events();
    let mut other = watching(&hand, &gate, "other", false).await;
    let mut lists = post(&gate, &listen("lists", json!({ "toolsListChanged": true }))).await.unwrap();
    next(&mut lists).await;
    for message in [
        notice("prompts/list_changed", json!({})),
        notice("resources/updated", json!({ "uri": "a:c" })),
        notice("resources/updated", json!({ "uri": "a:bc" })),
        notice("message", json!({ "level": "error", "data": 1 })),
        notice("resources/updated", json!({ "uri": "a:b", "x": 1.50 })),
        notice("tools/list_changed", json!({ "_meta": { "v": 1 } })),
    ] {
        stream.event(&message);
    }
    for (reply, id) in [(&mut one, "one"), (&mut other, "other")] {
        let updated = json!({ "uri": "a:b", "x": 1.50, "_meta": { SUBSCRIPTION: id } });
        assert_eq!(next(reply).await, notice("resources/updated", updated));
    }
    for (reply, id) in [(&mut one, "one"), (&mut other, "other"), (&mut lists, "lists")] {
        assert_eq!(next(reply).await, notice("tools/list_changed", json!({ "_meta": { "v": 1, SUBSCRIPTION: id } })));
    }
    // The server is told when the last one has gone, not before.
    drop(other);
    stream.event(&notice("tools/list_changed", json!({})));
    next(&mut one).await;
    drop(one);
    let (exchange, seen) = hand.expect("resources/unsubscribe").await;
    assert_eq!(seen["params"], json!({ "uri": "a:b" }));
    exchange.answer_with_result(&json!({}));
    assert_eq!(hand.sessions(), 1);
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again() {
    let hand = Hand::with_streams(everything()).await;
    let gate = hand.gate();
    let mut one = watching(&hand, &gate, "one", true).await;
    let stream = hand.next().await.answer_with_events();
    drop(stream);
    let mut stream = hand.next().await.answer_with_events();
    stream.event(&notice("tools/list_changed", json!({})));
    assert_eq!(next(&mut one).await["method"], "notifications/tools/list_changed");
    // A server that has forgotten the session is told anew what is watched.
    drop(stream);
    hand.next().await.answer(Answer::status(404));
    hand.expect("ping").await.0.answer(Answer::status(404));
    let (exchange, seen) = hand.expect("resources/subscribe").await;
    assert_eq!((&seen["params"]["uri"], exchange.request.header("mcp-session-id")), (&json!("a:b"), Some("session-1")));
    exchange.answer_with_result(&json!({}));
    let mut stream = hand.next().await.answer_with_events();
    stream.event(&notice("resources/updated", json!({ "uri": "a:b/part" })));
    assert_eq!(next(&mut one).await["params"]["uri"], "a:b/part");
}
