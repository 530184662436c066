//! Grants: so many calls of one tool, as long as their arguments keep to what was granted.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use store::{Grant, Store};

use super::{ASK, Office, code, describing, runs, ticket, upstream};
use crate::gate::tool;

/// Made from a call that waits, as an approver makes it.
pub(super) async fn grant(office: &Office, id: &str, from: &str, require: Option<Value>, uses: i64, expires_in: i64) {
    let asked = office.store.approval(from).await.unwrap().unwrap().asked;
    let now = office.control.approvals_now_ms().unwrap();
    let grant = Grant {
        id: id.to_owned(),
        scope: json!({ "version": "1", "default": "deny", "tools": { asked.subject.as_str(): {
            "require": require.unwrap_or_else(|| json!([])),
        } } })
        .to_string(),
        agent: asked.agent,
        server: asked.server,
        method: asked.method,
        subject: asked.subject,
        definition: asked.definition,
        policy: asked.policy,
        max_uses: uses,
        used: 0,
        created_ms: now,
        expires_ms: now + expires_in,
        revoked_ms: None,
        made_by: "boss".to_owned(),
        approval: from.to_owned(),
    };
    office.store.create_grant(id, &grant, None).await.unwrap();
}

async fn used(store: &Store, id: &str) -> i64 {
    store.grant(id).await.unwrap().unwrap().used
}

const HOUR: i64 = 3_600_000;

fn small() -> Option<Value> {
    Some(json!([{ "conditions": [{ "path": "args.n", "op": "lte", "value": 10 }] }]))
}

#[tokio::test]
async fn a_grant_lets_so_many_calls_through_that_keep_to_it() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let from = ticket(&office.pay(json!({ "n": 1 })).await);
    grant(&office, "g", &from, small(), 2, HOUR).await;
    ticket(&office.pay(json!({ "n": 11 })).await);
    ticket(&office.pay(json!({ "n": "1" })).await);
    ticket(&office.pay(json!({})).await);
    assert_eq!((runs(&upstream, "pay"), used(&office.store, "g").await), (0, 0));
    assert_eq!(code(&office.pay(json!({ "n": 1 })).await), "ran");
    assert_eq!(code(&office.pay(json!({ "n": 10 })).await), "ran");
    ticket(&office.pay(json!({ "n": 2 })).await);
    assert_eq!((runs(&upstream, "pay"), used(&office.store, "g").await), (2, 2));
    let mut gate = office.gate;
    gate.shut_down().await;
    let records = gate.journal();
    let allowed = records.iter().filter(|record| record["outcome"] == "allowed" && record["subject"] == "pay");
    let told: Vec<_> = allowed.map(|record| (record["grant"].clone(), record["approved_by"].clone())).collect();
    assert_eq!(told, vec![(json!("g"), json!(["boss"])); 2]);
}

#[tokio::test]
async fn a_grant_that_is_revoked_or_over_grants_nothing() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let from = ticket(&office.pay(json!({ "n": 1 })).await);
    grant(&office, "g", &from, None, 9, HOUR).await;
    assert_eq!(code(&office.pay(json!({ "n": 2 })).await), "ran");
    office.store.revoke_grant("g", office.control.approvals_now_ms().unwrap()).await.unwrap();
    ticket(&office.pay(json!({ "n": 3 })).await);
    grant(&office, "h", &from, None, 9, 1).await;
    testkit::patiently("it to be over", async {
        let over = office.store.grant("h").await.unwrap().unwrap().expires_ms;
        while office.control.approvals_now_ms().unwrap() < over {
            tokio::task::yield_now().await;
        }
    })
    .await;
    ticket(&office.pay(json!({ "n": 4 })).await);
    assert_eq!(runs(&upstream, "pay"), 1);
}

#[tokio::test]
async fn a_grant_is_for_one_definition_and_one_policy() {
    let described = Arc::new(Mutex::new(tool("pay")));
    let now = Arc::clone(&described);
    let upstream = describing(move || now.lock().unwrap().clone()).await;
    let office = Office::before(&upstream, ASK);
    let from = ticket(&office.pay(json!({ "n": 1 })).await);
    grant(&office, "g", &from, None, 9, HOUR).await;
    assert_eq!(code(&office.pay(json!({ "n": 2 })).await), "ran");
    *described.lock().unwrap() =
        json!({ "name": "pay", "description": "New.", "inputSchema": { "type": "object" } }).to_string();
    ticket(&office.pay(json!({ "n": 3 })).await);
    *described.lock().unwrap() = tool("pay");
    office.gate.reload(&ASK.replace("Money.", "Much money.")).await;
    ticket(&office.pay(json!({ "n": 4 })).await);
    assert_eq!((runs(&upstream, "pay"), used(&office.store, "g").await), (1, 1));
}

/// What was said about a call goes before what is granted for calls like it.
#[tokio::test]
async fn a_grant_passes_no_call_that_was_denied_and_spares_one_that_was_approved() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let denied = ticket(&office.pay(json!({ "n": 1 })).await);
    office.vote(&denied, false, Some("never")).await;
    let from = office.paid_for(json!({ "n": 2 })).await;
    grant(&office, "g", &from, None, 1, HOUR).await;
    assert_eq!(code(&office.pay(json!({ "n": 1 })).await), "approval.denied");
    assert_eq!(code(&office.pay(json!({ "n": 2 })).await), "ran");
    assert_eq!(used(&office.store, "g").await, 0, "it had an approval of its own");
    assert_eq!(code(&office.pay(json!({ "n": 3 })).await), "ran");
    ticket(&office.pay(json!({ "n": 2 })).await);
    assert_eq!((runs(&upstream, "pay"), used(&office.store, "g").await), (2, 1));
}
