//! Policies: checked before they are kept, kept for ever, compared by what they mean.

use serde_json::json;

use crate::stack::{OPEN, STRICT, Stack, problem, tag, text};

const PATH: &str = "/api/v1/policies/p";

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place_and_nothing_is_kept() {
    let stack = Stack::start().await;
    let bad = "{ \"version\": \"1\",\n  \"tool\": {} }";
    let refused = problem(&stack.api().creating().put(PATH, &json!({ "text": bad })).await, 422, "invalid_policy");
    let error = &refused["errors"][0];
    assert_eq!((&error["path"], &error["line"]), (&json!("/text"), &json!(2)), "{refused}");
    assert!(error["column"].is_u64() && error["offset"].is_u64() && error["code"].is_string(), "{error}");
    problem(&stack.api().get(PATH).await, 404, "not_found");
    problem(&stack.api().post("/api/v1/check", &json!({ "text": bad })).await, 422, "invalid_policy");
    assert_eq!(stack.api().post("/api/v1/check", &json!({ "text": STRICT })).await.status, 200);
    let refused = stack.api().post(&format!("{PATH}/versions"), &json!({ "text": STRICT, "catalogue": "{" })).await;
    assert_eq!(problem(&refused, 422, "invalid_policy")["errors"][0]["path"], "/catalogue");
}

#[tokio::test]
async fn versions_stay_and_one_is_active() {
    let stack = Stack::start().await;
    stack.api().make(PATH, &json!({ "text": STRICT, "note": "first" })).await;
    let second = stack.api().post(&format!("{PATH}/versions"), &json!({ "text": OPEN })).await;
    assert_eq!((second.status, &second.json()["number"]), (201, &json!(2)), "{}", text(&second));
    let policy = stack.api().get(PATH).await;
    assert_eq!((&policy.json()["active"], &policy.json()["latest"]), (&json!(1), &json!(2)));
    let list = stack.api().get(&format!("{PATH}/versions?limit=1")).await.json();
    assert_eq!((&list["items"][0]["number"], list["items"][0].get("text")), (&json!(2), None), "{list}");
    let next = list["next"].as_str().unwrap();
    let list = stack.api().get(&format!("{PATH}/versions?limit=1&cursor={next}")).await.json();
    assert_eq!((&list["items"][0]["note"], &list["items"][0]["author"]), (&json!("first"), &json!("root")));
    assert_eq!(stack.api().get(&format!("{PATH}/versions/1")).await.json()["text"], STRICT);
    let diff = stack.api().get(&format!("{PATH}/diff?from=1&to=2")).await.json();
    assert_eq!(diff["widens"], true, "{diff}");
    problem(&stack.api().get(&format!("{PATH}/diff?from=1&to=3")).await, 404, "not_found");
    let activate = json!({ "version": 2 });
    problem(&stack.api().post(&format!("{PATH}/activate"), &activate).await, 428, "precondition_required");
    let active = stack.api().seen(&tag(&policy)).post(&format!("{PATH}/activate"), &activate).await;
    assert_eq!(active.status, 200, "{}", text(&active));
    problem(&stack.api().seen(&tag(&policy)).post(&format!("{PATH}/activate"), &activate).await, 412, "stale");
    problem(&stack.api().seen("*").post(&format!("{PATH}/activate"), &json!({ "version": 9 })).await, 422, "invalid");
}

#[tokio::test]
async fn a_policy_that_judges_something_stays() {
    let stack = Stack::start().await;
    stack.api().make(PATH, &json!({ "text": STRICT })).await;
    let server = json!({ "document": { "url": "http://127.0.0.1:1/mcp" }, "policy": "p" });
    stack.api().make("/api/v1/servers/s", &server).await;
    let refused = problem(&stack.api().seen("*").delete(PATH).await, 409, "in_use");
    assert_eq!(refused["used_by"], json!(["servers/s"]));
    assert_eq!(stack.api().seen("*").delete("/api/v1/servers/s").await.status, 204);
    assert_eq!(stack.api().seen("*").delete(PATH).await.status, 204);
}
