//! All servers as one, for clients that speak the old HTTP+SSE and for a bridge.

use serde_json::{Value, json};
use testkit::{HttpClient, patiently};

use super::sse::{Old, old_hello};
use super::{Client, announced, bridged, legacy, legacy_call};
use crate::aggregate::stack::{Fake, listed, plan, said, url};
use crate::gate::{Gate, OPEN, STRICT, methods, modern_call, modern_request};

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn two(of_b: &str) -> (Gate, Fake, Fake) {
    let [a, b] = [Fake::with("a", &["t", "stream"]).await, Fake::with("b", &["allowed_tool", "t"]).await];
    let gate = plan(&[("a", &a, OPEN), ("b", &b, of_b)]).start();
    (gate, a, b)
}

/// An old client of the aggregate, introduced.
async fn old(gate: &Gate) -> Old {
    let mut client = Old::open_at(gate, "/sse").await;
    let answer = client.ask(&old_hello()).await;
    assert_eq!(answer["result"]["protocolVersion"], "2024-11-05", "{answer}");
    assert_eq!(answer["result"]["serverInfo"]["name"], "toolgate");
    assert_eq!(client.post(&announced()).await, 202);
    client
}

#[track_caller]
fn listed_changed(message: &Value) {
    assert_eq!(message["method"], "notifications/tools/list_changed", "{message}");
}

#[tokio::test]
async fn an_old_client_lists_and_calls_all_servers_by_their_policies() {
    let (gate, a, b) = two(STRICT).await;
    let mut client = old(&gate).await;
    let answer = client.ask(&legacy(1, "tools/list", json!({}))).await;
    assert_eq!(listed(&answer, "tools", "name"), ["a__t", "a__stream", "b__allowed_tool"]);
    for (tool, by) in [("a__t", "a"), ("b__allowed_tool", "b")] {
        let answer = client.ask(&legacy_call(tool, tool, json!({ "x": 1 }))).await;
        assert_eq!((&said(&answer)["by"], &said(&answer)["arguments"]), (&json!(by), &json!({ "x": 1 })));
    }
    assert_eq!(client.ask(&legacy_call(2, "b__t", json!({}))).await["result"]["isError"], true);
    let calls = |fake: &Fake| methods(&fake.recorder).iter().filter(|method| *method == "tools/call").count();
    assert_eq!((calls(&a), calls(&b)), (1, 1), "what was denied was not sent");
}

#[tokio::test]
async fn progress_and_questions_of_a_call_pass_and_the_answer_goes_back() {
    let (gate, a, _b) = two(OPEN).await;
    let mut client = old(&gate).await;
    let (own, _own) = a.next_stream().await;
    assert_eq!(own.method, "GET");
    let mut call = legacy_call("c", "a__stream", json!({}));
    call["params"]["_meta"] = json!({ "progressToken": "mine" });
    assert_eq!(client.post(&call).await, 202);
    let (request, mut stream) = a.next_stream().await;
    let token = &request.json()["params"]["_meta"]["progressToken"];
    stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress",
        "params": { "progressToken": token, "progress": 1 } }));
    assert_eq!(client.hear().await["params"], json!({ "progressToken": "mine", "progress": 1 }));
    stream.event(&legacy("theirs", "elicitation/create", json!({ "message": "sure?" })));
    let asked = client.hear().await;
    assert_eq!((&asked["method"], &asked["params"]["message"]), (&json!("elicitation/create"), &json!("sure?")));
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept" } });
    assert_eq!(client.post(&answer).await, 202);
    let answered = patiently("the answer", async {
        loop {
            let sent = a.recorder.next_request().await;
            if sent.method == "POST" && sent.json()["method"].is_null() {
                break sent.json();
            }
        }
    });
    assert_eq!(answered.await, json!({ "jsonrpc": "2.0", "id": "theirs", "result": { "action": "accept" } }));
    stream.event(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": { "content": [] } }));
    assert_eq!(client.hear().await, json!({ "jsonrpc": "2.0", "id": "c", "result": { "content": [] } }));
}

#[tokio::test]
async fn a_change_of_one_server_s_list_is_told() {
    let (gate, a, b) = two(OPEN).await;
    let mut client = old(&gate).await;
    client.ask(&legacy(1, "tools/list", json!({}))).await;
    let ((_, _of_a), (_, mut of_b)) = tokio::join!(a.next_stream(), b.next_stream());
    b.change(|has| has.pages = vec![vec![crate::gate::tool("new")]]);
    of_b.event(&json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    listed_changed(&client.hear().await);
    let answer = client.ask(&legacy(2, "tools/list", json!({}))).await;
    assert_eq!(listed(&answer, "tools", "name"), ["a__t", "a__stream", "b__new"]);
}

/// The id of a stream is good where it was opened, and nowhere else.
#[tokio::test]
async fn an_id_of_another_stream_is_refused() {
    let (gate, a, b) = two(OPEN).await;
    let (all, one) = (Old::open_at(&gate, "/sse").await, Old::open_at(&gate, "/sse/a").await);
    let id = |old: &Old| old.endpoint.split_once("id=").unwrap().1.to_owned();
    let body = old_hello().to_string();
    for (target, status) in [
        (format!("/sse/message?id={}", id(&one)), 404),
        (format!("/sse/a/message?id={}", id(&all)), 404),
        (format!("/sse/message?id={}", &id(&all)[1..]), 404),
        (format!("/sse/message?id={}0", id(&all)), 404),
        ("/sse/message".to_owned(), 404),
        (format!("/sse?id={}", id(&all)), 405),
        ("/sse".to_owned(), 405),
    ] {
        let http = HttpClient::new(format!("http://{}{target}", gate.data));
        assert_eq!(http.send("POST", &[JSON], body.as_bytes()).await.status, status, "{target}");
    }
    let evil = [JSON, ("Origin", "http://evil.example")];
    let http = HttpClient::new(format!("http://{}{}", gate.data, all.endpoint));
    assert_eq!(http.send("POST", &evil, body.as_bytes()).await.status, 403);
    assert_eq!(http.send("POST", &[JSON], modern_call(1, "a__t", json!({})).to_string().as_bytes()).await.status, 400);
    assert_eq!((a.recorder.requests().len(), b.recorder.requests().len()), (0, 0), "nothing of that went anywhere");
}

#[tokio::test]
async fn a_second_stream_is_a_session_of_its_own() {
    let (gate, a, _b) = two(OPEN).await;
    let (mut one, mut two) = (old(&gate).await, old(&gate).await);
    assert_eq!(one.post(&legacy_call(7, "a__stream", json!({}))).await, 202);
    let (request, mut stream) = patiently("the call", async {
        loop {
            let (request, stream) = a.next_stream().await;
            if request.method == "POST" {
                break (request, stream);
            }
        }
    })
    .await;
    assert_eq!(said(&two.ask(&legacy_call(7, "a__t", json!({}))).await)["by"], "a", "under the same id");
    stream.event(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": { "content": [] } }));
    assert_eq!(one.hear().await, json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } }));
    // The first goes, the second stays.
    drop(one);
    patiently("the end of the first session", async {
        while !methods(&a.recorder).contains(&"DELETE".to_owned()) {
            a.recorder.next_request().await;
        }
    })
    .await;
    assert_eq!(said(&two.ask(&legacy_call(8, "a__t", json!({}))).await)["by"], "a");
    assert_eq!(methods(&a.recorder).iter().filter(|method| *method == "DELETE").count(), 1);
}

/// The session lasts as long as the stream, also with a server that has none of its own to be read.
#[tokio::test]
async fn a_client_that_only_listens_loses_no_session() {
    let a = Fake::with("a", &["t"]).await;
    a.change(|has| has.streams = false);
    let plan = plan(&[("a", &a, OPEN)]).set("bounds.keepalive", "1s").set("bounds.session_idle", "3s");
    let gate = plan.start();
    let mut client = old(&gate).await;
    for _ in 0..7 {
        client.silence().await;
    }
    assert_eq!(said(&client.ask(&legacy_call(1, "a__t", json!({}))).await)["by"], "a");
    let all = methods(&a.recorder);
    assert_eq!(all.iter().filter(|method| *method == "initialize").count(), 1, "{all:?}");
}

#[tokio::test]
async fn without_an_aggregate_there_is_no_stream_of_all() {
    let a = Fake::with("a", &["t"]).await;
    let gate = plan(&[("a", &a, OPEN)]).set("aggregate.enabled", "false").start();
    let to = |target: &str| HttpClient::new(format!("http://{}{target}", gate.data));
    assert_eq!(to("/sse").get().await.status, 404);
    assert_eq!(to("/sse").send("POST", &[JSON], b"{}").await.status, 404);
    assert_eq!(to("/sse/message?id=0").send("POST", &[JSON], b"{}").await.status, 404);
    assert_eq!(to("/mcp").send("POST", &[JSON], b"{}").await.status, 404);
    assert_eq!(to("/sse/a").get().await.status, 200);
}

/// The one name that the aggregate's own path has below it is still a server's to bear.
#[tokio::test]
async fn a_server_may_be_called_message() {
    let a = Fake::with("a", &["t"]).await;
    let gate = plan(&[("message", &a, OPEN)]).start();
    let mut client = Old::open_at(&gate, "/sse/message").await;
    client.ask(&old_hello()).await;
    assert_eq!(said(&client.ask(&legacy_call(1, "t", json!({}))).await)["by"], "a");
    let mut client = old(&gate).await;
    assert_eq!(said(&client.ask(&legacy_call(1, "message__t", json!({}))).await)["by"], "a");
}

#[tokio::test]
async fn a_bridge_reaches_all_servers_in_both_eras() {
    let (gate, a, b) = two(STRICT).await;
    let mut client: Client = bridged(url(&gate));
    client.introduce().await;
    for list in [legacy(1, "tools/list", json!({})), modern_request(2, "tools/list", json!({}))] {
        let names = listed(&client.ask(&list).await, "tools", "name");
        assert_eq!(names, ["a__t", "a__stream", "b__allowed_tool"]);
    }
    for call in [legacy_call(3, "b__allowed_tool", json!({})), modern_call(4, "b__allowed_tool", json!({}))] {
        assert_eq!(said(&client.ask(&call).await)["by"], "b");
    }
    for call in [legacy_call(5, "b__t", json!({})), modern_call(6, "b__t", json!({}))] {
        assert_eq!(client.ask(&call).await["result"]["isError"], true);
    }
    client.say(&legacy_call(7, "a__stream", json!({}))).await;
    let (request, mut stream) = patiently("the call", async {
        loop {
            let (request, stream) = a.next_stream().await;
            if request.method == "POST" {
                break (request, stream);
            }
        }
    })
    .await;
    stream.event(&legacy(9, "elicitation/create", json!({ "message": "sure?" })));
    let asked = client.hear().await;
    client.say(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "decline" } })).await;
    patiently("the answer", async {
        while a.recorder.next_request().await.body.windows(7).all(|w| w != b"decline") {}
    })
    .await;
    stream.event(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": { "content": [] } }));
    assert_eq!(client.hear().await["id"], 7);
    client.end_input().await;
    assert_eq!(client.rest().await, Vec::<Value>::new());
    for fake in [&a, &b] {
        assert_eq!(methods(&fake.recorder).last().map(String::as_str), Some("DELETE"), "its session was ended");
    }
}
