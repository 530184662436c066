//! A token is seen by the gateway alone: not by logs, the journal, upstreams, or whoever reads an answer (vectors 67, 106).

use serde_json::json;
use testkit::{HttpClient, McpClient, RawResponse, Recorder};

use super::{Known, known};
use crate::audit::records;
use crate::canary::{capture, log};
use crate::gate::{OPEN, Plan, modern_call, modern_headers, tool};

#[tokio::test]
async fn no_token_is_seen_anywhere() {
    capture();
    let upstream = Recorder::mcp([tool("a")]).await;
    let (alice, old, stranger) = (Known::new("alice"), Known::new("old").expired(), Known::new("stranger"));
    let plan = Plan::default()
        .server("s", upstream.url("/mcp"), "p.json")
        .server("gone", "http://127.0.0.1:1/mcp", "p.json")
        .policy("p.json", OPEN);
    let gate = known(plan, &[&alice, &old]).start();
    let mut told: Vec<RawResponse> = Vec::new();
    let call = |tool: &str| modern_call(1, tool, json!({}));
    for agent in [&alice, &old, &stranger] {
        let text = agent.token.text();
        for line in [
            format!("Bearer {text}"),
            format!("Basic {text}"),
            format!("Bearer {text}x"),
            text.to_owned(),
            format!("Bearer {text}, Bearer {text}"),
        ] {
            for path in ["/mcp/s", "/mcp/gone", "/mcp/nowhere", "/mcp", "/sse/nowhere"] {
                let http = HttpClient::new(format!("http://{}{path}", gate.data)).header("Authorization", &line);
                let http = http.header("Proxy-Authorization", &line).header("Cookie", &line);
                let name = if path == "/mcp" { "s__a" } else { "a" };
                told.push(modern_headers(http, "tools/call", Some(name)).post(&call(name)).await);
            }
        }
        for query in [format!("access_token={text}"), format!("x={text}"), text.to_owned()] {
            let http = HttpClient::new(format!("{}?{query}", gate.url("s")));
            told.push(agent.shows(http).post(&call("a")).await);
        }
        let twice = agent.shows(agent.http(&gate));
        told.push(twice.post(&call("a")).await);
    }
    let session = McpClient::legacy(alice.http(&gate)).await;
    session.call("a", json!({})).await;
    session.http().send("DELETE", &[], b"").await.whole().await;
    gate.ready().await;

    let records: String = records(&gate).iter().map(|record| record.to_string()).collect();
    let sent: String = upstream
        .requests()
        .iter()
        .map(|request| format!("{:?} {} {}", request.headers, request.target, String::from_utf8_lossy(&request.body)))
        .collect();
    let answers: String =
        told.iter().map(|reply| format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body))).collect();
    assert!(sent.contains("tools/call") && records.contains("unauthorized") && answers.contains("not valid"));
    for agent in [&alice, &old, &stranger] {
        // Not even enough of it to make guessing the rest worth while.
        let part = &agent.token.text()[9..25];
        let places = [("journal", &records), ("upstream", &sent), ("answers", &answers), ("log", &log())];
        for (place, text) in places {
            assert!(!text.contains(part) && !text.contains(&agent.token.sha256_hex()), "{place}");
        }
    }
    assert!(log().contains("alice"), "the log was looked at");
}
