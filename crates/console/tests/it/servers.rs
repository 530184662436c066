//! Servers that come and go while the gateway runs.

use serde_json::json;

use crate::stack::{OPEN, STRICT, Stack, agent, problem, text, upstream};

#[tokio::test]
async fn a_server_is_called_as_soon_as_it_is_there() {
    let (upstream, stack) = (upstream().await, Stack::start().await);
    stack.api().make("/api/v1/policies/p", &json!({ "text": STRICT })).await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let token =
        stack.api().post("/api/v1/agents/a/tokens", &json!({})).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(stack.call("s", &token, "allowed_tool").await.status, 404);
    let server = json!({ "document": { "url": upstream.url("/mcp") }, "policy": "p" });
    stack.api().make("/api/v1/servers/s", &server).await;
    let passed = stack.call("s", &token, "allowed_tool").await;
    assert_eq!(passed.status, 200, "{}", text(&passed));
    assert_eq!(stack.call("s", &token, "other_tool").await.json()["result"]["isError"], true);
    // Another version of its policy is in force with the answer.
    let open = stack.api().seen("*").put("/api/v1/policies/p", &json!({ "text": OPEN })).await;
    assert_eq!(open.status, 200, "{}", text(&open));
    assert_ne!(stack.call("s", &token, "other_tool").await.json()["result"]["isError"], true);
    let back = stack.api().seen("*").post("/api/v1/policies/p/activate", &json!({ "version": 1 })).await;
    assert_eq!((back.status, &back.json()["active"]), (200, &json!(1)), "{}", text(&back));
    assert_eq!(stack.call("s", &token, "other_tool").await.json()["result"]["isError"], true);
    assert_eq!(stack.api().seen("*").delete("/api/v1/servers/s").await.status, 204);
    assert_eq!(stack.call("s", &token, "allowed_tool").await.status, 404);
}

#[tokio::test]
async fn what_the_gateway_would_not_take_is_not_kept() {
    let stack = Stack::start().await;
    let api = stack.api().creating();
    for (id, body) in [
        ("s", json!({ "document": { "url": "ftp://nowhere" } })),
        ("s", json!({ "document": {} })),
        ("s", json!({ "document": { "url": "http://127.0.0.1:1/mcp", "colour": "red" } })),
        ("s", json!({ "document": { "url": "http://127.0.0.1:1/mcp" }, "policy": "none" })),
        ("Not_An_Id", json!({ "document": { "url": "http://127.0.0.1:1/mcp" } })),
    ] {
        let refused = api.put(&format!("/api/v1/servers/{id}"), &body).await;
        problem(&refused, 422, "invalid");
        problem(&stack.api().get(&format!("/api/v1/servers/{id}")).await, 404, "not_found");
    }
}

#[tokio::test]
async fn secrets_are_not_shown_and_come_back_as_they_were() {
    let (upstream, stack) = (upstream().await, Stack::start().await);
    let oauth = json!({ "token_url": "https://id.example/t", "client_id": "g", "client_secret": "canary-2" });
    let agents = json!({ "a": { "headers": { "X-Key": "canary-3" } }, "b": { "oauth": oauth } });
    let document = json!({
        "url": upstream.url("/mcp"), "headers": { "X-Key": "canary-1" }, "oauth": oauth, "agents": agents,
    });
    let made = stack.api().creating().put("/api/v1/servers/s", &json!({ "document": document })).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let shown = stack.api().get("/api/v1/servers/s").await;
    let listed = stack.api().get("/api/v1/servers").await;
    for answer in [&made, &shown, &listed] {
        assert!(!text(answer).contains("canary"), "{}", text(answer));
    }
    let put = json!({ "document": shown.json()["document"], "enabled": false });
    assert_eq!(stack.api().seen("*").put("/api/v1/servers/s", &put).await.status, 200);
    let kept = stack.store.get::<store::Server>("s").await.unwrap().value;
    assert_eq!(kept.document, document);
    for moved in [json!({ "resolve": { "h.test": "192.0.2.1" } }), json!({ "transport": "sse" })] {
        let mut moved = json!({ "document": moved });
        moved["document"]["url"] = document["url"].clone();
        moved["document"]["oauth"] = shown.json()["document"]["oauth"].clone();
        let refused = stack.api().seen("*").put("/api/v1/servers/s", &moved).await;
        problem(&refused, 422, "invalid");
        assert!(text(&refused).contains("/document/oauth/client_secret"), "{}", text(&refused));
    }
    let moved = json!({ "document": { "url": "http://127.0.0.1:1/", "headers": { "X-Key": "***" } } });
    problem(&stack.api().seen("*").put("/api/v1/servers/s", &moved).await, 422, "invalid");
}
