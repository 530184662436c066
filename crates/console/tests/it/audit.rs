//! No record, no change.

use console::Role;
use serde_json::{Value, json};

use crate::stack::{Stack, agent, problem};

/// What the journal says of admins, in order.
pub(crate) fn acts(stack: &Stack) -> Vec<Value> {
    let mut trail = gateway::trail::Trail::open(&stack.folder.path().join("audit"), gateway::trail::Filter::default());
    let mut acts = Vec::new();
    while let Some((_, record)) = trail.next_record().unwrap() {
        if record["kind"] == "admin" {
            acts.push(record);
        }
    }
    acts
}

#[tokio::test]
async fn a_change_is_on_record_before_and_after() {
    let stack = Stack::start().await;
    stack.api().make("/api/v1/agents/a", &agent()).await;
    let made = stack.api().get("/api/v1/agents/a").await;
    let seen = made.header("etag").unwrap();
    stack.api().seen(seen).put("/api/v1/agents/a", &json!({ "servers": [] })).await;
    let acts = acts(&stack);
    let told: Vec<String> =
        acts.iter().map(|act| format!("{} {} {} {}", act["admin"], act["action"], act["id"], act["outcome"])).collect();
    assert_eq!(
        told.iter().map(|line| line.replace('"', "")).collect::<Vec<_>>(),
        ["root agent.create a begun", "root agent.create a done", "root agent.put a begun", "root agent.put a done"]
    );
    assert_eq!(format!("\"{}\"", acts[3]["from"]), seen);
    assert!(acts[3]["to"].as_i64() > acts[3]["from"].as_i64());
}

#[tokio::test]
async fn what_is_refused_is_on_record_too() {
    let stack = Stack::start().await;
    let viewer = stack.as_token(&stack.token("v", Role::Viewer).await);
    problem(&viewer.creating().put("/api/v1/agents/a", &agent()).await, 403, "forbidden");
    stack.as_token("tga_0123456789012345678901234567890123456789012").get("/api/v1/me").await;
    stack.nobody().post("/api/v1/login", &json!({ "token": "tgl_0123456789012345678901234567890123456789012" })).await;
    let acts = acts(&stack);
    let refused: Vec<_> = acts.iter().filter(|act| act["outcome"] == "refused").collect();
    assert_eq!(refused.len(), 3, "{acts:#?}");
    assert_eq!((&refused[0]["admin"], &refused[0]["code"]), (&json!("v"), &json!("forbidden")));
    assert!(refused[1]["admin"].is_null() && refused[1]["peer"] == "127.0.0.1");
    assert_eq!(refused[2]["action"], "login");
    assert!(acts.iter().all(|act| !act.to_string().contains("0123456789")), "no secret is on record");
}

#[tokio::test]
async fn the_journal_tells_how_it_is() {
    let stack = Stack::start().await;
    let status = stack.api().get("/api/v1/audit/status").await.json();
    assert_eq!((&status["on"], &status["lost"], &status["trouble"]), (&json!(true), &json!(0), &Value::Null));
}
