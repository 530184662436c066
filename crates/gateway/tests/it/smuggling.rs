//! Vector 44: a second request hidden in the framing of the first. It never runs, and where the framing is in doubt the
//! connection ends.

use serde_json::json;
use testkit::Recorder;

use crate::gate::{Gate, STRICT, called, methods, modern_call, tool};

/// A call of `name` as one HTTP request, whole and lawful.
fn request(name: &str) -> String {
    let body = modern_call(1, name, json!({})).to_string();
    format!("{}Content-Length: {}\r\n\r\n{body}", head(name), body.len())
}

/// Its head without the framing.
fn head(name: &str) -> String {
    format!(
        "POST /mcp/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {name}\r\n"
    )
}

/// Sends it all, and returns the statuses of what was answered until the gateway closed the connection.
async fn statuses(gate: &Gate, bytes: &str) -> Vec<u16> {
    let mut client = gate.raw().await;
    client.send(bytes).await;
    let mut statuses = Vec::new();
    while let Some(response) = client.response().await {
        statuses.push(response.status);
    }
    statuses
}

#[tokio::test]
async fn a_hidden_request_never_runs() {
    // Everything is allowed, so that only the framing can stop the hidden call.
    let upstream = Recorder::mcp([tool("allowed_tool"), tool("hidden_tool")]).await;
    let gate = Gate::before(&upstream, crate::gate::OPEN);
    let body = modern_call(1, "allowed_tool", json!({})).to_string();
    let (length, hidden) = (body.len(), request("hidden_tool"));
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let bad_chunk = format!("{length:x}\n{body}\r\n0\r\n\r\n");
    let both = length + hidden.len();
    let a = head("allowed_tool");
    for (name, bytes, expected) in [
        (
            "two lengths",
            format!("{a}Content-Length: {length}\r\nContent-Length: {both}\r\n\r\n{body}{hidden}"),
            &[400][..],
        ),
        ("two lengths in a line", format!("{a}Content-Length: {length}, {both}\r\n\r\n{body}{hidden}"), &[400]),
        ("a length with a sign", format!("{a}Content-Length: +{length}\r\n\r\n{body}{hidden}"), &[400]),
        ("a length that is no number", format!("{a}Content-Length: 0x10\r\n\r\n{body}{hidden}"), &[400]),
        // RFC 9112, 6.3: Transfer-Encoding counts, and the connection ends after the answer.
        (
            "CL.TE",
            format!("{a}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}{hidden}"),
            &[200],
        ),
        ("TE.CL", format!("{a}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}{hidden}"), &[200]),
        ("TE last is not chunked", format!("{a}Transfer-Encoding: chunked, gzip\r\n\r\n{chunked}{hidden}"), &[400]),
        ("TE: xchunked", format!("{a}Transfer-Encoding: xchunked\r\n\r\n{chunked}{hidden}"), &[400]),
        (
            "TE: identity",
            format!("{a}Transfer-Encoding: identity\r\nContent-Length: {length}\r\n\r\n{body}{hidden}"),
            &[400],
        ),
        ("a blank before the colon", format!("{a}Transfer-Encoding : chunked\r\n\r\n{chunked}{hidden}"), &[400]),
        ("a folded header", format!("{a}X: 1\r\n Transfer-Encoding: chunked\r\n\r\n{chunked}{hidden}"), &[400]),
        ("a chunk size ended by LF", format!("{a}Transfer-Encoding: chunked\r\n\r\n{bad_chunk}{hidden}"), &[400]),
        (
            "a chunk size too large",
            format!("{a}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{body}{hidden}"),
            &[400],
        ),
        (
            "a chunk longer than said",
            format!("{a}Transfer-Encoding: chunked\r\n\r\n1\r\n{body}\r\n0\r\n\r\n{hidden}"),
            &[400],
        ),
        (
            "HTTP/1.0 with Transfer-Encoding",
            format!("{}Transfer-Encoding: chunked\r\n\r\n{chunked}{hidden}", a.replace("HTTP/1.1", "HTTP/1.0")),
            &[400],
        ),
        ("HTTP/2 in clear", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}"), &[]),
        (
            "an upgrade",
            format!("{a}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {length}\r\n\r\n{body}{hidden}"),
            &[400],
        ),
    ] {
        let before = called(&upstream).len();
        let got = statuses(&gate, &bytes).await;
        let calls = called(&upstream);
        assert!(!calls.contains(&"hidden_tool".to_owned()), "{name}: the hidden call ran");
        assert_eq!(calls.len() - before, expected.iter().filter(|status| **status == 200).count(), "{name}");
        match expected {
            [] => assert!(got.iter().all(|status| *status == 400), "{name}: {got:?}"),
            expected => assert_eq!(got, expected, "{name}"),
        }
    }
}

/// A last request, of which the connection ends if it has not ended before.
const LAST: &str = "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// The body of a request that has none for us is no request.
#[tokio::test]
async fn a_body_that_nobody_reads_is_not_the_next_request() {
    let upstream = Recorder::mcp([tool("allowed_tool"), tool("hidden_tool")]).await;
    let gate = Gate::before(&upstream, crate::gate::OPEN);
    let hidden = request("hidden_tool");
    for verb in ["GET", "DELETE", "PUT", "OPTIONS"] {
        let bytes = format!(
            "{verb} /mcp/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{hidden}{LAST}",
            hidden.len()
        );
        let got = statuses(&gate, &bytes).await;
        assert!(matches!(got.as_slice(), [400 | 405] | [400 | 405, 404]), "{verb}: {got:?}");
    }
    let early = head("x").replace("application/json\r", "text/plain\r");
    let got = statuses(&gate, &format!("{early}Content-Length: {}\r\n\r\n{hidden}{LAST}", hidden.len())).await;
    assert!(matches!(got.as_slice(), [415] | [415, 404]), "{got:?}");
    let got = statuses(&gate, &format!("CONNECT {} HTTP/1.1\r\nHost: localhost\r\n\r\n{LAST}", upstream.addr())).await;
    assert!(matches!(got.as_slice(), [404] | [404, 404]), "no tunnel: {got:?}");
    assert!(methods(&upstream).is_empty(), "{:?}", methods(&upstream));
}

/// And a lawful second request on the same connection is judged like the first.
#[tokio::test]
async fn what_is_no_longer_hidden_is_judged() {
    let upstream = Recorder::mcp([tool("allowed_tool"), tool("hidden_tool")]).await;
    let gate = Gate::before(&upstream, STRICT);
    let got = statuses(&gate, &format!("{}{}{LAST}", request("hidden_tool"), request("allowed_tool"))).await;
    assert_eq!(got, [200, 200, 404]);
    assert_eq!(called(&upstream), ["allowed_tool"]);
}
