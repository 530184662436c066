//! Who comes in: whoever shows a good token, in the one way there is, at every door.

use serde_json::json;
use testkit::{HttpClient, Recorder};

use super::{Known, before, known};
use crate::gate::{OPEN, Plan, called, methods, modern_call, modern_headers, tool};

const INVALID: Option<&str> = Some("Bearer error=\"invalid_token\"");
const MALFORMED: Option<&str> = Some("Bearer error=\"invalid_request\"");
const NOTHING: Option<&str> = Some("Bearer");

#[tokio::test]
async fn a_good_token_comes_in_and_nothing_else_does() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let (alice, old, stranger) = (Known::new("alice"), Known::new("old").expired(), Known::new("stranger"));
    let gate = before(&upstream, OPEN, &[&alice, &old]);
    let good = alice.shown();
    let own = alice.token.text();
    let cases: Vec<(Vec<String>, u16, Option<&str>)> = vec![
        (vec![], 401, NOTHING),
        (vec!["Basic YWxpY2U6".into()], 401, NOTHING),
        (vec![own.into()], 401, NOTHING),
        (vec![format!("Token {own}")], 401, NOTHING),
        (vec![stranger.shown()], 401, INVALID),
        (vec![old.shown()], 401, INVALID),
        (vec!["Bearer x".into()], 401, INVALID),
        (vec![format!("Bearer {own}x")], 401, INVALID),
        (vec![format!("Bearer {}", &own[..45])], 401, INVALID),
        (vec![format!("Bearer {}", own.to_uppercase())], 401, INVALID),
        (vec![format!("Bearer {}", alice.token.sha256_hex())], 401, INVALID),
        (vec![good.clone(), good.clone()], 400, MALFORMED),
        (vec!["Basic YWxpY2U6".into(), good.clone()], 400, MALFORMED),
        (vec![format!("bearer  {own}")], 200, None),
        (vec![good.clone()], 200, None),
    ];
    for (lines, status, challenge) in &cases {
        let http = lines.iter().fold(gate.http(), |http, line| http.header("Authorization", line));
        let reply = modern_headers(http, "tools/call", Some("a")).post(&modern_call(1, "a", json!({}))).await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (*status, *challenge), "{lines:?}");
    }
    assert_eq!(called(&upstream), ["a", "a"], "what was refused did not leave");
}

/// Whether a token was ever one, nobody learns.
#[tokio::test]
async fn unknown_and_expired_tokens_are_answered_alike_to_the_byte() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let (alice, old) = (Known::new("alice"), Known::new("old").expired());
    let gate = before(&upstream, OPEN, &[&alice, &old]);
    let mut answers = Vec::new();
    for shown in [Known::new("stranger").shown(), old.shown(), "Bearer tg_x".into()] {
        let reply = gate.http().header("Authorization", &shown).post(&modern_call(1, "a", json!({}))).await;
        let headers: Vec<_> = reply.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
        answers.push((reply.status, headers, String::from_utf8(reply.body.clone()).unwrap()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(answers[0].2.contains("the token is not valid"), "{answers:?}");
}

/// Vectors 60 to 62 begin at whichever door is not guarded.
#[tokio::test]
async fn every_door_asks_before_anything_else() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let alice = Known::new("alice");
    let gate = before(&upstream, OPEN, &[&alice]);
    for path in
        ["/mcp/s", "/mcp/nowhere", "/mcp", "/sse", "/sse/s", "/sse/s/message?id=1", "/sse/message?id=1", "/", "/x"]
    {
        for verb in ["GET", "POST", "DELETE", "PUT", "OPTIONS"] {
            let http = HttpClient::new(format!("http://{}{path}", gate.data)).header("Origin", "http://evil.example");
            let reply = http.send(verb, &[("Content-Type", "text/plain")], b"").await.whole().await;
            let said = reply.header("www-authenticate");
            assert_eq!((reply.status, said), (401, Some("Bearer")), "{verb} {path}");
        }
    }
    assert_eq!(methods(&upstream).len(), 0);
    // The admin listener has its own ways.
    assert_eq!(gate.admin("/healthz").await.status, 200);
}

/// The body of somebody who is not let in is not waited for.
#[tokio::test]
async fn the_refusal_comes_before_the_body() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let alice = Known::new("alice");
    let gate = before(&upstream, OPEN, &[&alice]);
    let mut raw = gate.raw().await;
    let head =
        "POST /mcp/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n";
    raw.send(head).await;
    assert_eq!(raw.response().await.unwrap().status, 401);
}

/// Vector 67 the other way round: what stands in a query ends up in everybody's logs.
#[tokio::test]
async fn a_token_in_the_query_is_refused_even_beside_a_good_one() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let alice = Known::new("alice");
    let gate = before(&upstream, OPEN, &[&alice]);
    for query in
        [format!("access_token={}", alice.token.text()), format!("k={}", alice.token.text()), "access_token=".into()]
    {
        let http = HttpClient::new(format!("{}?{query}", gate.url("s")));
        for http in [HttpClient::new(format!("{}?{query}", gate.url("s"))), alice.shows(http)] {
            let reply = modern_headers(http, "tools/call", Some("a")).post(&modern_call(1, "a", json!({}))).await;
            assert_eq!((reply.status, reply.header("www-authenticate")), (400, MALFORMED), "{query}");
        }
    }
    assert_eq!(called(&upstream).len(), 0);
}

/// While one is replaced by another, both are good.
#[tokio::test]
async fn tokens_overlap_while_they_rotate() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let (old, new) = (Known::new("ci"), Known::new("ci"));
    let both = format!(
        "[agents.ci]\ntokens = [{{ sha256 = \"{}\", label = \"old\" }}, {{ sha256 = \"{}\", label = \"new\" }}]",
        old.token.sha256_hex(),
        new.token.sha256_hex()
    );
    let limited = r#"{ "version": "1", "default": "allow", "all_tools": { "rate_limit": "2/hour" } }"#;
    let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", limited);
    let gate = known(plan, &[]).toml(&both).start();
    for (agent, fine) in [(&old, true), (&new, true), (&new, false), (&old, false)] {
        let answer = agent.modern(&gate).call("a", json!({})).await;
        assert_eq!(answer["result"]["isError"] != true, fine, "one agent, one count: {answer}");
    }
}
