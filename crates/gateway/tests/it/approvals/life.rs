//! From the asking to the end: approved and run once, denied, expired; over restarts; and what is on record.

use std::time::Duration;

use serde_json::{Value, json};
use store::ApprovalState;

use super::{ASK, Office, WAIT, answer, code, decision, plan, runs, ticket, upstream, waiting};
use crate::gate::modern_call;

#[tokio::test]
async fn an_approved_call_runs_exactly_once() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let answer = office.pay(json!({ "n": 1 })).await;
    assert_eq!(answer["result"]["isError"], true);
    let told = decision(&answer);
    assert_eq!((&told["outcome"], &told["rule"]), (&json!("held"), &json!("/tools/pay")));
    let id = ticket(&answer);
    assert_eq!(told["url"], format!("http://{}/approvals/{id}", office.gate.admin));
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    for said in ["Money.", &id, "Repeat the identical call", "was not run"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    office.approve(&id).await;
    assert_eq!(runs(&upstream, "pay"), 0, "the repeat runs it, and nobody else");
    assert_eq!(code(&office.pay(json!({ "n": 1 })).await), "ran");
    assert_eq!(office.state(&id).await, ApprovalState::Used);
    let again = ticket(&office.pay(json!({ "n": 1 })).await);
    assert_ne!(again, id, "one approval is for one call");
    assert_eq!(runs(&upstream, "pay"), 1);
}

#[tokio::test]
async fn what_a_person_is_shown_is_what_was_asked_for() {
    let upstream = upstream().await;
    let policy = r#"{ "version": "1", "tools": { "pay": { "action": "require_approval", "reason": "Money.",
        "approval": { "approvers": ["leads", "boss"], "quorum": 2, "self_approval": true, "hold": "1s", "timeout": "10m" } } } }"#;
    let office = Office::before(&upstream, policy);
    let body = r#"{ "jsonrpc":"2.0", "id":1, "method":"tools/call", "params": { "name":"pay", "arguments": { "b": 1.0,  "a":"x" },
        "_meta": { "io.modelcontextprotocol/protocolVersion":"2026-07-28", "io.modelcontextprotocol/clientCapabilities":{} } } }"#;
    let http = crate::gate::modern_headers(office.gate.http(), "tools/call", Some("pay"));
    let answer = http.post_text(body).await.answer_to(&json!(1)).await;
    let approval = office.store.approval(&ticket(&answer)).await.unwrap().unwrap();
    let asked = &approval.asked;
    assert_eq!(asked.arguments, r#"{ "b": 1.0,  "a":"x" }"#, "as it came");
    assert_eq!((asked.agent.as_str(), asked.owner.as_deref()), ("anonymous@127.0.0.1", None));
    assert_eq!((asked.server.as_str(), asked.method.as_str(), asked.subject.as_str()), ("s", "tools/call", "pay"));
    assert_eq!((asked.rule.as_str(), asked.reason.as_deref()), ("/tools/pay", Some("Money.")));
    assert_eq!(
        (asked.approvers.as_slice(), asked.quorum, asked.self_approval),
        (&["leads".into(), "boss".into()][..], 2, true)
    );
    assert_eq!(asked.definition.as_ref().map(String::len), Some(64));
    assert_eq!(approval.expires_ms - approval.created_ms, 600_000);
    let ready = office.gate.ready().await;
    assert!(ready.contains(&asked.policy[..12]), "{} {ready}", asked.policy);
}

#[tokio::test]
async fn a_denied_call_stays_denied_until_its_time_is_over() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let id = ticket(&office.pay(json!({})).await);
    office.vote(&id, false, Some("Too much.")).await;
    for _ in 0..3 {
        let answer = office.pay(json!({})).await;
        assert_eq!((code(&answer), &decision(&answer)["approval"]), ("approval.denied", &json!(id)));
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("Too much.") && !text.contains("boss"), "{text}");
    }
    assert_ne!(ticket(&office.pay(json!({ "n": 2 })).await), id, "another call is another matter");
    assert_eq!(runs(&upstream, "pay"), 0);
}

/// Of so short a time.
fn short(hold: &str, timeout: &str) -> String {
    let approval = json!({ "hold": hold, "timeout": timeout });
    json!({ "version": "1", "tools": { "pay": { "action": "require_approval", "approval": approval } } }).to_string()
}

#[tokio::test]
async fn a_call_that_waits_is_told_as_soon_as_its_time_is_over() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, &short("1m", "1s"));
    assert_eq!(code(&office.pay(json!({})).await), "approval.expired");
    assert_eq!(runs(&upstream, "pay"), 0);
}

#[tokio::test]
async fn what_expired_is_told_once_and_then_asked_anew() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, &short("1s", "2s"));
    let id = office.paid_for(json!({})).await;
    testkit::patiently("it to expire", async {
        let expires = office.store.approval(&id).await.unwrap().unwrap().expires_ms;
        while office.control.approvals_now_ms().unwrap() < expires {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(code(&office.pay(json!({})).await), "approval.expired");
    assert_eq!(code(&office.pay(json!({})).await), "approval.required");
    assert_eq!(runs(&upstream, "pay"), 0);
}

#[tokio::test]
async fn what_waits_and_what_is_approved_outlives_the_gateway() {
    let upstream = upstream().await;
    let mut office = Office::before(&upstream, ASK);
    let approved = office.paid_for(json!({ "n": 1 })).await;
    let pending = ticket(&office.pay(json!({ "n": 2 })).await);
    office.gate.shut_down().await;
    let url = format!("sqlite:{}", office.gate.store_file().display());
    let next = Office::of(plan(&upstream, ASK).set("store.url", &url));
    assert_eq!(code(&next.pay(json!({ "n": 1 })).await), "ran");
    assert_eq!(next.state(&approved).await, ApprovalState::Used);
    assert_eq!(ticket(&next.pay(json!({ "n": 2 })).await), pending, "still the same");
    next.approve(&pending).await;
    assert_eq!(code(&next.pay(json!({ "n": 2 })).await), "ran");
    assert_eq!(runs(&upstream, "pay"), 2);
}

/// A session's number means another session in the next process.
#[tokio::test]
async fn a_session_without_a_name_is_not_taken_for_one_of_another_process() {
    let upstream = upstream().await;
    let mut office = Office::before(&upstream, ASK);
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay", "arguments": {} } });
    let session = office.gate.legacy().await;
    let id = ticket(&answer(session.http(), &call).await);
    office.approve(&id).await;
    office.gate.shut_down().await;
    let url = format!("sqlite:{}", office.gate.store_file().display());
    let next = Office::of(plan(&upstream, ASK).set("store.url", &url));
    let other = next.gate.legacy().await;
    assert_ne!(ticket(&answer(other.http(), &call).await), id);
    assert_eq!(runs(&upstream, "pay"), 0);
}

#[tokio::test]
async fn every_step_is_on_record() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let id = office.paid_for(json!({ "n": 1 })).await;
    assert_eq!(code(&office.pay(json!({ "n": 1 })).await), "ran");
    let denied = ticket(&office.pay(json!({ "n": 1 })).await);
    office.vote(&denied, false, None).await;
    assert_eq!(code(&office.pay(json!({ "n": 1 })).await), "approval.denied");
    let mut gate = office.gate;
    gate.shut_down().await;
    let records: Vec<Value> = gate.journal().into_iter().filter(|record| record["subject"] == "pay").collect();
    let told =
        |record: &Value| ["outcome", "code", "approval"].map(|key| record[key].as_str().unwrap_or_default().to_owned());
    let expected = [
        ["held", "approval.required", &id],
        ["allowed", "allowed", &id],
        ["held", "approval.required", &denied],
        ["denied", "approval.denied", &denied],
    ];
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(records[1]["approved_by"], json!(["boss"]));
    assert_eq!(records[1]["rule"], "/tools/pay");
}

#[tokio::test]
async fn who_listens_hears_of_each_step() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let mut ear = office.control.listen().unwrap();
    let mut states = Vec::new();
    let id = office.paid_for(json!({ "n": 1 })).await;
    office.pay(json!({ "n": 1 })).await;
    testkit::patiently("the events", async {
        while states.last().map(String::as_str) != Some("used") {
            let Some(gateway::Heard::Event(event)) = ear.next().await else { panic!() };
            if event.name() == "approval" {
                let told: Value = serde_json::from_str(event.json()).unwrap();
                assert_eq!((told["id"].as_str(), told["subject"].as_str()), (Some(&*id), Some("pay")));
                states.push(told["state"].as_str().unwrap().to_owned());
            }
        }
    })
    .await;
}

/// Nothing fails open for want of a place to ask in.
#[tokio::test]
async fn without_a_store_nothing_can_be_approved() {
    let upstream = upstream().await;
    let gate = plan(&upstream, ASK).start();
    for client in [gate.modern(), gate.legacy().await] {
        assert_eq!(code(&client.call("pay", json!({})).await), "approval.unavailable");
        assert_eq!(code(&client.call("free", json!({})).await), "ran");
    }
    assert_eq!(runs(&upstream, "pay"), 0);
}

#[tokio::test]
async fn a_store_that_does_not_answer_approves_nothing() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    office.paid_for(json!({})).await;
    office.store.close().await;
    assert_eq!(code(&office.pay(json!({})).await), "approval.unavailable");
    assert_eq!(runs(&upstream, "pay"), 0);
}

/// A person decides faster than anybody notices.
#[tokio::test]
async fn a_decision_is_acted_on_at_once() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WAIT);
    let mut took = Vec::new();
    for n in 0..20 {
        let reply = waiting(&office.gate, &modern_call(n, "pay", json!({ "n": n }))).await;
        let id = office.asked().await.id;
        office.approve(&id).await;
        let approved = tokio::time::Instant::now();
        assert_eq!(code(&reply.answer_to(&json!(n)).await), "ran");
        took.push(approved.elapsed());
    }
    took.sort_unstable();
    // Far below the half second after which everybody looks again by himself.
    assert!(took[10] < Duration::from_millis(250), "{took:?}");
}

#[tokio::test]
async fn how_often_it_was_asked_for_is_counted() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let id = ticket(&office.pay(json!({ "n": 1 })).await);
    assert_eq!(ticket(&office.pay(json!({ "n": 1 })).await), id);
    let now = office.control.approvals_now_ms().unwrap();
    office.store.expire_approvals(now).await.unwrap();
    assert!(office.store.approval(&id).await.unwrap().unwrap().asks >= 2);
}
