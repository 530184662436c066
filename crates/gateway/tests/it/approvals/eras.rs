//! Approval where client and server are of different eras.

use serde_json::{Value, json};
use store::{ApprovalFilter, ApprovalState};
use testkit::{Answer, McpClient, Recorded, Recorder};

use super::{ASK, Office, WAIT, answer, code, runs, ticket};
use crate::gate::tool;
use crate::to_modern::{discovered, failure};

#[tokio::test]
async fn a_modern_client_before_a_legacy_server() {
    let upstream = Recorder::legacy_mcp(["pay", "free"].map(tool)).await;
    let office = Office::before(&upstream, ASK);
    let id = office.paid_for(json!({ "n": 1 })).await;
    assert_ne!(ticket(&office.pay(json!({ "n": 2 })).await), id);
    assert_eq!(code(&office.pay(json!({ "n": 1 })).await), "ran");
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (1, ApprovalState::Used));
}

#[tokio::test]
async fn a_legacy_client_before_a_modern_server() {
    let upstream = Recorder::mcp_modern(["pay", "free"].map(tool)).await;
    let office = Office::before(&upstream, ASK);
    let client = office.gate.legacy().await;
    let id = ticket(&client.call("pay", json!({})).await);
    office.approve(&id).await;
    assert_eq!(code(&client.call("pay", json!({})).await), "ran");
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (1, ApprovalState::Used));
}

/// A server that asks for a name before it pays.
async fn asking() -> Recorder {
    Recorder::start(|request: &Recorded| {
        let message = request.json();
        let given = !message["params"]["inputResponses"].is_null();
        let question = json!({ "method": "elicitation/create", "params": { "mode": "form", "message": "Who?", "requestedSchema": {} } });
        let result = match message["method"].as_str() {
            Some("initialize") => return failure(&message, 404, -32601),
            Some("server/discover") => discovered(),
            Some("tools/list") => {
                json!({ "resultType": "complete", "tools": [{ "name": "pay", "inputSchema": { "type": "object" } }], "ttlMs": 0, "cacheScope": "private" })
            }
            Some("tools/call") if given => json!({ "resultType": "complete", "content": [] }),
            Some("tools/call") => {
                json!({ "resultType": "input_required", "inputRequests": { "who": question }, "requestState": "s" })
            }
            _ => return Answer::status(404),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await
}

const ELICITS: &str = r#"{ "version": "1", "reverse": { "elicitation": "allow" }, "tools": {
    "pay": { "action": "require_approval", "approval": { "hold": "1m" } } } }"#;

/// The rounds of one call are one call: the person is asked once, and the server hears all of them.
#[tokio::test]
async fn the_rounds_of_an_approved_call_need_no_further_approval() {
    let upstream = asking().await;
    let office = Office::before(&upstream, ELICITS);
    let client = McpClient::legacy_with(office.gate.http(), "2025-11-25", json!({ "elicitation": {} })).await;
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay", "arguments": {} } });
    let mut reply = client.http().post_streamed(&call).await;
    let id = office.asked().await.id;
    office.approve(&id).await;
    let asked: Value = reply.next_event().await.unwrap().json();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let given = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept", "content": {} } });
    assert_eq!(client.http().post(&given).await.status, 202);
    assert_eq!(code(&reply.answer_to(&json!(1)).await), "ran");
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (2, ApprovalState::Used));
    assert_eq!(office.store.approvals(&ApprovalFilter::default(), None, 9).await.unwrap().items.len(), 1);
}

/// Another policy, another call: also in the middle of one.
#[tokio::test]
async fn a_policy_that_changes_between_two_rounds_ends_the_call() {
    let upstream = asking().await;
    let office = Office::before(&upstream, ELICITS);
    let client = McpClient::legacy_with(office.gate.http(), "2025-11-25", json!({ "elicitation": {} })).await;
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay", "arguments": {} } });
    let mut reply = client.http().post_streamed(&call).await;
    office.approve(&office.asked().await.id).await;
    let asked: Value = reply.next_event().await.unwrap().json();
    office.gate.reload(&ELICITS.replace("1m", "2m")).await;
    let given = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept", "content": {} } });
    assert_eq!(client.http().post(&given).await.status, 202);
    assert_eq!(code(&reply.answer_to(&json!(1)).await), "approval.changed");
    assert_eq!(runs(&upstream, "pay"), 1);
}

/// What waits in a session of one agent is not what waits in another's.
#[tokio::test]
async fn two_sessions_without_a_name_are_two_agents() {
    let upstream = super::upstream().await;
    let office = Office::before(&upstream, WAIT.replace("1m", "1s").as_str());
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay", "arguments": {} } });
    let (one, two) = (office.gate.legacy().await, office.gate.legacy().await);
    let id = ticket(&answer(one.http(), &call).await);
    office.approve(&id).await;
    assert_ne!(ticket(&answer(two.http(), &call).await), id);
    assert_eq!(code(&answer(one.http(), &call).await), "ran");
}
