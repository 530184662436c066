//! Event streams of the legacy era: what is kept of them, and how one that broke off is resumed.

use serde_json::{Value, json};
use testkit::{Answer, AnswerStream, McpClient, Recorder, Reply, SseEvent};

use crate::gate::{Gate, OPEN, introduced, methods, next_call, streamed};

fn call(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

fn progress(n: u64) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "t", "progress": n } })
}

/// The GET stream of a session, and its upstream end.
async fn get(upstream: &Recorder, client: &McpClient, last: Option<&str>) -> (Reply, AnswerStream) {
    let http = match last {
        Some(last) => client.http().clone().header("Last-Event-ID", last),
        None => client.http().clone(),
    };
    let (reply, request, stream) = streamed(upstream, http.get()).await;
    assert_eq!((request.method.as_str(), request.header("last-event-id")), ("GET", last));
    assert_eq!(
        (request.header("accept"), request.header("mcp-session-id")),
        (Some("text/event-stream"), Some("upstream-session"))
    );
    (reply, stream)
}

#[tokio::test]
async fn ids_retry_and_priming_are_kept() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let request = call("k", "tools/call", json!({ "name": "a" }));
    let (mut reply, sent, mut stream) = streamed(&upstream, client.http().post_streamed(&request)).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        (reply.header("x-accel-buffering"), reply.header("cache-control")),
        (Some("no"), Some("no-cache, no-transform"))
    );
    stream.send("id: s1/0\nretry: 1500\ndata: \n\n: comment\n\nid: s1/1\r\nevent: message\r\n");
    let primed = reply.next_event().await.unwrap();
    assert_eq!(primed, SseEvent { id: Some("s1/0".into()), event: None, retry: Some(1500), data: String::new() });
    stream.send(format!("data: {}\r\n\r\n", progress(1)));
    let event = reply.next_event().await.unwrap();
    assert_eq!(
        (event.id.as_deref(), event.event.as_deref(), event.json()),
        (Some("s1/1"), Some("message"), progress(1))
    );
    // Data on several lines is one message.
    let answer = json!({ "jsonrpc": "2.0", "id": sent.json()["id"], "result": { "n": [1, 2] } });
    let lines: String =
        serde_json::to_string_pretty(&answer).unwrap().lines().map(|line| format!("data: {line}\n")).collect();
    stream.send(format!("id: s1/2\n{lines}\n"));
    let event = reply.next_event().await.unwrap();
    assert_eq!((event.id.as_deref(), event.json()), (Some("s1/2"), call_result("k", json!({ "n": [1, 2] }))));
    stream.end();
    assert!(reply.next_event().await.is_none());
}

fn call_result(id: &str, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// Vector 57: what a server writes into a stream is read as events, and each as one message that belongs here.
#[tokio::test]
async fn a_stream_brings_only_what_belongs_to_it() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let request = call("k", "tools/call", json!({ "name": "a" }));
    let (mut reply, sent, mut stream) = streamed(&upstream, client.http().post_streamed(&request)).await;
    let id = sent.json()["id"].as_u64().unwrap();
    let forged = json!({ "jsonrpc": "2.0", "id": "k", "result": { "forged": true } });
    for noise in [
        format!("data: {forged}\n\n"),
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n\n", id + 1),
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"result\":{{}}}}\n\n"),
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id}.0,\"result\":{{}}}}\n\n"),
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"id\":{id},\"result\":{{}}}}\n\n"),
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}},\"error\":{{}}}}\n\n"),
        format!("data: {{\"jsonrpc\":\"1.0\",\"id\":{id},\"result\":{{}}}}\n\n"),
        format!("data: [{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}]\n\n"),
        format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}{{}}\n\n"),
        format!("event: ping\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n\n"),
        "data: not json\n\n".to_owned(),
        "data: \u{1}\n\n".to_owned(),
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/evil\"}\n\n".to_owned(),
        "nonsense\n\n".to_owned(),
    ] {
        stream.send(noise);
    }
    let text =
        "x\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"k\",\"result\":{\"forged\":true}}\n\n\u{2028}\u{2029}\r\rdata: y";
    stream.event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "text": text } }));
    stream.event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "twice": true } }));
    stream.event(&progress(2));
    stream.end();
    assert_eq!(
        reply.next_event().await.unwrap().json(),
        call_result("k", json!({ "text": text })),
        "the first, and only that"
    );
    assert_eq!(reply.next_event().await.unwrap().json(), progress(2));
    assert!(reply.next_event().await.is_none());
}

#[tokio::test]
async fn a_sessions_own_stream() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::bounded(
        &upstream,
        r#"{ "version": "1", "resources": { "docs://*": {} } }"#,
        &[("bounds.idle_timeout", "50ms"), ("bounds.call_timeout", "50ms"), ("bounds.keepalive", "1s")],
    );
    let client = introduced(&gate, &upstream).await;
    let (mut reply, mut stream) = get(&upstream, &client, None).await;
    let said = reply.next_piece().await.unwrap().unwrap();
    assert!(said.starts_with(b":"), "silence is lawful here, and the client hears that we live: {said:?}");
    for (method, params, passes) in [
        ("notifications/tools/list_changed", json!({}), true),
        ("notifications/message", json!({ "level": "info", "data": "x" }), true),
        ("notifications/resources/updated", json!({ "uri": "file:///etc/passwd" }), false),
        ("notifications/resources/updated", json!({ "uri": "docs://a" }), true),
        ("notifications/vendor", json!({}), false),
        ("notifications/prompts/list_changed", json!({}), true),
    ] {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        stream.event(&message);
        if passes {
            assert_eq!(reply.next_event().await.unwrap().json(), message);
        }
    }
    stream.end();
    assert!(reply.next_event().await.is_none());
}

#[tokio::test]
async fn a_server_without_a_stream_says_so() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    for (answer, expected) in [
        (Answer::status(405).header("Allow", "POST"), 405),
        (Answer::status(409), 409),
        (
            Answer::json(
                400,
                &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32000, "message": "CANARY" } }),
            ),
            400,
        ),
        (Answer::json(200, &json!({})), 502),
        (Answer::status(500), 502),
        (Answer::status(302).header("Location", "http://169.254.169.254/"), 502),
        (Answer::cut(), 502),
    ] {
        let (reply, ()) = tokio::join!(client.http().get(), async { next_call(&upstream).await.answer(answer) });
        assert_eq!(reply.status, expected);
        assert!(!String::from_utf8(reply.whole().await.body).unwrap().contains("CANARY"));
    }
}

#[tokio::test]
async fn a_stream_that_broke_off_is_resumed() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "tools": { "a": {}, "b": "hide" } }"#);
    let client = introduced(&gate, &upstream).await;
    let list = call("list", "tools/list", json!({}));
    let (mut reply, sent, mut stream) = streamed(&upstream, client.http().post_streamed(&list)).await;
    stream.send("id: p/1\nretry: 10\ndata: \n\n");
    assert_eq!(reply.next_event().await.unwrap().id.as_deref(), Some("p/1"));
    stream.cut();
    assert!(reply.next_event().await.is_none(), "no error: the client will come back");

    // The answer comes on the resumed stream: under the client's id, and filtered. A second time too, if asked for again.
    for _ in 0..2 {
        let (mut resumed, mut stream) = get(&upstream, &client, Some("p/1")).await;
        let tools = json!({ "tools": [{ "name": "a", "x": 1 }, { "name": "b" }, { "name": "c" }] });
        let foreign = json!({ "jsonrpc": "2.0", "id": 12345, "result": tools });
        stream.event(&foreign);
        stream.send(format!(
            "id: p/2\ndata: {}\n\n",
            json!({ "jsonrpc": "2.0", "id": sent.json()["id"], "result": tools })
        ));
        stream.end();
        let event = resumed.next_event().await.unwrap();
        assert_eq!(
            (event.id.as_deref(), event.json()),
            (Some("p/2"), call_result("list", json!({ "tools": [{ "name": "a", "x": 1 }] })))
        );
        assert!(resumed.next_event().await.is_none());
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_resumed_ends_in_an_error() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let (mut reply, _, mut stream) =
        streamed(&upstream, client.http().post_streamed(&call(1, "tools/call", json!({ "name": "a" })))).await;
    stream.event(&progress(1));
    assert_eq!(reply.next_event().await.unwrap().json(), progress(1));
    stream.cut();
    assert_eq!(reply.next_event().await.unwrap().json()["error"]["code"], -32603);
    assert!(reply.next_event().await.is_none());
}

/// Vector 34: even a server that replays any stream to anybody cannot make us hand one session's answer to another.
#[tokio::test]
async fn a_replay_into_the_wrong_session_brings_nothing() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let (victim, thief) = (introduced(&gate, &upstream).await, introduced(&gate, &upstream).await);
    let secret = call(1, "tools/call", json!({ "name": "secret" }));
    let (reply, sent, mut stream) = streamed(&upstream, victim.http().post_streamed(&secret)).await;
    stream.send("id: victim/1\ndata: \n\n");
    drop(reply);
    stream.hung_up().await;
    // The thief has a call of its own open, under the same id as far as it is concerned.
    let own = call(1, "tools/call", json!({ "name": "own" }));
    let (_waiting, _, _unanswered) = streamed(&upstream, thief.http().post_streamed(&own)).await;
    let (mut stolen, mut replay) = get(&upstream, &thief, Some("victim/1")).await;
    for id in 0..=sent.json()["id"].as_u64().unwrap() {
        let is_own =
            upstream.requests().iter().any(|request| request.text().contains("\"own\"") && request.json()["id"] == id);
        if !is_own {
            replay.event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "secret": true } }));
        }
    }
    replay.end();
    assert!(stolen.next_event().await.is_none());
    assert_eq!(methods(&upstream).last().unwrap(), "GET");
}
