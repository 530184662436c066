//! Whatever goes wrong is a problem with a name.

use serde_json::json;

use crate::stack::{Stack, agent, problem, text};

#[tokio::test]
async fn every_error_is_a_problem() {
    let stack = Stack::start().await;
    let api = stack.api();
    problem(&stack.nobody().get("/nowhere").await, 404, "not_found");
    problem(&api.get("/api/v1/agents/none").await, 404, "not_found");
    let wrong = api.post("/api/v1/agents/a", &json!({})).await;
    problem(&wrong, 405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, PUT, DELETE"));
    let bare = stack.nobody().get("/api/v1/me").await;
    problem(&bare, 401, "unauthenticated");
    assert!(bare.header("www-authenticate").unwrap().starts_with("Bearer"));
    let plain = api.creating().with("content-type", "text/plain").reply("PUT", "/api/v1/agents/a", Some("{}")).await;
    problem(&plain.whole().await, 415, "media_type");
    let broken =
        api.creating().with("content-type", "application/json").reply("PUT", "/api/v1/agents/a", Some("{")).await;
    problem(&broken.whole().await, 400, "malformed");
    let large = api.creating().put("/api/v1/settings/a", &json!({ "value": "x".repeat(1 << 20) })).await;
    problem(&large, 413, "too_large");
    let two = api.with("authorization", "Bearer x").get("/api/v1/me").await;
    problem(&two, 400, "malformed");
}

#[tokio::test]
async fn unknown_members_are_refused_with_their_place() {
    let stack = Stack::start().await;
    let put = json!({ "servers": null, "labelz": {} });
    let refused = problem(&stack.api().creating().put("/api/v1/agents/a", &put).await, 422, "invalid");
    assert_eq!(refused["errors"][0]["path"], "/labelz");
    let refused = problem(&stack.api().creating().put("/api/v1/agents/a", &json!({})).await, 422, "invalid");
    assert!(
        refused["detail"].as_str().unwrap().contains("servers"),
        "all servers is nothing that is only forgotten: {refused}"
    );
}

#[tokio::test]
async fn nothing_is_kept_by_others_on_the_way() {
    let stack = Stack::start().await;
    let me = stack.api().get("/api/v1/me").await;
    assert_eq!(
        (me.header("cache-control"), me.header("x-content-type-options")),
        (Some("no-store"), Some("nosniff")),
        "{}",
        text(&me)
    );
}

#[tokio::test]
async fn names_that_could_be_something_else_are_refused() {
    let stack = Stack::start().await;
    for name in ["..", "%2e%2e", "a%2Fb", "a%0Ab", "%C3%A9", "-a"] {
        let refused = stack.api().creating().put(&format!("/api/v1/settings/{name}"), &json!({ "value": 1 })).await;
        assert!(matches!(refused.status, 404 | 422), "{name}: {}", refused.status);
    }
    let refused = stack.api().creating().put("/api/v1/agents/a%0Ab", &agent()).await;
    problem(&refused, 422, "invalid");
}
