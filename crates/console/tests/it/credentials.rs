//! What servers want to see: told once, sealed, and never shown again.

use serde_json::json;

use crate::stack::{OPEN, Stack, agent, problem, text, upstream};

#[tokio::test]
async fn a_credential_is_shown_to_its_server_and_to_nobody_else() {
    let (upstream, stack) = (upstream().await, Stack::start().await);
    stack.api().make("/api/v1/policies/p", &json!({ "text": OPEN })).await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let token = stack.api().post("/api/v1/agents/a/tokens", &json!({})).await.json()["token"].clone();
    let server = json!({ "document": { "url": upstream.url("/mcp") }, "policy": "p" });
    stack.api().make("/api/v1/servers/s", &server).await;
    let put = json!({ "server": "s", "kind": "headers", "value": { "Authorization": "Bearer canary-1" } });
    let made = stack.api().creating().put("/api/v1/credentials/c", &put).await;
    assert_eq!((made.status, &made.json()["hint"]), (201, &json!("authorization")), "{}", text(&made));
    let own = json!({ "server": "s", "agent": "a", "kind": "oauth",
        "value": { "token_url": "https://id.example/token", "client_id": "gate", "client_secret": "canary-2" } });
    let own = stack.api().creating().put("/api/v1/credentials/own", &own).await;
    assert_eq!(own.json()["hint"], "client `gate` at id.example/token", "{}", text(&own));
    assert_eq!(stack.api().seen("*").delete("/api/v1/credentials/own").await.status, 204);
    let shown = [stack.api().get("/api/v1/credentials").await, stack.api().get("/api/v1/credentials/c").await];
    for answer in [&made, &own].into_iter().chain(&shown) {
        assert!(!text(answer).contains("canary"), "{}", text(answer));
    }
    let kept = stack.store.get::<store::Credential>("c").await.unwrap().value;
    assert!(!kept.sealed.windows(6).any(|bytes| bytes == b"canary"));
    let passed = stack.call("s", token.as_str().unwrap(), "allowed_tool").await;
    assert_eq!(passed.status, 200, "{}", text(&passed));
    let seen = upstream.requests().pop().unwrap();
    assert_eq!(seen.header("authorization"), Some("Bearer canary-1"));
}

#[tokio::test]
async fn what_would_be_of_no_use_is_not_kept() {
    let (upstream, stack) = (upstream().await, Stack::start().await);
    let server = json!({ "document": { "url": upstream.url("/mcp"), "headers": { "X-Key": "k" } } });
    stack.api().make("/api/v1/servers/s", &server).await;
    let api = stack.api().creating();
    for (server, kind, value) in [
        ("s", "headers", json!({ "X-Key": "canary" })),
        ("s", "headers", json!({ "Authorization": { "file": "/etc/canary" } })),
        ("s", "tokens", json!({ "Authorization": "canary" })),
        ("s", "oauth", json!({ "client_secret": "canary" })),
        ("none", "headers", json!({ "Authorization": "canary" })),
    ] {
        let put = json!({ "server": server, "kind": kind, "value": value });
        let refused = api.put("/api/v1/credentials/c", &put).await;
        problem(&refused, 422, "invalid");
        assert!(!text(&refused).contains("canary\""), "{}", text(&refused));
        problem(&stack.api().get("/api/v1/credentials/c").await, 404, "not_found");
    }
    // One for each server, whatever it is called; and none that moves with its server.
    let put = json!({ "server": "s", "kind": "headers", "value": { "Authorization": "Bearer x" } });
    assert_eq!(api.put("/api/v1/credentials/c", &put).await.status, 201);
    problem(&api.put("/api/v1/credentials/d", &put).await, 409, "exists");
    let moved = json!({ "document": { "url": "http://127.0.0.1:1/mcp" } });
    problem(&stack.api().seen("*").put("/api/v1/servers/s", &moved).await, 422, "invalid");
}

#[tokio::test]
async fn what_cannot_be_read_is_not_said_again() {
    let stack = Stack::start().await;
    for body in [
        json!({ "server": "s", "kind": "headers", "value": "canary" }),
        json!({ "server": "s", "kind": "headers", "value": "canary, expected one" }),
        json!({ "server": "s", "kind": { "canary": 1 }, "value": {} }),
        json!("canary"),
    ] {
        let refused = stack.api().creating().put("/api/v1/credentials/c", &body).await;
        problem(&refused, 422, "invalid");
        assert!(text(&refused).contains("expected") && !text(&refused).contains("canary"), "{}", text(&refused));
    }
}

#[tokio::test]
async fn a_credential_stays_its_servers_and_its_agents() {
    let (upstream, stack) = (upstream().await, Stack::start().await);
    for id in ["s", "t"] {
        stack
            .api()
            .make(&format!("/api/v1/servers/{id}"), &json!({ "document": { "url": upstream.url("/mcp") } }))
            .await;
    }
    let put = |server: &str, agent: Option<&str>| json!({ "server": server, "agent": agent, "kind": "headers", "value": { "X-Key": "k" } });
    stack.api().make("/api/v1/credentials/c", &put("s", None)).await;
    for (server, agent, at) in [("t", None, "/server"), ("s", Some("a"), "/agent")] {
        let refused = stack.api().seen("*").put("/api/v1/credentials/c", &put(server, agent)).await;
        problem(&refused, 422, "invalid");
        assert!(text(&refused).contains(at) && text(&refused).contains("use another id"), "{}", text(&refused));
    }
    assert_eq!(stack.api().seen("*").put("/api/v1/credentials/c", &put("s", None)).await.status, 200);
}

#[tokio::test]
async fn a_node_with_another_key_seals_nothing() {
    let (upstream, stack) = (upstream().await, Stack::start().await);
    let key = gateway::Vault::read(&gateway::Vault::new_key().unwrap()).unwrap();
    let sealed = key.seal(&["credential", "s", "", "headers"], b"{}").unwrap();
    let (server, kind, hint) = ("s".to_owned(), "headers".to_owned(), String::new());
    stack.store.create("other", store::Credential { server, agent: None, kind, sealed, hint }).await.unwrap();
    stack.api().make("/api/v1/servers/s", &json!({ "document": { "url": upstream.url("/mcp") } })).await;
    let put = json!({ "server": "s", "agent": "a", "kind": "headers", "value": { "X-Key": "k" } });
    let refused = stack.api().creating().put("/api/v1/credentials/c", &put).await;
    problem(&refused, 409, "not_available");
    assert!(text(&refused).contains("store.key"), "{}", text(&refused));
    assert_eq!(stack.api().seen("*").delete("/api/v1/credentials/other").await.status, 204);
    assert_eq!(stack.api().creating().put("/api/v1/credentials/c", &put).await.status, 201);
}
