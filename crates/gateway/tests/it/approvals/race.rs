//! Many at once, about one thing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use store::{ApprovalFilter, ApprovalState};
use testkit::HttpClient;
use tokio::task::JoinSet;

use super::{ASK, Office, WAIT, answer, code, decision, plan, runs, ticket, upstream};
use crate::gate::{called, modern_call, modern_headers};

async fn office(upstream: &testkit::Recorder, policy: &str) -> Office {
    let settings =
        [("listen.workers", "4"), ("approvals.asks_per_hour", "100000"), ("bounds.connections_per_peer", "2000")];
    Office::of(settings.iter().fold(plan(upstream, policy), |plan, (key, value)| plan.set(key, value)))
}

/// So many equal calls at once, each answered at once.
async fn racers(http: &HttpClient, racers: u64, call: &Value) -> Vec<Value> {
    let mut calls = JoinSet::new();
    for _ in 0..racers {
        let (http, call) = (http.clone(), call.clone());
        calls.spawn(async move { answer(&http, &call).await });
    }
    calls.join_all().await
}

/// Rounds of so many racers on one approval. The proof of a thousand rounds is `xtask`'s.
async fn race(count: u64, rounds: u64) {
    let upstream = upstream().await;
    let office = office(&upstream, ASK).await;
    for round in 1..=rounds {
        let call = modern_call(1, "pay", json!({ "round": round }));
        let id = office.paid_for(json!({ "round": round })).await;
        let answers = racers(&office.gate.http(), count, &call).await;
        let (ran, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| code(answer) == "ran");
        assert_eq!((ran.len(), runs(&upstream, "pay") as u64), (1, round), "of {count}");
        assert_eq!(office.state(&id).await, ApprovalState::Used);
        let tickets: BTreeSet<String> = others.into_iter().map(ticket).collect();
        assert!(tickets.len() == 1 && !tickets.contains(&id), "all others ask for one more: {tickets:?}");
        office.vote(tickets.first().unwrap(), false, None).await;
    }
}

#[tokio::test]
async fn of_a_thousand_racers_on_one_approval_one_runs() {
    race(1_000, 1).await;
}

#[tokio::test]
async fn round_after_round_one_runs() {
    race(50, 10).await;
}

/// Those that wait are woken all at once; whom another was faster than waits on for a person to say yes once more.
#[tokio::test]
async fn of_those_that_wait_one_runs_for_each_approval() {
    const WAITING: usize = 40;
    let upstream = upstream().await;
    let office = office(&upstream, WAIT).await;
    let mut calls = JoinSet::new();
    for n in 0..WAITING {
        let http = modern_headers(office.gate.http(), "tools/call", Some("pay"));
        calls.spawn(async move {
            let call = modern_call(n, "pay", json!({}));
            http.post_streamed(&call).await.answer_to(&json!(n)).await
        });
    }
    for ran in 1..=3 {
        office.approve(&office.asked().await.id).await;
        assert_eq!(code(&calls.join_next().await.unwrap().unwrap()), "ran");
        assert_eq!(called(&upstream).len(), ran);
    }
    let id = office.asked().await.id;
    office.vote(&id, false, None).await;
    for answer in calls.join_all().await {
        assert_eq!((code(&answer), &decision(&answer)["approval"]), ("approval.denied", &json!(id)));
    }
    assert_eq!(called(&upstream).len(), 3);
    let all = office.store.approvals(&ApprovalFilter::default(), None, 100).await.unwrap().items;
    assert_eq!(all.len(), 4, "each time one question for all");
}

/// Others that lose take nothing from the limits.
#[tokio::test]
async fn who_loses_the_race_gets_back_what_it_owed() {
    let upstream = upstream().await;
    let policy = r#"{ "version": "1", "tools": { "pay": { "action": "require_approval", "approval": { "hold": "1s" }, "rate_limit": "2/hour" } } }"#;
    let office = Office::of(plan(&upstream, policy).set("listen.workers", "4"));
    office.paid_for(json!({})).await;
    racers(&office.gate.http(), 20, &modern_call(1, "pay", json!({}))).await;
    assert_eq!(runs(&upstream, "pay"), 1);
    office.approve(&ticket(&office.pay(json!({})).await)).await;
    assert_eq!(code(&office.pay(json!({})).await), "ran", "one of two was left");
    office.approve(&ticket(&office.pay(json!({})).await)).await;
    assert_eq!(code(&office.pay(json!({})).await), "limited");
}

/// A use of a grant is one call, too.
#[tokio::test]
async fn of_many_racers_on_a_grant_as_many_run_as_it_has_uses() {
    let upstream = upstream().await;
    let office = office(&upstream, ASK).await;
    let id = ticket(&office.pay(json!({})).await);
    super::grants::grant(&office, "g", &id, None, 7, 3_600_000).await;
    racers(&office.gate.http(), 100, &modern_call(1, "pay", json!({ "n": 1 }))).await;
    assert_eq!(runs(&upstream, "pay"), 7);
}
