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

/// The same, with the changes before it put aside: they come when they are in force, which may be before the act is on record as done.
async fn but_changes(stream: &mut Reply, changes: &mut Vec<Value>) -> (String, Value) {
    loop {
        match next(stream).await {
            (name, change) if name == "change" => changes.push(change),
            other => return other,
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
    let mut changes = Vec::new();
    for outcome in ["begun", "done"] {
        let (name, act) = but_changes(&mut stream, &mut changes).await;
        let told = (name.as_str(), &act["action"], &act["id"], &act["outcome"]);
        assert_eq!(told, ("act", &json!("agent.create"), &json!("a"), &json!(outcome)));
    }
    let token =
        stack.api().post("/api/v1/agents/a/tokens", &json!({})).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(but_changes(&mut stream, &mut changes).await.1["action"], "token.create");
    assert_eq!(but_changes(&mut stream, &mut changes).await.1["outcome"], "done");
    stack.call("s", &token, "other_tool").await;
    let (name, decision) = but_changes(&mut stream, &mut changes).await;
    assert_eq!(changes.len(), 2, "an agent's tokens are part of what it is: {changes:?}");
    assert!(changes.iter().all(|change| change["what"] == "agent" && change["id"] == "a"), "{changes:?}");
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
