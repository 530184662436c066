//! Changes name the version that they change.

use serde_json::json;

use crate::stack::{Stack, agent, problem, tag, text};

const PATH: &str = "/api/v1/agents/a";

#[tokio::test]
async fn a_change_says_what_it_changes() {
    let stack = Stack::start().await;
    let api = stack.api();
    problem(&api.put(PATH, &agent()).await, 428, "precondition_required");
    problem(&api.seen("*").put(PATH, &agent()).await, 404, "not_found");
    let first = api.make(PATH, &agent()).await;
    problem(&api.creating().put(PATH, &agent()).await, 412, "stale");
    problem(&api.delete(PATH).await, 428, "precondition_required");
    assert_eq!(tag(&api.get(PATH).await), first);
    let changed = api.seen(&first).put(PATH, &json!({ "servers": [] })).await;
    assert_eq!(changed.status, 200, "{}", text(&changed));
    let second = tag(&changed);
    assert_ne!(first, second);
    let stale = problem(&api.seen(&first).put(PATH, &agent()).await, 412, "stale");
    assert_eq!(stale["current"], second);
    problem(&api.seen(&first).delete(PATH).await, 412, "stale");
    assert_eq!(api.seen(&format!("{first}, {second}")).delete(PATH).await.status, 204);
    // What is made anew is not what was there.
    api.make(PATH, &agent()).await;
    problem(&api.seen(&second).delete(PATH).await, 412, "stale");
}

#[tokio::test]
async fn of_two_who_saw_the_same_one_is_told_to_look_again() {
    let stack = Stack::start().await;
    let seen = stack.api().make(PATH, &agent()).await;
    let writers = (0..2).map(|n| {
        let api = stack.api().seen(&seen);
        tokio::spawn(
            async move { api.put(PATH, &json!({ "servers": [], "labels": { "n": n.to_string() } })).await.status },
        )
    });
    let mut got = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        got.push(writer.await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, [200, 412]);
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let stack = Stack::start().await;
    let seen = stack.api().make(PATH, &agent()).await;
    let again = stack.api().with("if-none-match", &seen).get(PATH).await;
    assert_eq!((again.status, again.body.len(), tag(&again)), (304, 0, seen));
    assert_eq!(stack.api().with("if-none-match", "\"0\"").get(PATH).await.status, 200);
}
