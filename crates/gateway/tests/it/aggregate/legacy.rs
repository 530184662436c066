//! Sessions of the aggregate: what several servers ask of one client, what it answers, and its one stream of theirs.

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient};

use super::stack::{Fake, legacy, plan, said, url};
use crate::gate::{Gate, OPEN, methods};

async fn two() -> (Gate, Fake, Fake) {
    let [a, b] = [Fake::with("a", &["t"]).await, Fake::with("b", &["t"]).await];
    let gate = plan(&[("a", &a, OPEN), ("b", &b, OPEN)]).start();
    (gate, a, b)
}

fn elicit(id: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create",
        "params": { "message": "sure?", "_meta": { "progressToken": "p" } } })
}

async fn hello(gate: &Gate, revision: &str) -> Value {
    let params =
        json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    HttpClient::new(url(gate)).post(&hello).await.json()
}

#[tokio::test]
async fn the_introduction_is_what_all_together_can_do() {
    let (gate, a, b) = two().await;
    a.change(|has| {
        has.capabilities =
            json!({ "tools": {}, "prompts": {}, "resources": { "listChanged": true }, "experimental": {} })
    });
    b.change(|has| has.capabilities = json!({ "tools": { "listChanged": true }, "resources": { "subscribe": true }, "logging": {}, "com.example/x": {} }));
    let answer = hello(&gate, "2025-06-18").await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answer["result"]["serverInfo"]["name"], "toolgate");
    assert_eq!(answer["result"]["instructions"], "## a\n\nuse a well\n\n## b\n\nuse b well");
    let expected = json!({ "tools": { "listChanged": true }, "prompts": {}, "logging": {},
        "resources": { "subscribe": true, "listChanged": true } });
    assert_eq!(answer["result"]["capabilities"], expected);
    let discovered = super::stack::modern(&gate).request("server/discover", json!({})).await["result"].clone();
    assert_eq!(discovered["capabilities"], expected);
    assert_eq!(discovered["instructions"], answer["result"]["instructions"]);
    assert_eq!(discovered["supportedVersions"], json!(["2026-07-28"]));
    for unknown in ["2026-07-28", "1999-01-01"] {
        assert_eq!(hello(&gate, unknown).await["result"]["protocolVersion"], "2025-11-25");
    }
}

#[tokio::test]
async fn servers_are_told_of_the_client_and_nothing_of_the_gateways_sessions() {
    let (gate, a, _b) = two().await;
    let client = legacy(&gate).await;
    client.call("a__t", json!({})).await;
    let requests = a.recorder.requests();
    assert_eq!(methods(&a.recorder), ["initialize", "notifications/initialized", "tools/call"]);
    assert_eq!(requests[0].json()["params"]["clientInfo"]["name"], "testkit");
    assert_eq!(requests[0].json()["params"]["capabilities"]["roots"]["listChanged"], true);
    assert_eq!(requests[2].header("mcp-session-id"), Some("upstream-a"));
}

/// Both servers ask under the same id, in calls of the same client; each gets the answer to its own.
#[tokio::test]
async fn what_servers_ask_under_equal_ids_does_not_cross() {
    let (gate, a, b) = two().await;
    let client = legacy(&gate).await;
    let call = |server: &str| json!({ "name": format!("{server}__stream"), "arguments": {} });
    let (mut to_a, (_, mut from_a)) = tokio::join!(client.start(1, "tools/call", call("a")), a.next_stream());
    let (mut to_b, (_, mut from_b)) = tokio::join!(client.start(2, "tools/call", call("b")), b.next_stream());
    from_a.event(&elicit(json!(7)));
    from_b.event(&elicit(json!(7)));
    let [asked_a, asked_b] = [to_a.next_event().await.unwrap().json(), to_b.next_event().await.unwrap().json()];
    assert_ne!(asked_a["id"], asked_b["id"]);
    assert_ne!(asked_a["params"]["_meta"]["progressToken"], asked_b["params"]["_meta"]["progressToken"]);
    for (asked, says) in [(&asked_b, "b"), (&asked_a, "a")] {
        let token = &asked["params"]["_meta"]["progressToken"];
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": 1 } });
        assert_eq!(client.http().post(&progress).await.status, 202);
        let answer =
            json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept", "content": { "by": says } } });
        assert_eq!(client.http().post(&answer).await.status, 202);
        assert_eq!(client.http().post(&answer).await.status, 400, "each is answered once");
    }
    for (fake, says) in [(&a, "a"), (&b, "b")] {
        let sent = fake.recorder.requests();
        let [.., progress, answer] = sent.as_slice() else { panic!("too few") };
        assert_eq!(progress.json()["params"], json!({ "progressToken": "p", "progress": 1 }));
        assert_eq!(
            answer.json(),
            json!({ "jsonrpc": "2.0", "id": 7, "result": { "action": "accept", "content": { "by": says } } })
        );
    }
    for forged in [json!("a/9"), json!(7), json!("c/1"), json!("a/x"), json!("a")] {
        let answer = json!({ "jsonrpc": "2.0", "id": forged, "result": {} });
        assert_eq!(client.http().post(&answer).await.status, 400, "{forged}");
    }
}

#[tokio::test]
async fn a_cancellation_reaches_the_server_of_the_request_and_no_other() {
    let (gate, a, b) = two().await;
    let client = legacy(&gate).await;
    let call = json!({ "name": "b__stream", "arguments": {} });
    let (_reply, (request, _stream)) = tokio::join!(client.start("x", "tools/call", call), b.next_stream());
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "x", "reason": "r" } });
    assert_eq!(client.http().post(&cancel).await.status, 202);
    let sent = b.recorder.requests().pop().unwrap().json();
    assert_eq!(sent["params"], json!({ "requestId": request.json()["id"], "reason": "r" }));
    assert!(!methods(&a.recorder).contains(&"notifications/cancelled".to_owned()));
}

#[tokio::test]
async fn one_stream_holds_those_of_all_servers_and_goes_on_where_it_broke_off() {
    let (gate, a, b) = two().await;
    let client = legacy(&gate).await;
    let (mut reply, (_, mut from_a), (_, mut from_b)) =
        tokio::join!(client.http().get(), a.next_stream(), b.next_stream());
    let updated =
        |uri: &str| json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } });
    from_a.send(format!("id: 1\ndata: {}\n\n", updated("docs://a")));
    let first = reply.next_event().await.unwrap();
    assert_eq!(first.json()["params"]["uri"], "toolgate://a/docs://a");
    from_b.send(format!("id: 1\ndata: {}\n\n", updated("docs://a")));
    let second = reply.next_event().await.unwrap();
    assert_eq!(second.json()["params"]["uri"], "toolgate://b/docs://a");
    assert_ne!(first.id, second.id);
    from_a.send(format!("id: 2\ndata: {}\n\n", elicit(json!("same"))));
    let third = reply.next_event().await.unwrap();
    let answer = json!({ "jsonrpc": "2.0", "id": third.json()["id"], "result": { "action": "decline" } });
    assert_eq!(client.http().post(&answer).await.status, 202);
    assert_eq!(a.recorder.requests().pop().unwrap().json()["id"], "same");
    drop(reply);
    from_a.hung_up().await;
    from_b.hung_up().await;

    let http = client.http().clone().header("Last-Event-ID", third.id.as_deref().unwrap());
    let (_reply, (of_a, _), (of_b, _)) = tokio::join!(http.get(), a.next_stream(), b.next_stream());
    assert_eq!((of_a.header("last-event-id"), of_b.header("last-event-id")), (Some("2"), Some("1")));
}

/// A call's own stream is resumed with the server of the call, and its answer comes.
#[tokio::test]
async fn a_broken_call_is_resumed_with_its_own_server_only() {
    let (gate, a, b) = two().await;
    let client = legacy(&gate).await;
    let call = json!({ "name": "a__stream", "arguments": {} });
    let (mut reply, (request, mut stream)) = tokio::join!(client.start(5, "tools/call", call), a.next_stream());
    stream.send("id: call-1\nretry: 5\ndata:\n\n");
    let primed = reply.next_event().await.unwrap();
    drop(reply);
    stream.hung_up().await;
    let http = client.http().clone().header("Last-Event-ID", primed.id.as_deref().unwrap());
    let (mut reply, (resumed, mut stream)) = tokio::join!(http.get(), a.next_stream());
    assert_eq!(resumed.header("last-event-id"), Some("call-1"));
    stream.event(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": { "content": [] } }));
    assert_eq!(
        reply.next_event().await.unwrap().json(),
        json!({ "jsonrpc": "2.0", "id": 5, "result": { "content": [] } })
    );
    assert!(!methods(&b.recorder).contains(&"GET".to_owned()));
}

#[tokio::test]
async fn ending_the_session_ends_those_inside() {
    let (gate, a, b) = two().await;
    let client = legacy(&gate).await;
    assert_eq!(client.http().send("DELETE", &[], b"").await.status, 204);
    for fake in [&a, &b] {
        assert_eq!(methods(&fake.recorder).last().unwrap(), "DELETE");
    }
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(client.http().post(&list).await.status, 404);
}

#[tokio::test]
async fn logging_subscriptions_and_roots_reach_whom_they_concern() {
    let (gate, a, b) = two().await;
    b.change(|has| has.capabilities = json!({ "tools": {} }));
    let client = legacy(&gate).await;
    let set = client.request("logging/setLevel", json!({ "level": "debug" })).await;
    assert_eq!(set["result"], json!({}));
    client.request("resources/subscribe", json!({ "uri": "toolgate://b/docs://a" })).await;
    client.request("resources/unsubscribe", json!({ "uri": "toolgate://b/docs://a" })).await;
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    assert_eq!(client.http().post(&changed).await.status, 202);
    assert_eq!(client.request("ping", json!({})).await["result"], json!({}));
    assert_eq!(methods(&a.recorder)[2..], ["logging/setLevel", "notifications/roots/list_changed"]);
    let of_b = ["resources/subscribe", "resources/unsubscribe", "notifications/roots/list_changed"];
    assert_eq!(methods(&b.recorder)[2..], of_b);
    assert_eq!(b.recorder.requests()[2].json()["params"]["uri"], "docs://a");
}

/// A session with a server that the server has forgotten is opened anew, and the call is made once.
#[tokio::test]
async fn a_session_that_a_server_forgot_is_opened_anew() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static FORGOT: AtomicBool = AtomicBool::new(false);
    let upstream = testkit::Recorder::start(|request| {
        let message = request.json();
        let id = &message["id"];
        match message["method"].as_str() {
            Some("initialize") => {
                let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "s", "version": "1" } });
                testkit::Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result })).header("Mcp-Session-Id", "x")
            }
            Some("tools/call") if !FORGOT.swap(true, Ordering::Relaxed) => testkit::Answer::status(404),
            Some("tools/call") => {
                testkit::Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": "1" }] } }))
            }
            _ => testkit::Answer::status(202),
        }
    })
    .await;
    let gate = crate::gate::Plan::default().server("s", upstream.url("/mcp"), "p").policy("p", OPEN).start();
    let client = legacy(&gate).await;
    assert_eq!(said(&client.call("s__t", json!({})).await), 1);
    let call = ["initialize", "notifications/initialized", "tools/call"];
    assert_eq!(methods(&upstream), [call, call].concat());
}

/// A server that forgets every session at once: it fails, and the client keeps its session, and with it all other servers.
#[tokio::test]
async fn a_session_that_one_server_lost_is_not_the_clients() {
    let (open, mut streams) = tokio::sync::mpsc::unbounded_channel();
    let upstream = testkit::Recorder::start(move |request| {
        if request.body.is_empty() {
            return testkit::Answer::status(405);
        }
        let message = request.json();
        match (message["method"].as_str(), message["params"]["name"].as_str()) {
            (Some("initialize"), _) => {
                let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "s", "version": "1" } });
                testkit::Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).header("Mcp-Session-Id", "x")
            }
            (Some("tools/call"), Some("stream")) => {
                let (answer, stream) = testkit::Answer::stream(200, "text/event-stream");
                let _ = open.send(stream);
                answer
            }
            (Some("notifications/initialized"), _) => testkit::Answer::status(202),
            _ => testkit::Answer::status(404),
        }
    })
    .await;
    let a = Fake::with("a", &["t"]).await;
    let gate = plan(&[("a", &a, OPEN)]).server("s", upstream.url("/mcp"), "a.json").start();
    let client = legacy(&gate).await;
    let call =
        json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": { "name": "s__t", "arguments": {} } });
    let failed = client.http().post(&call).await;
    assert_eq!((failed.status, &failed.json()["error"]["code"]), (200, &json!(-32603)));
    for answers in [true, false] {
        let params = json!({ "name": "s__stream", "arguments": {} });
        let (mut reply, stream) = tokio::join!(client.start(6, "tools/call", params), streams.recv());
        let mut stream = stream.unwrap();
        stream.event(&elicit(json!(7)));
        let asked = reply.next_event().await.unwrap().json();
        let token = &asked["params"]["_meta"]["progressToken"];
        let (message, status) = match answers {
            true => (json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "decline" } }), 400),
            false => (
                json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": 1 } }),
                202,
            ),
        };
        assert_eq!(client.http().post(&message).await.status, status);
        let sent = upstream.requests().pop().unwrap().json();
        assert_eq!(sent["method"], message["method"], "it went up");
    }
    assert_eq!(said(&client.call("a__t", json!({})).await)["by"], "a", "the session is there");
}

/// A server that was away when the session began is met when it is first needed, and told what the others were told.
#[tokio::test]
async fn a_server_that_was_away_is_met_later() {
    let (gate, _a, b) = two().await;
    b.change(|has| has.away = true);
    let client = legacy(&gate).await;
    client.request("logging/setLevel", json!({ "level": "error" })).await;
    assert_eq!(client.call("b__t", json!({})).await["error"]["code"], -32603);
    assert_eq!(client.list_tools().await, ["a__t"]);
    b.change(|has| has.away = false);
    let before = b.recorder.requests().len();
    assert_eq!(said(&client.call("b__t", json!({})).await)["by"], "b");
    let sent = b.recorder.requests().split_off(before);
    let sent: Vec<Value> = sent.iter().map(|request| request.json()).collect();
    let methods: Vec<&str> = sent.iter().filter_map(|sent| sent["method"].as_str()).collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "logging/setLevel", "tools/call"]);
    assert_eq!(sent[2]["params"]["level"], "error");
    assert_eq!(client.list_tools().await, ["a__t", "b__t"]);
}

#[tokio::test]
async fn batches_are_taken_apart() {
    let (gate, a, b) = two().await;
    let client = McpClient::legacy_of(HttpClient::new(url(&gate)), "2025-03-26").await;
    let call = |id: u64, name: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name, "arguments": {} } });
    let batch = json!([call(1, "a__t"), call(2, "b__t"), call(3, "c__t")]);
    let mut reply = client.http().post_streamed(&batch).await;
    let mut answers = Vec::new();
    while let Some(event) = reply.next_event().await {
        answers.push(event.json());
    }
    assert_eq!((said(&answers[0])["by"].clone(), said(&answers[1])["by"].clone()), (json!("a"), json!("b")));
    assert_eq!((&answers[2]["id"], &answers[2]["error"]["code"]), (&json!(3), &json!(-32602)));
    let newer = legacy(&gate).await;
    assert_eq!(newer.http().post(&batch).await.status, 400);
    for fake in [&a, &b] {
        assert_eq!(methods(&fake.recorder).iter().filter(|method| *method == "tools/call").count(), 1);
    }
}
