//! Legacy clients: an error that names the page, a question on the stream of the call, or the stream alone.

use store::ApprovalState;
use testkit::McpClient;

use super::*;
use crate::approvals::{code, runs};
use crate::duplex::legacy_call;

async fn client(office: &Office, revision: &str, capabilities: Value) -> McpClient {
    McpClient::legacy_with(office.gate.http(), revision, capabilities).await
}

fn call(tool: &str) -> Value {
    legacy_call("x", tool, json!({ "n": 1 }))
}

/// Behind both eras.
async fn upstream() -> Recorder {
    Recorder::mcp(["pay", "own", "brief", "free"].map(tool)).await
}

#[tokio::test]
async fn the_first_call_names_the_page_and_the_repeated_one_waits() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WIRE);
    let client = client(&office, "2025-11-25", pages()).await;
    let answer = client.http().post(&call("pay")).await.json();
    let (error, id) = (&answer["error"], about_approval(&answer));
    assert_eq!((&error["code"], code(&answer)), (&json!(-32042), "approval.required"), "{answer}");
    let elicitations = error["data"]["elicitations"].as_array().unwrap();
    let one = &elicitations[0];
    assert_eq!((elicitations.len(), &one["mode"], &one["elicitationId"]), (1, &json!("url"), &json!(id)));
    assert_eq!(one["url"], format!("http://{}/approvals/{id}", office.gate.admin));
    assert!(one["message"].as_str().unwrap().contains("`pay`"));

    let mut repeated = client.http().post_streamed(&call("pay")).await;
    assert_eq!(repeated.header("content-type"), Some("text/event-stream"));
    office.approve(&id).await;
    assert_eq!(code(&repeated.next_event().await.unwrap().json()), "ran");
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (1, ApprovalState::Used));
}

#[tokio::test]
async fn who_knows_no_pages_is_held() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WIRE);
    for (revision, capabilities) in [
        ("2025-11-25", forms()),
        ("2025-11-25", json!({})),
        // What a revision does not have, nobody can declare in it.
        ("2025-06-18", pages()),
        ("2025-03-26", pages()),
    ] {
        let client = client(&office, revision, capabilities.clone()).await;
        let reply = client.http().post_streamed(&call("pay")).await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"), "{revision} {capabilities}");
    }
}

/// The question that a call begins with, and its stream.
async fn asked(client: &McpClient, call: &Value) -> (Reply, Value) {
    let mut reply = client.http().post_streamed(call).await;
    let question = reply.next_event().await.unwrap().json();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    (reply, question)
}

fn answers(question: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": question["id"], "result": result })
}

#[tokio::test]
async fn its_own_user_is_asked_on_the_stream_of_the_call() {
    for revision in ["2025-11-25", "2025-06-18"] {
        let upstream = upstream().await;
        let office = Office::before(&upstream, WIRE);
        let client = client(&office, revision, forms()).await;
        let (reply, question) = asked(&client, &call("own")).await;
        assert_eq!(question["params"]["mode"].is_string(), revision == "2025-11-25", "{question}");
        assert_eq!(question["params"]["requestedSchema"]["required"], json!(["approve"]));
        assert_eq!(runs(&upstream, "own"), 0);
        assert_eq!(client.http().post(&answers(&question, yes())).await.status, 202);
        let answer = reply.answer_to(&json!("x")).await;
        assert_eq!((code(&answer), runs(&upstream, "own")), ("ran", 1));
        let heard = upstream.requests();
        let asked = |request: &Recorded| request.body.is_empty() || request.json()["method"].is_string();
        assert!(heard.iter().all(asked), "the server hears nothing of the answer");
        assert_eq!(client.http().post(&answers(&question, yes())).await.status, 400, "once");
    }
}

#[tokio::test]
async fn a_no_of_its_own_user_denies_it() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WIRE);
    let client = client(&office, "2025-11-25", forms()).await;
    let (reply, question) = asked(&client, &call("own")).await;
    assert_eq!(client.http().post(&answers(&question, json!({ "action": "decline" }))).await.status, 202);
    assert_eq!(code(&reply.answer_to(&json!("x")).await), "approval.denied");
    assert_eq!(runs(&upstream, "own"), 0);
}

/// Put away, it stays open for whoever else may decide; and nobody answers for another session.
#[tokio::test]
async fn an_answer_is_only_its_sessions_and_no_answer_counts_for_nothing() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WIRE);
    let (ann, bob) = (client(&office, "2025-11-25", forms()).await, client(&office, "2025-11-25", forms()).await);
    let (mut reply, question) = asked(&ann, &call("own")).await;
    assert_eq!(bob.http().post(&answers(&question, yes())).await.status, 400);
    let approval = office.asked().await;
    let refused = json!({ "jsonrpc": "2.0", "id": question["id"], "error": { "code": -1, "message": "no" } });
    assert_eq!(ann.http().post(&refused).await.status, 202);
    assert_eq!(office.state(&approval.id).await, ApprovalState::Pending);
    assert_eq!(runs(&upstream, "own"), 0);
    office.approve(&approval.id).await;
    assert_eq!(code(&reply.next_event().await.unwrap().json()), "ran");
}
