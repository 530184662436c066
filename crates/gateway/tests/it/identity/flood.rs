//! Those who are not let in are on record, and cannot fill it.

use serde_json::{Value, json};
use testkit::Recorder;

use super::{Known, before};
use crate::audit::records;
use crate::gate::{Gate, OPEN, modern_call, modern_headers, tool};

fn unauthorized(gate: &Gate) -> Vec<Value> {
    records(gate).into_iter().filter(|record| record["code"] == "unauthorized").collect()
}

async fn until(gate: &Gate, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    testkit::patiently("a record", async {
        loop {
            let found = unauthorized(gate);
            if enough(&found) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn the_record_says_what_the_client_does_not_hear() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let (alice, old) = (Known::new("alice"), Known::new("old").expired());
    let gate = before(&upstream, OPEN, &[&alice, &old]);
    for shown in ["Basic x".to_owned(), Known::new("stranger").shown(), old.shown()] {
        gate.http().header("Authorization", &shown).post(&json!({})).await;
    }
    gate.http().post(&json!({})).await;
    let found = until(&gate, |found| found.len() >= 4).await;
    let said: Vec<_> = found.iter().map(|record| record["error"].as_str().unwrap()).collect();
    for (said, expected) in said.iter().zip([
        "an `Authorization` header of another scheme than `Bearer`",
        "a token that nobody here has",
        "the token `t` of `old` expired at 1970-01-01T00:00:00Z",
        "no `Authorization` header",
    ]) {
        assert!(said.ends_with(expected), "{said}");
    }
    for record in &found {
        assert_eq!(
            (&record["outcome"], &record["server"], &record["agent"]),
            (&json!("refused"), &json!("s"), &json!("anonymous@127.0.0.1"))
        );
    }
    modern_headers(alice.http(&gate), "tools/call", Some("a")).post(&modern_call(1, "a", json!({}))).await;
    let calls: Vec<_> = records(&gate).into_iter().filter(|record| record["subject"] == "a").collect();
    assert_eq!(calls[0]["agent"], "alice");
}

/// One by one at first, then as a sum.
#[tokio::test]
async fn a_flood_of_refusals_is_a_handful_of_records() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let alice = Known::new("alice");
    // The sums are told as often as idle sessions are looked for.
    let plan =
        crate::gate::Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
    let gate = super::known(plan.set("bounds.session_idle", "1s"), &[&alice]).start();
    let sent = 500;
    for _ in 0..sent {
        assert_eq!(gate.http().post(&json!({})).await.status, 401);
    }
    let told = |found: &[Value]| found.iter().map(|record| record["more"].as_u64().unwrap_or(1)).sum::<u64>();
    let found = until(&gate, |found| told(found) == sent).await;
    assert!(found.len() < 100, "{}", found.len());
    assert!(found.iter().any(|record| record["more"].as_u64() > Some(1)));
}
