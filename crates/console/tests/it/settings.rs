//! Settings that change while the gateway runs: who says what they are, and what is not taken.

use console::Role;
use serde_json::{Value, json};
use store::Setting;

use crate::audit::acts;
use crate::stack::{Stack, problem, tag, text};

const ROUNDS: &str = "/api/v1/settings/approvals.rounds";

fn setting<'v>(list: &'v Value, key: &str) -> &'v Value {
    list["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_setting_is_said_by_a_file_or_here_or_by_nobody() {
    let stack = Stack::with("[approvals]\nkeep = \"2d\"\n").await;
    let list = stack.api().get("/api/v1/settings").await.json();
    let keys: Vec<&str> = list["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert!(keys.is_sorted() && keys.contains(&"log.level"), "{keys:?}");
    let keep = setting(&list, "approvals.keep");
    assert_eq!((&keep["value"], &keep["managed"]["by"]), (&json!("2d"), &json!("file")));
    assert!(keep["managed"]["path"].as_str().unwrap().ends_with("toolgate.toml"), "{keep}");
    assert_eq!(
        setting(&list, "approvals.rounds"),
        &json!({
        "key": "approvals.rounds", "value": 16, "managed": { "by": "default" }, "in_force": true })
    );

    let api = stack.api();
    assert_eq!(api.get(ROUNDS).await.header("etag"), None, "there is none yet to be changed");
    let made = api.creating().put(ROUNDS, &json!({ "value": 3 })).await;
    assert_eq!((made.status, &made.json()["managed"]["by"]), (201, &json!("api")), "{}", text(&made));
    problem(&api.creating().put(ROUNDS, &json!({ "value": 4 })).await, 412, "stale");
    let changed = api.seen(&tag(&made)).put(ROUNDS, &json!({ "value": 4 })).await;
    assert_eq!((changed.status, &changed.json()["value"]), (200, &json!(4)), "{}", text(&changed));
    assert_eq!(api.get(ROUNDS).await.json()["value"], 4);
    assert_eq!(setting(&api.get("/api/v1/settings").await.json(), "approvals.rounds")["managed"]["by"], "api");
    assert_eq!(api.seen("*").delete(ROUNDS).await.status, 204);
    assert_eq!(api.get(ROUNDS).await.json()["managed"]["by"], "default");
    problem(&api.seen("*").delete(ROUNDS).await, 404, "not_found");
    // Each before it is done, and how it went.
    let acts = acts(&stack);
    let done = acts.iter().filter_map(|act| act["action"].as_str()).filter(|action| action.starts_with("setting"));
    let done: Vec<&str> = done.collect();
    assert_eq!(done, ["create", "create", "put", "put", "delete", "delete"].map(|what| format!("setting.{what}")));
}

#[tokio::test]
async fn what_the_gateway_would_make_nothing_of_is_not_kept() {
    let stack = Stack::with("[log]\nlevel = \"warn\"\n").await;
    let api = stack.api().creating();
    for (key, value) in [
        ("approvals.rounds", json!(0)),
        ("approvals.rounds", json!("many")),
        ("approvals.rounds", json!(null)),
        ("approvals.keep", json!("1m")),
        ("approvals.arguments", json!("2MiB")),
        ("approvals.pending_per_agent", json!({ "a": 1 })),
    ] {
        let refused =
            problem(&api.put(&format!("/api/v1/settings/{key}"), &json!({ "value": value })).await, 422, "invalid");
        assert_eq!(refused["errors"][0]["path"], "/value", "{key} = {value}");
        assert!(refused["detail"].as_str().unwrap().contains(&format!("`{key}` is")), "{refused}");
    }
    for key in ["a", "auth.mode", "approvals", "approvals.url", "listen.data"] {
        let refused =
            problem(&api.put(&format!("/api/v1/settings/{key}"), &json!({ "value": 1 })).await, 422, "invalid");
        assert!(refused["detail"].as_str().unwrap().contains("log.level"), "those that there are: {refused}");
        problem(&stack.api().get(&format!("/api/v1/settings/{key}")).await, 404, "not_found");
    }
    let refused =
        problem(&api.put("/api/v1/settings/log.level", &json!({ "value": "debug" })).await, 409, "managed_by_file");
    assert!(refused["path"].as_str().unwrap().ends_with("toolgate.toml"), "{refused}");
    // What a file says since it was kept is taken back all the same.
    stack.store.create("log.level", Setting(json!("debug"))).await.unwrap();
    let shown = stack.api().get("/api/v1/settings/log.level").await.json();
    assert_eq!((&shown["value"], &shown["kept"]), (&json!("warn"), &json!("debug")));
    let listed = stack.api().get("/api/v1/settings").await.json();
    assert_eq!(setting(&listed, "log.level"), &shown);
    assert_eq!(stack.api().seen("*").delete("/api/v1/settings/log.level").await.status, 204);
    assert!(stack.api().get("/api/v1/settings/log.level").await.json()["kept"].is_null());
    let manager = stack.as_token(&stack.token("m", Role::PolicyManager).await).creating();
    problem(&manager.put(ROUNDS, &json!({ "value": 1 })).await, 403, "forbidden");
    assert!(stack.store.list::<Setting>(None, 10).await.unwrap().items.is_empty());
}

/// Another version's, or one that a file has come to say since: it is seen, does nothing, and can be removed.
#[tokio::test]
async fn what_is_kept_and_not_in_force_is_shown_as_that() {
    let stack = Stack::start().await;
    for (key, value) in [("approvals.soon", json!(1)), ("approvals.rounds", json!(-1))] {
        stack.store.create(key, Setting(value)).await.unwrap();
    }
    let list = stack.api().get("/api/v1/settings").await.json();
    for key in ["approvals.soon", "approvals.rounds"] {
        let shown = setting(&list, key);
        assert_eq!((&shown["in_force"], &shown["managed"]["by"]), (&json!(false), &json!("api")), "{shown}");
        assert_eq!(stack.api().seen("*").delete(&format!("/api/v1/settings/{key}")).await.status, 204);
    }
    assert_eq!(setting(&stack.api().get("/api/v1/settings").await.json(), "approvals.rounds")["value"], 16);
}

#[tokio::test]
async fn pages_hold_every_setting_once() {
    let stack = Stack::start().await;
    for key in ["approvals.rounds", "log.level"] {
        let value = if key == "log.level" { json!("warn") } else { json!(2) };
        let made = stack.api().creating().put(&format!("/api/v1/settings/{key}"), &json!({ "value": value })).await;
        assert_eq!(made.status, 201, "{}", text(&made));
    }
    let all = stack.api().get("/api/v1/settings").await.json()["items"].clone();
    let (mut seen, mut more) = (Vec::new(), String::new());
    loop {
        let page = stack.api().get(&format!("/api/v1/settings?limit=2{more}")).await.json();
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => more = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(Value::Array(seen), all);
}
