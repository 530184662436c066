//! Health, and the end of a gateway: what is under way is finished, what would never end is ended, and nothing new begins.

use serde_json::json;
use testkit::{HttpClient, Recorder, Reply};

use crate::gate::{Gate, OPEN, introduced, modern_call, modern_headers, modern_request, next_call, streamed};

#[tokio::test]
async fn health() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let admin = |path: &str| HttpClient::new(format!("http://{}{path}", gate.admin));
    for (path, expected) in
        [("/healthz", (200, "ok\n")), ("/readyz", (200, "ready\n")), ("/", (404, "")), ("/mcp/s", (404, ""))]
    {
        let response = gate.admin(path).await;
        let text = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, expected.0, "{path}");
        assert!(text == expected.1 || expected.0 == 404, "{path}: {text}");
        assert_eq!(admin(path).post(&json!({})).await.status, if expected.0 == 200 { 405 } else { 404 });
    }
    for line in [("Host", "evil.example"), ("Origin", "http://evil.example")] {
        let lines = if line.0 == "Host" { vec![line] } else { vec![("Host", "localhost"), line] };
        let mut client = testkit::RawClient::connect(gate.admin).await;
        let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        client.send(format!("GET /readyz?verbose HTTP/1.1\r\n{lines}\r\n")).await;
        assert_eq!(client.response().await.unwrap().status, 403, "{lines}");
    }
    introduced(&gate, &upstream).await;
    // How a call ended is written within a moment.
    let written = async {
        loop {
            let ready = gate.ready().await;
            if ready.starts_with("ready\naudit waiting 0 lost 0\nsessions 1\n") {
                break ready;
            }
        }
    };
    let ready = testkit::patiently("the journal to have nothing left to write", written).await;
    assert!(ready.contains(&format!("policy {} ", gate.policy_file().display())), "{ready}");
}

async fn ends(reply: &mut Reply) {
    while reply.next_event().await.is_some() {}
}

#[tokio::test]
async fn what_is_under_way_is_finished() {
    let upstream = Recorder::by_hand().await;
    let mut gate = Gate::bounded(&upstream, OPEN, &[("bounds.drain", "1m")]);
    let client = introduced(&gate, &upstream).await;
    let http = modern_headers(gate.http(), "tools/call", Some("a"));
    let waiting = tokio::spawn(async move { http.post(&modern_call("k", "a", json!({}))).await });
    let exchange = next_call(&upstream).await;
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "a" } });
    let (mut streaming, sent, mut stream) = streamed(&upstream, client.http().post_streamed(&call)).await;
    let (mut on_get, _, mut get) = streamed(&upstream, client.http().get()).await;
    let listen = modern_request(1, "subscriptions/listen", json!({ "notifications": {} }));
    let http = modern_headers(gate.http(), "subscriptions/listen", None);
    let (mut listening, _, mut listened) = streamed(&upstream, http.post_streamed(&listen)).await;

    let done = gate.shut_down();
    // Streams that would never end are ended, on both sides.
    ends(&mut on_get).await;
    get.hung_up().await;
    ends(&mut listening).await;
    listened.hung_up().await;
    assert_eq!(gate.admin("/readyz").await.status, 503);
    assert_eq!(gate.admin("/healthz").await.status, 200);
    // Each thread closes its share of the listener as it hears of it.
    let nobody_new = async { while tokio::net::TcpStream::connect(gate.data).await.is_ok() {} };
    testkit::patiently("the door to close", nobody_new).await;

    exchange.answer_with_result(&json!({ "n": 1 }));
    assert_eq!(waiting.await.unwrap().json()["result"]["n"], 1);
    stream.event(&json!({ "jsonrpc": "2.0", "id": sent.json()["id"], "result": { "n": 2 } }));
    assert_eq!(streaming.next_event().await.unwrap().json()["result"]["n"], 2);
    stream.end();
    ends(&mut streaming).await;
    done.await;
    assert!(tokio::net::TcpStream::connect(gate.admin).await.is_err(), "all is over");
}

#[tokio::test]
async fn draining_is_bounded() {
    let upstream = Recorder::by_hand().await;
    let mut gate = Gate::bounded(&upstream, OPEN, &[("bounds.drain", "100ms")]);
    let http = modern_headers(gate.http(), "tools/call", Some("a"));
    let (mut reply, _, mut stream) = streamed(&upstream, http.post_streamed(&modern_call("k", "a", json!({})))).await;
    gate.shut_down().await;
    stream.hung_up().await;
    assert!(reply.next_piece().await.is_err(), "cut off, and the client can tell");
}

/// Dropping is shutting down, too.
#[tokio::test]
async fn a_gateway_that_is_dropped_ends() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let (_reply, _, mut stream) = streamed(&upstream, client.http().get()).await;
    drop(gate);
    stream.hung_up().await;
}
