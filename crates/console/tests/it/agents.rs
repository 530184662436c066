//! Agents and their tokens, as the next call at the gateway meets them.

use serde_json::{Value, json};
use testkit::RawResponse;

use crate::stack::{Stack, agent, problem, tag, text, upstream};

/// An agent, and its token with what else was said of it.
async fn made(stack: &Stack) -> Value {
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let made = stack.api().post("/api/v1/agents/a/tokens", &json!({ "label": "one" })).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    made.json()
}

async fn gate() -> (testkit::Recorder, Stack) {
    let upstream = upstream().await;
    let toml = format!("[servers.s]\nurl = \"{}\"\npolicy = \"policy.json\"\n", upstream.url("/mcp"));
    (upstream, Stack::with(&toml).await)
}

#[track_caller]
fn passes(reply: &RawResponse) {
    assert_eq!(reply.status, 200, "{}", text(reply));
    assert!(reply.json()["result"].is_object(), "{}", text(reply));
}

#[tokio::test]
async fn a_token_works_from_the_next_call_on_until_it_is_revoked() {
    let (_upstream, stack) = gate().await;
    let token = made(&stack).await;
    let (secret, id) = (token["token"].as_str().unwrap(), token["id"].as_str().unwrap());
    assert!(secret.starts_with(token["prefix"].as_str().unwrap()));
    passes(&stack.call("s", secret, "allowed_tool").await);
    let path = format!("/api/v1/agents/a/tokens/{id}");
    let seen = stack.api().get(&path).await;
    assert!(!text(&seen).contains(secret), "shown once");
    let revoked = stack.api().seen(&tag(&seen)).delete(&path).await;
    assert!(revoked.json()["revoked"].is_string(), "{}", text(&revoked));
    assert_eq!(stack.call("s", secret, "allowed_tool").await.status, 401);
    // Revoked is for good.
    let rotated = stack.api().post(&format!("{path}/rotate"), &json!({ "overlap": "1h" })).await;
    problem(&rotated, 409, "in_use");
}

/// Nothing is good for longer because it was replaced.
#[tokio::test]
async fn a_new_token_is_good_for_as_long_as_the_old_one_was() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let stack = Stack::start().await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let expires = |shown: &Value| shown["expires"].as_str().map(|time| humantime::parse_rfc3339(time).unwrap());
    let old = stack.api().post("/api/v1/agents/a/tokens", &json!({ "expires_in": "90d" })).await.json();
    stack.later(10 * DAY);
    let at = |shown: &Value| format!("/api/v1/agents/a/tokens/{}/rotate", shown["id"].as_str().unwrap());
    let new = stack.api().post(&at(&old), &json!({ "overlap": "1h" })).await.json();
    let longer = expires(&new).unwrap().duration_since(expires(&old).unwrap()).unwrap().as_secs_f64() / 86_400.0;
    assert!((longer - 10.0).abs() < 0.01, "as long again: {old} {new}");
    let other = stack.api().post(&at(&new), &json!({ "overlap": "1h", "expires_in": "1h" })).await.json();
    assert!(expires(&other).unwrap() < expires(&new).unwrap());
    let ever = stack.api().post(&at(&other), &json!({ "overlap": "1h", "expires_in": "never" })).await.json();
    assert_eq!(expires(&ever), None);
    let still = stack.api().post(&at(&ever), &json!({ "overlap": "1h" })).await.json();
    assert_eq!(expires(&still), None, "it was good for ever");
    let short = stack.api().post("/api/v1/agents/a/tokens", &json!({ "expires_in": "1h" })).await.json();
    stack.later(11 * DAY);
    problem(&stack.api().post(&at(&short), &json!({ "overlap": "1h" })).await, 409, "in_use");
}

#[tokio::test]
async fn a_token_that_is_replaced_is_good_for_the_overlap() {
    let (_upstream, stack) = gate().await;
    let old = made(&stack).await;
    let path = format!("/api/v1/agents/a/tokens/{}/rotate", old["id"].as_str().unwrap());
    problem(&stack.api().post(&path, &json!({ "overlap": "31days" })).await, 422, "invalid");
    let new = stack.api().post(&path, &json!({ "overlap": "1h" })).await;
    assert_eq!(new.status, 201, "{}", text(&new));
    passes(&stack.call("s", old["token"].as_str().unwrap(), "allowed_tool").await);
    passes(&stack.call("s", new.json()["token"].as_str().unwrap(), "allowed_tool").await);
    problem(&stack.api().post(&path, &json!({ "overlap": "1h" })).await, 409, "exists");
    let newest = format!("/api/v1/agents/a/tokens/{}/rotate", new.json()["id"].as_str().unwrap());
    let last = stack.api().post(&newest, &json!({ "overlap": "0s" })).await.json();
    assert_eq!(stack.call("s", new.json()["token"].as_str().unwrap(), "allowed_tool").await.status, 401);
    passes(&stack.call("s", last["token"].as_str().unwrap(), "allowed_tool").await);
}

#[tokio::test]
async fn an_agent_that_is_off_or_gone_calls_nothing() {
    let (_upstream, stack) = gate().await;
    let token = made(&stack).await["token"].as_str().unwrap().to_owned();
    let put = |body: Value| {
        let api = stack.api().seen("*");
        async move { api.put("/api/v1/agents/a", &body).await.status }
    };
    assert_eq!(put(json!({ "servers": null, "enabled": false })).await, 200);
    assert_eq!(stack.call("s", &token, "allowed_tool").await.status, 401);
    assert_eq!(put(json!({ "servers": [] })).await, 200);
    assert_eq!(stack.call("s", &token, "allowed_tool").await.status, 404);
    assert_eq!(put(json!({ "servers": ["s"] })).await, 200);
    passes(&stack.call("s", &token, "allowed_tool").await);
    assert_eq!(stack.api().seen("*").delete("/api/v1/agents/a").await.status, 204);
    assert_eq!(stack.call("s", &token, "allowed_tool").await.status, 401);
}

#[tokio::test]
async fn a_token_is_its_agents() {
    let (_upstream, stack) = gate().await;
    let id = made(&stack).await["id"].as_str().unwrap().to_owned();
    stack.api().make("/api/v1/agents/b", &agent()).await;
    problem(&stack.api().get(&format!("/api/v1/agents/b/tokens/{id}")).await, 404, "not_found");
    problem(&stack.api().seen("*").delete(&format!("/api/v1/agents/b/tokens/{id}")).await, 404, "not_found");
    problem(&stack.api().post("/api/v1/agents/c/tokens", &json!({})).await, 404, "not_found");
}
