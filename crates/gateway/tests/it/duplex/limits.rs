//! Nothing grows without an end.

use serde_json::json;
use testkit::{Answer, Recorder};

use super::both::next_post;
use super::{bridged_with, wrapped_with};
use crate::gate::{OPEN, modern_call};

#[tokio::test]
async fn too_many_open_requests_are_refused_until_one_ends() {
    let upstream = Recorder::by_hand().await;
    let mut client = wrapped_with(&upstream, OPEN, &[("bounds.in_flight_per_session", "2")]);
    client.say(&modern_call(1, "t", json!({}))).await;
    let first = next_post(&upstream).await;
    client.say(&modern_call(2, "t", json!({}))).await;
    let _second = next_post(&upstream).await;
    assert_eq!(client.ask(&modern_call(3, "t", json!({}))).await["error"]["code"], 1503);
    first.answer_with_result(&json!({ "resultType": "complete", "content": [] }));
    assert_eq!(client.hear().await["id"], 1);
    client.say(&modern_call(4, "t", json!({}))).await;
    next_post(&upstream).await.answer_with_result(&json!({ "resultType": "complete", "content": [] }));
    assert_eq!(client.hear().await["id"], 4);
}

#[tokio::test]
async fn answers_that_are_too_large_become_errors() {
    let service = Recorder::start(|request| {
        let answer = json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": { "x": "x".repeat(5000) } });
        match request.json()["params"]["name"].as_str() {
            Some("events") => Answer::events([&answer]),
            _ => Answer::json(200, &answer),
        }
    })
    .await;
    let bounds = [("bounds.event", "4KiB"), ("bounds.response", "4KiB")];
    let mut client = bridged_with(service.url("/mcp"), &bounds);
    for tool in ["events", "json"] {
        let answer = client.ask(&modern_call(tool, tool, json!({}))).await;
        assert_eq!(answer["error"]["message"], "an answer larger than 4096 bytes", "{answer}");
    }
}
