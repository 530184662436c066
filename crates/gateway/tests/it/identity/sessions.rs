//! A session is its agent's: to anybody else it is one that never was (vectors 60 to 64).

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient, Recorder, patiently};

use super::{Known, before, known};
use crate::gate::{OPEN, Plan, called, methods, streamed, tool};

async fn opened(http: HttpClient) -> (String, HttpClient) {
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {} } });
    let reply = http.post(&hello).await;
    let id = reply.header("mcp-session-id").unwrap().to_owned();
    let http = http.header("MCP-Protocol-Version", "2025-11-25").header("Mcp-Session-Id", &id);
    (id, http)
}

fn call() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "a" } })
}

/// Vector 62, at the server's own mount and at the aggregate.
#[tokio::test]
async fn a_stolen_session_id_opens_nothing() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let gate = before(&upstream, OPEN, &[&alice, &bob]);
    for (url, tool) in [(gate.url("s"), "a"), (format!("http://{}/mcp", gate.data), "s__a")] {
        let (id, own) = opened(alice.shows(HttpClient::new(&url))).await;
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
        let before = methods(&upstream).len();
        let theirs = |id: &str| {
            bob.shows(HttpClient::new(&url)).header("MCP-Protocol-Version", "2025-11-25").header("Mcp-Session-Id", id)
        };
        let unknown = "0".repeat(id.len());
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        let batch = format!("[{call}]");
        for body in [call.to_string().as_str(), notice, answer, &batch] {
            let (stolen, none) =
                (theirs(&id).post_text(body).await.whole().await, theirs(&unknown).post_text(body).await.whole().await);
            assert!(stolen.status == 404 || body == batch && stolen.status == 400, "{url} {body}: {}", stolen.status);
            assert_eq!((stolen.status, &stolen.body), (none.status, &none.body), "{url} {body}");
        }
        for verb in ["GET", "DELETE"] {
            let accept = [("Accept", "text/event-stream")];
            let stolen = theirs(&id).send(verb, &accept, b"").await.whole().await;
            let none = theirs(&unknown).send(verb, &accept, b"").await.whole().await;
            assert_eq!((stolen.status, &stolen.body), (404, &none.body), "{url} {verb}");
        }
        assert_eq!(methods(&upstream).len(), before, "nothing of it went up");
        let answer = own.post(&call).await.json();
        assert!(answer["result"].is_object(), "the session is alive, and its agent's: {answer}");
    }
}

#[tokio::test]
async fn a_session_id_without_a_token_opens_nothing() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let alice = Known::new("alice");
    let gate = before(&upstream, OPEN, &[&alice]);
    let (id, _own) = opened(alice.http(&gate)).await;
    let reply = gate.http().header("Mcp-Session-Id", &id).post(&call()).await;
    assert_eq!(reply.status, 401);
    assert_eq!(called(&upstream).len(), 0);
}

/// The old transport: what is posted for another agent's stream.
#[tokio::test]
async fn a_stolen_stream_takes_nothing() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let gate = before(&upstream, OPEN, &[&alice, &bob]);
    let at = |path: &str| HttpClient::new(format!("http://{}{path}", gate.data));
    let mut stream = alice.shows(at("/sse/s")).get().await;
    let endpoint = stream.next_event().await.unwrap();
    let endpoint = String::from_utf8(endpoint.data.into()).unwrap();
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2024-11-05", "capabilities": {} } });
    let stolen = bob.shows(at(&endpoint)).post(&hello).await;
    let unknown = bob.shows(at("/sse/s/message?id=0")).post(&hello).await;
    assert_eq!((stolen.status, &stolen.body), (404, &unknown.body));
    assert_eq!(alice.shows(at(&endpoint)).post(&hello).await.status, 202);
    let answer = stream.next_event().await.unwrap();
    assert!(answer.json()["result"].is_object());
}

/// Vector 64: by session, by address, by era, by name.
#[tokio::test]
async fn no_session_or_name_refreshes_a_count() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let limited = r#"{ "version": "1", "default": "allow", "all_tools": { "limits": [{ "max": 3, "window": "1h" }] },
        "tools": { "b": { "limits": [{ "max": 1, "window": "1h", "per": "session" }] } } }"#;
    let gate = before(&upstream, limited, &[&alice, &bob]);
    let mut passed = 0;
    for n in 0..1_000 {
        let http = alice.http(&gate);
        let (_, session) = opened(http.header("User-Agent", &n.to_string())).await;
        let answer = session.post(&call()).await.json();
        passed += usize::from(answer["result"]["isError"] != true);
        session.send("DELETE", &[], b"").await.whole().await;
    }
    assert_eq!(passed, 3);
    assert_eq!(alice.modern(&gate).call("a", json!({})).await["result"]["isError"], true, "nor does the other era");
    let aggregate = alice.shows(HttpClient::new(format!("http://{}/mcp", gate.data)));
    assert_eq!(
        McpClient::modern(aggregate).call("s__a", json!({})).await["result"]["isError"],
        true,
        "nor the aggregate"
    );
    assert!(
        bob.modern(&gate).call("a", json!({})).await["result"]["isError"] != true,
        "another agent's count is its own"
    );
    // A session is no agent: one that is known is counted as itself.
    let mut passed = 0;
    for _ in 0..10 {
        let session = bob.legacy(&gate).await;
        passed += usize::from(session.call("b", json!({})).await["result"]["isError"] != true);
    }
    assert_eq!(passed, 1);
}

/// Whatever it waits for: the end of the token is the end of the stream, and of the request.
#[tokio::test]
async fn what_is_under_way_ends_with_the_token() {
    let upstream = Recorder::by_hand().await;
    let soon = Known::new("soon").for_only(std::time::Duration::from_millis(1_500));
    let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
    let gate = known(plan, &[&soon]).start();
    let client = soon.modern(&gate);
    let waits = async {
        let (reply, _, stream) =
            streamed(&upstream, client.start(1, "tools/call", json!({ "name": "a", "arguments": {} }))).await;
        let rest = patiently("the stream to end", reply.whole()).await;
        assert!(!String::from_utf8_lossy(&rest.body).contains("result"), "no answer");
        stream
    };
    let held = waits.await;
    // Its connection is gone, and a new request finds the token expired.
    let reply = soon.http(&gate).post(&json!({})).await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer error=\"invalid_token\"")));
    drop(held);
}

#[tokio::test]
async fn a_request_that_waits_for_its_answer_ends_with_the_token() {
    let upstream = Recorder::by_hand().await;
    let soon = Known::new("soon").for_only(std::time::Duration::from_millis(1_500));
    let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
    let gate = known(plan, &[&soon]).start();
    let client = soon.modern(&gate);
    let (reply, ()) = tokio::join!(client.start(1, "tools/call", json!({ "name": "a", "arguments": {} })), async {
        crate::gate::next_call(&upstream).await.hung_up().await;
    });
    let reply = reply.whole().await;
    assert_eq!(reply.status, 401);
}
