//! Live events.

use serde_json::{Value, json};
use testkit::Reply;

use crate::stack::{Stack, agent, upstream};

/// The next event that has a name, and what it says.
async fn next(stream: &mut Reply) -> (String, Value) {
    loop {
        let event = stream.next_event().await.expect("the stream ended");
        if let Some(name) = &event.event {
            return (name.clone(), event.json());
        }
    }
}

#[tokio::test]
async fn decisions_and_changes_come_as_they_happen() {
    let upstream = upstream().await;
    let toml = format!("[servers.s]\nurl = \"{}\"\npolicy = \"policy.json\"\n", upstream.url("/mcp"));
    let stack = Stack::with(&toml).await;
    let mut stream = stack.api().reply("GET", "/api/v1/events", None).await;
    assert_eq!((stream.status, stream.header("content-type")), (200, Some("text/event-stream")));
    // The first beat says that from here on nothing is missed.
    stream.next_piece().await.unwrap().unwrap();
    stack.api().make("/api/v1/agents/a", &agent()).await;
    for outcome in ["begun", "done"] {
        let (name, act) = next(&mut stream).await;
        let told = (name.as_str(), &act["action"], &act["id"], &act["outcome"]);
        assert_eq!(told, ("act", &json!("agent.create"), &json!("a"), &json!(outcome)));
    }
    let (name, change) = next(&mut stream).await;
    assert_eq!((name.as_str(), &change["what"], &change["id"]), ("change", &json!("agent"), &json!("a")), "{change}");
    let token =
        stack.api().post("/api/v1/agents/a/tokens", &json!({})).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(next(&mut stream).await.1["action"], "token.create");
    assert_eq!(next(&mut stream).await.1["outcome"], "done");
    assert_eq!(next(&mut stream).await.1["what"], "agent", "its tokens are part of what it is");
    stack.call("s", &token, "other_tool").await;
    let (name, decision) = next(&mut stream).await;
    assert_eq!(
        (name.as_str(), &decision["agent"], &decision["outcome"]),
        ("decision", &json!("a"), &json!("denied")),
        "{decision}"
    );
    assert!(!decision.to_string().contains(&token));
}

#[tokio::test]
async fn so_many_may_listen_and_no_more() {
    let stack = Stack::start().await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(stack.api().reply("GET", "/api/v1/events", None).await);
    }
    assert!(streams.iter().all(|stream| stream.status == 200));
    let refused = stack.api().reply("GET", "/api/v1/events", None).await.whole().await;
    crate::stack::problem(&refused, 503, "too_many_streams");
}
