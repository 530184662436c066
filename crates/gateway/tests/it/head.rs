//! What the head of a request decides before its body is read: who is let in, to where, with what, and for how long.

use serde_json::json;
use testkit::{Answer, RawClient, Recorder, patiently};

use crate::gate::{Gate, OPEN, Plan, called, modern_call, tool};

/// A POST of a modern call of `a`, with these header lines instead of (or beside) the usual ones.
fn post(path: &str, lines: &[(&str, &str)]) -> String {
    let body = modern_call(1, "a", json!({})).to_string();
    let usual = [
        ("Host", "localhost"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "a"),
    ];
    let kept = usual.iter().filter(|(name, _)| !lines.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    let lines: String =
        kept.chain(lines).filter(|(_, value)| *value != "(none)").map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    format!("POST {path} HTTP/1.1\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Sends these bytes alone on a connection: the status, and the JSON-RPC error code if there is one.
async fn status(gate: &Gate, bytes: &str) -> (u16, i64) {
    let mut client = gate.raw().await;
    client.send(bytes).await;
    let response = client.response().await.expect("an answer");
    let error = serde_json::from_slice(&response.body).unwrap_or(json!(null));
    (response.status, error["error"]["code"].as_i64().unwrap_or_default())
}

async fn upstream() -> Recorder {
    Recorder::mcp([tool("a")]).await
}

#[tokio::test]
async fn who_may_come_in() {
    let upstream = upstream().await;
    let gate = Plan::default()
        .toml("listen.hosts = [\"gate.example\", \"other.example:99\"]\nlisten.origins = [\"https://app.example\"]")
        .server("s", upstream.url("/mcp"), "p.json")
        .policy("p.json", OPEN)
        .start();
    let own = gate.data.to_string();
    for (lines, expected) in [
        (&[("Host", own.as_str())][..], 200),
        (&[("Host", "localhost:1")], 200),
        (&[("Host", "gate.example")], 200),
        (&[("Host", "gate.example:8443")], 200),
        (&[("Host", "other.example:99")], 200),
        (&[("Host", "other.example")], 403),
        (&[("Host", "evil.example")], 403),
        (&[("Host", "localhost.evil.example")], 403),
        (&[("Host", "localhost@evil.example")], 403),
        (&[("Host", "evil.example"), ("X-Forwarded-Host", "localhost")], 403),
        (&[("Host", "")], 403),
        (&[("Host", "(none)")], 403),
        (&[("Origin", "http://localhost:6274")], 200),
        (&[("Origin", "https://app.example")], 200),
        (&[("Origin", "http://app.example")], 403),
        (&[("Origin", "http://evil.example")], 403),
        (&[("Origin", "http://localhost.evil.example")], 403),
        (&[("Origin", "null")], 403),
        (&[("Origin", "")], 403),
        (&[("Origin", "http://localhost"), ("oRIGIN", "http://evil.example")], 400),
    ] {
        assert_eq!(status(&gate, &post("/mcp/s", lines)).await.0, expected, "{lines:?}");
    }
    assert_eq!(called(&upstream).len(), 7, "who was not let in, sent nothing upstream");
}

#[tokio::test]
async fn where_to() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, OPEN);
    for path in [
        "/",
        "/mcp/",
        "//mcp/s",
        "/mcp//s",
        "/mcp/s/",
        "/mcp/s/x",
        "/mcp/%73",
        "/mcp/s%2f",
        "/mcp/s;x",
        "/MCP/s",
        "/mcp/S",
        "/mcp/./s",
        "/mcp/x/../s",
        "/message",
        "/sse/",
        "/mcp/other",
        "/healthz",
        "/readyz",
    ] {
        assert_eq!(status(&gate, &post(path, &[])).await, (404, -32600), "{path}");
    }
    assert_eq!(status(&gate, &post("/mcp/s", &[])).await.0, 200);
    assert_eq!(called(&upstream).len(), 1);
}

#[tokio::test]
async fn with_what() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, OPEN);
    for (line, expected) in [
        (("Content-Type", "application/json;charset=UTF-8"), (200, 0)),
        (("Content-Type", "text/plain"), (415, -32600)),
        (("Content-Type", "application/json-seq"), (415, -32600)),
        (("Content-Type", "application/json; charset=utf-16le"), (415, -32600)),
        (("Content-Type", "application/x-www-form-urlencoded"), (415, -32600)),
        (("Content-Type", "(none)"), (415, -32600)),
        (("Content-Encoding", "gzip"), (415, -32600)),
        (("Content-Encoding", "identity, gzip"), (415, -32600)),
        (("Accept", "*/*"), (200, 0)),
        (("Accept", "application/*, text/event-stream"), (200, 0)),
        (("Accept", "application/json"), (406, -32600)),
        (("Accept", "text/event-stream"), (406, -32600)),
        (("Accept", "text/html"), (406, -32600)),
        (("Accept", "application/json, text/event-stream;q=0"), (406, -32600)),
        (("Upgrade", "h2c"), (400, -32600)),
        (("Upgrade", "websocket"), (400, -32600)),
    ] {
        assert_eq!(status(&gate, &post("/mcp/s", &[line])).await, expected, "{line:?}");
    }
    assert_eq!(called(&upstream).len(), 3);
}

#[tokio::test]
async fn a_header_that_is_checked_has_one_line() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, OPEN);
    let session = {
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {} } });
        gate.http().post(&hello).await.header("mcp-session-id").unwrap().to_owned()
    };
    for (name, value) in [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "a"),
        ("Content-Type", "application/json"),
        ("Host", "localhost"),
    ] {
        let lower = name.to_ascii_lowercase();
        let twice = [(name, value), (lower.as_str(), value)];
        assert_eq!(status(&gate, &post("/mcp/s", &twice)).await.0, 400, "{name}, the same line twice");
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    for (lines, expected) in [(1, 200), (2, 400)] {
        let http = (0..lines).fold(gate.http(), |http, _| http.header("Mcp-Session-Id", &session));
        assert_eq!(http.post_text(&body).await.status, expected, "{lines} session ids");
    }
    assert!(called(&upstream).is_empty());
}

/// Vector 41: a body changes nothing about a request that has none.
#[tokio::test]
async fn other_verbs() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, OPEN);
    let http = gate.http();
    let call = modern_call(1, "a", json!({})).to_string();
    for verb in ["PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"] {
        let reply = http.send(verb, &[], call.as_bytes()).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, POST, DELETE")), "{verb}");
    }
    for (verb, lines, expected) in [
        ("GET", &[][..], 400),
        ("DELETE", &[], 400),
        ("GET", &[("MCP-Protocol-Version", "2026-07-28")], 405),
        ("DELETE", &[("MCP-Protocol-Version", "2026-07-28")], 405),
        ("GET", &[("Accept", "application/json")], 406),
    ] {
        let reply = http.send(verb, lines, call.as_bytes()).await;
        assert_eq!(reply.status, expected, "{verb} {lines:?}");
        if expected == 405 {
            assert_eq!(reply.header("allow"), Some("POST"));
        }
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
}

/// Vector 50, in size.
#[tokio::test]
async fn how_much() {
    let upstream = upstream().await;
    let gate = Gate::bounded(
        &upstream,
        OPEN,
        &[("bounds.body", "2KiB"), ("bounds.headers", "20"), ("bounds.header_bytes", "8KiB")],
    );
    let call = |filling: usize| modern_call(1, "a", json!({ "x": "x".repeat(filling) })).to_string();
    let empty = call(0).len();
    let http = crate::gate::modern_headers(gate.http(), "tools/call", Some("a"));
    assert_eq!(http.post_text(&call(2048 - empty)).await.status, 200, "exactly at the bound");
    let reply = http.post_text(&call(2049 - empty)).await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));

    let head = post("/mcp/s", &[]).split_once("Content-Length").unwrap().0.to_owned();
    let mut client = gate.raw().await;
    client.send(format!("{head}Content-Length: 99999999999\r\n\r\n")).await;
    assert_eq!(client.response().await.unwrap().status, 413, "before a byte of it came");
    let mut client = gate.raw().await;
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n")).await;
    for _ in 0..3 {
        client.send(format!("400\r\n{}\r\n", " ".repeat(1024))).await;
    }
    assert_eq!(client.response().await.unwrap().status, 413, "in pieces");

    let many: Vec<(String, &str)> = (0..20).map(|n| (format!("X-{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(status(&gate, &post("/mcp/s", &many)).await.0, 431, "many headers");
    let long = "x".repeat(9000);
    assert_eq!(status(&gate, &post("/mcp/s", &[("X-Long", &long)])).await.0, 431, "long headers");
    assert_eq!(called(&upstream).len(), 1);
}

/// Vector 50, in time.
#[tokio::test]
async fn for_how_long() {
    let upstream = upstream().await;
    let gate = Gate::bounded(&upstream, OPEN, &[("bounds.header_timeout", "100ms"), ("bounds.body_timeout", "100ms")]);
    let whole = post("/mcp/s", &[]);

    let mut client = gate.raw().await;
    client.send(&whole[..whole.len() - 1]).await;
    let response = client.response().await.unwrap();
    assert_eq!(
        (response.status, response.header("connection")),
        (408, Some("close")),
        "the last byte of the body is missing"
    );
    assert!(client.rest().await.is_empty(), "closed");

    for head in ["", "P", "POST /mcp/s HTTP/1.1\r\nHost: localhost\r\n", "POST /mcp/s HTTP/1.1\r\nHost: local"] {
        let mut client = gate.raw().await;
        client.send(head).await;
        let said = client.rest().await;
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{head:?}: {}", String::from_utf8_lossy(&said));
    }
    assert!(called(&upstream).is_empty());
}

/// Vector 50, in number: of one peer, and of all.
#[tokio::test]
async fn connections_are_capped() {
    for bound in ["bounds.connections_per_peer", "bounds.connections"] {
        let upstream = upstream().await;
        let gate = Gate::bounded(&upstream, OPEN, &[(bound, "2")]);
        let mut first = gate.raw().await;
        let mut second = gate.raw().await;
        // An answer proves that the connection has its place.
        for client in [&mut first, &mut second] {
            client.send(post("/nowhere", &[])).await;
            assert_eq!(client.response().await.unwrap().status, 404);
        }
        let mut third = gate.raw().await;
        third.send(post("/mcp/s", &[])).await;
        assert!(third.rest().await.is_empty(), "{bound}: closed without a word");
        drop(first);
        patiently("a free place", async {
            loop {
                let mut again = gate.raw().await;
                again.send(post("/nowhere", &[])).await;
                if again.response().await.is_some() {
                    break;
                }
            }
        })
        .await;
        assert!(upstream.requests().is_empty());
    }
}

/// Two requests on one connection are two requests, each judged and answered in order.
#[tokio::test]
async fn pipelined_requests_are_each_judged() {
    let upstream = Recorder::start(|request| {
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": {} }))
    })
    .await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "tools": { "a": {} } }"#);
    let forbidden = post("/mcp/s", &[("Mcp-Name", "b")]).replace("\"name\":\"a\"", "\"name\":\"b\"");
    let mut client: RawClient = gate.raw().await;
    client.send(format!("{}{forbidden}{}", post("/mcp/s", &[]), post("/mcp/s", &[]))).await;
    for expected in [json!(null), json!(true), json!(null)] {
        assert_eq!(client.response().await.unwrap().json()["result"]["isError"], expected);
    }
    assert_eq!(called(&upstream), ["a", "a"]);
}
