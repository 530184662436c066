//! HTTP+SSE of 2024-11-05: a stream, a path to post to, and nobody else's business.

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, Recorder, Reply, patiently};

use super::both::next_post;
use super::{announced, hello, legacy, legacy_call, told};
use crate::gate::{Gate, OPEN, Plan, STRICT, called, introduce, methods, modern_call, next_call, tool};

/// An old client: its stream, and where to post.
pub(crate) struct Old {
    stream: Reply,
    pub(super) endpoint: String,
    http: HttpClient,
}

impl Old {
    async fn open(gate: &Gate) -> Self {
        Self::open_at(gate, "/sse/s").await
    }

    pub(crate) async fn open_at(gate: &Gate, path: &str) -> Self {
        let mut stream = HttpClient::new(format!("http://{}{path}", gate.data)).get().await;
        assert_eq!((stream.status, stream.header("content-type")), (200, Some("text/event-stream")));
        let first = stream.next_event().await.unwrap();
        assert_eq!(first.event.as_deref(), Some("endpoint"));
        assert!(first.data.starts_with(&format!("{path}/message?id=")), "{}", first.data);
        let http = HttpClient::new(format!("http://{}{}", gate.data, first.data));
        Self { stream, endpoint: first.data, http }
    }

    /// Only the JSON type, as old clients do.
    pub(crate) async fn post(&self, message: &Value) -> u16 {
        let headers = [("Content-Type", "application/json")];
        self.http.send("POST", &headers, message.to_string().as_bytes()).await.status
    }

    /// Waits until the stream was silent for `bounds.keepalive`.
    pub(crate) async fn silence(&mut self) {
        let piece = self.stream.next_piece().await.unwrap().unwrap();
        assert!(piece.starts_with(b":"), "{}", String::from_utf8_lossy(&piece));
    }

    pub(crate) async fn hear(&mut self) -> Value {
        let event = self.stream.next_event().await.expect("a message");
        assert_eq!(event.event.as_deref(), Some("message"));
        event.json()
    }

    pub(crate) async fn ask(&mut self, message: &Value) -> Value {
        assert_eq!(self.post(message).await, 202);
        let answer = self.hear().await;
        assert_eq!(answer["id"], message["id"]);
        answer
    }
}

pub(crate) fn old_hello() -> Value {
    let mut hello = hello();
    hello["params"]["protocolVersion"] = json!("2024-11-05");
    hello
}

#[tokio::test]
async fn an_old_client_lists_and_calls_by_the_policy() {
    let upstream = Recorder::mcp([tool("allowed_tool"), tool("other")]).await;
    let gate = Gate::before(&upstream, STRICT);
    let mut client = Old::open(&gate).await;
    assert_eq!(client.ask(&old_hello()).await["result"]["protocolVersion"], "2024-11-05");
    assert_eq!(client.post(&announced()).await, 202);
    let listed = client.ask(&legacy(1, "tools/list", json!({}))).await;
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 1);
    let answer = client.ask(&legacy_call(2, "allowed_tool", json!({ "a": 1 }))).await;
    assert_eq!(told(&answer)["arguments"], json!({ "a": 1 }));
    assert_eq!(client.ask(&legacy_call(3, "other", json!({}))).await["result"]["isError"], true);
    assert_eq!(called(&upstream), ["allowed_tool"]);
}

#[tokio::test]
async fn the_server_s_requests_and_notices_come_on_the_stream() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let mut client = Old::open(&gate).await;
    assert_eq!(client.post(&old_hello()).await, 202);
    assert!(introduce(upstream.next_exchange().await).is_none());
    client.hear().await;
    client.post(&announced()).await;
    let mut own = next_call(&upstream).await.answer_with_events();
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    own.event(&changed);
    assert_eq!(client.hear().await, changed);

    client.post(&legacy_call("c", "asks", json!({}))).await;
    let exchange = next_post(&upstream).await;
    let id = exchange.request.json()["id"].clone();
    let mut stream = exchange.answer_with_events();
    stream.event(&legacy(5, "sampling/createMessage", json!({})));
    let asked = client.hear().await;
    client.post(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "ok": true } })).await;
    let answer = next_post(&upstream).await;
    assert_eq!(answer.request.json()["id"], 5);
    answer.answer(Answer::status(202));
    stream.event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } }));
    assert_eq!(client.hear().await["id"], "c");
}

#[tokio::test]
async fn only_whoever_has_the_id_and_only_json_may_be_posted() {
    let upstream = Recorder::mcp([tool("t")]).await;
    let gate = Plan::default()
        .server("s", upstream.url("/mcp"), "p.json")
        .server("other", upstream.url("/mcp"), "p.json")
        .policy("p.json", OPEN)
        .start();
    let mut client = Old::open(&gate).await;
    let id = client.endpoint.split_once("id=").unwrap().1.to_owned();
    assert_eq!((id.len(), id.bytes().all(|b| b.is_ascii_hexdigit())), (48, true), "{id}");
    let hello = old_hello().to_string();
    let to = |target: &str| HttpClient::new(format!("http://{}{target}", gate.data));
    let json = ("Content-Type", "application/json");
    for (target, headers, body, status) in [
        (format!("/sse/s/message?id={}", &id[1..]), vec![json], hello.as_str(), 404),
        (format!("/sse/s/message?id={id}0"), vec![json], &hello, 404),
        (format!("/sse/s/message?id={id}&id={id}"), vec![json], &hello, 404),
        (format!("/sse/s/message?ID={id}"), vec![json], &hello, 404),
        ("/sse/s/message".to_owned(), vec![json], &hello, 404),
        (format!("/sse/other/message?id={id}"), vec![json], &hello, 404),
        (format!("/sse/none/message?id={id}"), vec![json], &hello, 404),
        (format!("/sse/s/message/?id={id}"), vec![json], &hello, 404),
        (client.endpoint.clone(), vec![("Content-Type", "text/plain")], &hello, 415),
        (client.endpoint.clone(), vec![], &hello, 415),
        (client.endpoint.clone(), vec![json, ("Origin", "http://evil.example")], &hello, 403),
        (client.endpoint.clone(), vec![json], "nonsense", 400),
        (client.endpoint.clone(), vec![json], &modern_call(1, "t", json!({})).to_string(), 400),
    ] {
        let reply = to(&target).send("POST", &headers, body.as_bytes()).await;
        assert_eq!(reply.status, status, "{target} {headers:?} {body}");
    }
    assert_eq!(upstream.requests().len(), 0, "nothing of that went anywhere");
    // The client's own stream is untouched by all of it.
    assert_eq!(client.ask(&old_hello()).await["result"]["protocolVersion"], "2024-11-05");
}

#[tokio::test]
async fn a_stream_is_opened_by_a_get_of_its_own_path_only() {
    let upstream = Recorder::mcp([tool("t")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let client = Old::open(&gate).await;
    let to = |target: &str| HttpClient::new(format!("http://{}{target}", gate.data));
    let events = [("Accept", "text/event-stream")];
    for (verb, target, headers, status) in [
        // Another stream of the same session.
        ("GET", client.endpoint.as_str(), &events[..], 405),
        ("DELETE", &client.endpoint, &[], 405),
        ("POST", "/sse/s", &[("Content-Type", "application/json")], 405),
        ("GET", "/sse/s", &[("Accept", "application/json")], 406),
        ("GET", "/sse/none", &events, 404),
        ("GET", "/sse/s/", &events, 404),
        ("GET", "/sse/", &events, 404),
        ("GET", "/sse/message", &events, 404),
        ("GET", "/SSE/s", &events, 404),
        ("GET", "/sse/s", &[("Accept", "text/event-stream"), ("Origin", "http://evil.example")], 403),
    ] {
        let reply = to(target).send(verb, headers, b"").await;
        assert_eq!(reply.status, status, "{verb} {target}");
        if status == 405 {
            let allowed = if target.contains("message") { "POST" } else { "GET" };
            assert_eq!(reply.header("allow"), Some(allowed));
        }
    }
}

#[tokio::test]
async fn the_session_ends_when_the_client_hangs_up() {
    let upstream = Recorder::mcp([tool("t")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let mut client = Old::open(&gate).await;
    client.ask(&old_hello()).await;
    let Old { stream, http, .. } = client;
    drop(stream);
    patiently("the end of the session", async {
        while methods(&upstream).last().map(String::as_str) != Some("DELETE") {
            upstream.next_request().await;
        }
    })
    .await;
    let gone = async || http.send("POST", &[("Content-Type", "application/json")], b"{}").await.status;
    patiently("the id to be gone", async { while gone().await != 404 {} }).await;
}

#[tokio::test]
async fn a_drain_finishes_the_call_and_ends_the_stream() {
    let upstream = Recorder::by_hand().await;
    let mut gate = Gate::bounded(&upstream, OPEN, &[("bounds.drain", "20s")]);
    let mut client = Old::open(&gate).await;
    client.post(&old_hello()).await;
    assert!(introduce(upstream.next_exchange().await).is_none());
    client.hear().await;
    client.post(&legacy_call(1, "t", json!({}))).await;
    let call = next_post(&upstream).await;
    let drained = gate.shut_down();
    call.answer_with_result(&json!({ "content": [] }));
    assert_eq!(client.hear().await["id"], 1);
    let farewell = upstream.next_exchange().await;
    assert_eq!(farewell.request.method, "DELETE");
    farewell.answer(Answer::status(200));
    assert!(client.stream.next_event().await.is_none());
    drained.await;
}

#[tokio::test]
async fn streams_are_as_many_as_sessions_may_be() {
    let upstream = Recorder::mcp([tool("t")]).await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.sessions", "2")]);
    let (_one, two) = (Old::open(&gate).await, Old::open(&gate).await);
    let http = HttpClient::new(format!("http://{}/sse/s", gate.data));
    assert_eq!(http.get().await.status, 503);
    drop(two);
    patiently("a place", async { while http.get().await.status != 200 {} }).await;
}

#[tokio::test]
async fn a_stream_with_nothing_to_say_is_kept_alive() {
    let upstream = Recorder::mcp([tool("t")]).await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.keepalive", "1s")]);
    let mut client = Old::open(&gate).await;
    client.silence().await;
}
