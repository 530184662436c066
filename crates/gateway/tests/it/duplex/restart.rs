//! A service that forgets: a session that it lost is replaced, and only what was surely not run is repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use testkit::{Answer, Recorded, Recorder};

use super::{announced, bridged, hello, legacy, legacy_call};
use crate::gate::methods;

/// A service with sessions: those before `oldest` are lost, and `version` is what it speaks.
async fn forgetful(version: impl Fn() -> &'static str + Send + Sync + 'static) -> (Recorder, Arc<AtomicUsize>) {
    let oldest = Arc::new(AtomicUsize::new(0));
    let (count, lost) = (AtomicUsize::new(0), Arc::clone(&oldest));
    let service = Recorder::start(move |request: &Recorded| {
        let session = request.header("mcp-session-id").map(|id| id.parse::<usize>().unwrap());
        match session {
            Some(id) if id < lost.load(Ordering::SeqCst) => return Answer::status(404),
            _ if request.method == "GET" => return Answer::status(405),
            _ if request.method == "DELETE" => return Answer::status(204),
            _ => {}
        }
        let message = request.json();
        let id = &message["id"];
        let result = match message["method"].as_str() {
            Some("initialize") => {
                let session = count.fetch_add(1, Ordering::SeqCst).to_string();
                let result = json!({ "protocolVersion": version(), "capabilities": {}, "serverInfo": {} });
                let answer = Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
                return answer.header("Mcp-Session-Id", &session);
            }
            _ if id.is_null() => return Answer::status(202),
            _ => json!({ "session": session }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    })
    .await;
    (service, oldest)
}

fn posts(service: &Recorder) -> Vec<String> {
    methods(service).into_iter().filter(|method| method != "GET").collect()
}

#[tokio::test]
async fn a_lost_session_is_replaced_and_the_client_sees_nothing_of_it() {
    let (service, oldest) = forgetful(|| "2025-11-25").await;
    let mut client = bridged(service.url("/mcp"));
    client.introduce().await;
    assert_eq!(client.ask(&legacy_call(1, "t", json!({}))).await["result"]["session"], 0);
    oldest.store(1, Ordering::SeqCst);
    // Several find out at the same time; one replaces it for all.
    for n in 2..10 {
        client.say(&legacy_call(n, "t", json!({}))).await;
    }
    let mut ids = Vec::new();
    for _ in 2..10 {
        let answer = client.hear().await;
        assert_eq!(answer["result"]["session"], 1, "{answer}");
        ids.push(answer["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (2..10).collect::<Vec<_>>());
    let posted = posts(&service);
    let introduced = |method: &str| posted.iter().filter(|posted| *posted == method).count();
    assert_eq!((introduced("initialize"), introduced("notifications/initialized")), (2, 2), "{posted:?}");
    client.end_input().await;
    assert!(client.rest().await.is_empty());
    let last = service.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.header("mcp-session-id")), ("DELETE", Some("1")));
}

#[tokio::test]
async fn a_service_that_speaks_another_revision_now_is_not_the_one_that_was_agreed_with() {
    let counted = AtomicUsize::new(0);
    let version = move || if counted.fetch_add(1, Ordering::SeqCst) == 0 { "2025-11-25" } else { "2025-03-26" };
    let (service, oldest) = forgetful(version).await;
    let mut client = bridged(service.url("/mcp"));
    client.introduce().await;
    oldest.store(1, Ordering::SeqCst);
    let answer = client.ask(&legacy_call(1, "t", json!({}))).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the session was lost"), "{answer}");
    // The client may introduce itself anew.
    let again = client.ask(&hello()).await;
    assert_eq!(again["result"]["protocolVersion"], "2025-03-26");
    client.say(&announced()).await;
    assert!(client.ask(&legacy(3, "ping", json!({}))).await["result"].is_object());
}

#[tokio::test]
async fn what_may_have_been_run_is_not_repeated() {
    let service = Recorder::start(|request| match request.body.is_empty() {
        true => Answer::status(405),
        false => match request.json()["method"].as_str() {
            Some("initialize") => {
                let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} });
                let answer = json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result });
                Answer::json(200, &answer).header("Mcp-Session-Id", "s")
            }
            Some("tools/call") => Answer::cut(),
            _ => Answer::status(202),
        },
    })
    .await;
    let mut client = bridged(service.url("/mcp"));
    client.introduce().await;
    let answer = client.ask(&legacy_call(1, "t", json!({}))).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("may have been run"), "{answer}");
    assert_eq!(posts(&service), ["initialize", "notifications/initialized", "tools/call"]);
}

#[tokio::test]
async fn a_batch_goes_through_where_the_session_has_batches() {
    let (service, _) = forgetful(|| "2025-03-26").await;
    let mut client = bridged(service.url("/mcp"));
    let batch = json!([legacy(1, "ping", json!({})), announced(), legacy(2, "ping", json!({}))]);
    client.say(&batch).await;
    assert_eq!(client.hear().await["error"]["code"], -32600, "before there is a session");
    client.introduce().await;
    // This service does not know batches: each request of it gets its error.
    drop(service);
    client.say(&batch).await;
    let mut ids: Vec<Value> = Vec::new();
    for _ in 0..2 {
        let answer = client.hear().await;
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
        ids.push(answer["id"].clone());
    }
    assert_eq!(ids, [json!(1), json!(2)]);
}

#[tokio::test]
async fn a_session_that_is_lost_while_nobody_asks_is_replaced_by_the_one_who_listens() {
    let oldest = Arc::new(AtomicUsize::new(0));
    let (lost, count) = (Arc::clone(&oldest), AtomicUsize::new(0));
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    let event = format!("retry: 1\ndata: {changed}\n\n");
    let service = Recorder::start(move |request| {
        let session = request.header("mcp-session-id").map(|id| id.parse::<usize>().unwrap());
        if session.is_some_and(|id| id < lost.load(Ordering::SeqCst)) {
            return Answer::status(404);
        }
        if request.body.is_empty() {
            // Each stream ends at once, and the session with the first one.
            lost.fetch_max(1, Ordering::SeqCst);
            return Answer::text(200, "text/event-stream", event.clone());
        }
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} });
        match request.json()["method"].as_str() {
            Some("initialize") => {
                let answer = json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result });
                Answer::json(200, &answer).header("Mcp-Session-Id", &count.fetch_add(1, Ordering::SeqCst).to_string())
            }
            _ => Answer::status(202),
        }
    })
    .await;
    let mut client = bridged(service.url("/mcp"));
    client.introduce().await;
    for _ in 0..2 {
        assert_eq!(client.hear().await, changed);
    }
    let again = ["initialize", "notifications/initialized", "ping", "initialize", "notifications/initialized"];
    assert_eq!(posts(&service), again);
    assert_eq!(oldest.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_has_no_stream_and_says_so_with_404_keeps_its_session() {
    let service = Recorder::start(|request| {
        if request.body.is_empty() {
            return Answer::status(404);
        }
        let id = request.json()["id"].clone();
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} });
        match id.is_null() {
            true => Answer::status(202),
            false => Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
                .header("Mcp-Session-Id", "s"),
        }
    })
    .await;
    let mut client = bridged(service.url("/mcp"));
    client.introduce().await;
    testkit::patiently("the ping", async {
        while service.next_request().await.body.windows(4).all(|part| part != b"ping") {}
    })
    .await;
    for n in 0..3 {
        client.ask(&legacy_call(n, "t", json!({}))).await;
    }
    let introduced = posts(&service).iter().filter(|method| *method == "initialize").count();
    assert_eq!(introduced, 1);
}
