//! What a recorder keeps, what it can answer, and that the clients read it.

use serde_json::json;
use testkit::{Answer, HttpClient, McpClient, RawClient, Recorder};

#[tokio::test]
async fn a_request_is_kept_as_it_came() {
    let upstream = Recorder::start(|_| Answer::status(202)).await;
    let mut client = RawClient::connect(upstream.addr()).await;
    client.send("POST /a?b HTTP/1.1\r\nX-Two: 1\r\nhost: h\r\nx-two: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 202);
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 202);

    let seen = upstream.next_request().await;
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.text()), ("POST", "/a?b", "abcd"));
    let names: Vec<_> = seen.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(names, ["X-Two=1", "host=h", "x-two=2", "Transfer-Encoding=chunked"]);
    assert_eq!(upstream.next_request().await.connection, 0, "the connection is kept open");
    assert_eq!((upstream.requests().len(), upstream.connections()), (2, 1));
}

#[tokio::test]
async fn a_stream_is_fed_ended_and_cut_by_the_test() {
    let upstream = Recorder::by_hand().await;
    let client = HttpClient::new(upstream.url("/mcp"));

    let (mut reply, mut stream) =
        tokio::join!(client.post_streamed(&json!({})), async { upstream.next_exchange().await.answer_with_events() });
    stream.send("id: 7\nretry: 500\nda");
    stream.send("ta: \n\n: alive\n\n");
    let primed = reply.next_event().await.unwrap();
    assert_eq!((primed.id.as_deref(), primed.retry, primed.data.as_str()), (Some("7"), Some(500), ""));
    stream.event(&json!({ "n": 1 }));
    assert_eq!(reply.next_event().await.unwrap().json()["n"], 1);
    stream.end();
    assert_eq!(reply.next_event().await, None);

    let (mut reply, stream) =
        tokio::join!(client.post_streamed(&json!({})), async { upstream.next_exchange().await.answer_with_events() });
    stream.cut();
    assert!(reply.next_piece().await.is_err(), "a cut body is no ended body");

    let (reply, mut stream) =
        tokio::join!(client.post_streamed(&json!({})), async { upstream.next_exchange().await.answer_with_events() });
    drop(reply);
    stream.hung_up().await;
}

#[tokio::test]
async fn a_connection_can_be_cut_before_any_answer() {
    let upstream = Recorder::start(|_| Answer::cut()).await;
    let mut client = RawClient::connect(upstream.addr()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    assert!(client.response().await.is_none());
}

#[tokio::test]
async fn the_small_server_speaks_both_eras() {
    let tool = r#"{"name":"a","x-vendor" :  [1.0],"inputSchema":{"type":"object"}}"#;
    let upstream = Recorder::mcp([tool]).await;
    for client in [
        McpClient::legacy(HttpClient::new(upstream.url("/mcp"))).await,
        McpClient::modern(HttpClient::new(upstream.url("/mcp"))),
    ] {
        assert_eq!(client.list_tools().await, ["a"]);
        let answer = client.call("a", json!({ "n": 1 })).await;
        assert_eq!(answer["result"]["content"][0]["text"], r#"{"arguments":{"n":1},"name":"a"}"#);
    }
    let listed = HttpClient::new(upstream.url("/mcp"))
        .post(&json!({ "jsonrpc": "2.0", "id": "x", "method": "tools/list" }))
        .await;
    assert!(String::from_utf8(listed.body).unwrap().contains(tool), "the definition comes back byte for byte");
    let modern = upstream.requests().into_iter().rfind(|request| request.header("mcp-name").is_some()).unwrap();
    assert_eq!((modern.header("mcp-method"), modern.header("mcp-name")), (Some("tools/call"), Some("a")));
}
