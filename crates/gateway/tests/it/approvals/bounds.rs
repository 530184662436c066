//! How many may wait, how often an agent may ask, how much a person is shown; and who waits for nothing.

use serde_json::{Value, json};
use store::{ApprovalState, Setting};

use super::{ASK, Office, answer, code, decision, plan, runs, ticket, upstream};
use crate::audit::recorded;
use crate::gate::{Plan, modern_call, modern_request};
use crate::identity::{Known, known};

fn call(n: u64) -> Value {
    modern_call(1, "pay", json!({ "n": n }))
}

#[tokio::test]
async fn equal_calls_are_one_question() {
    let upstream = upstream().await;
    let office = Office::of(plan(&upstream, ASK).set("approvals.pending_per_agent", "1"));
    let id = ticket(&office.pay(json!({ "a": 1, "b": 2 })).await);
    for _ in 0..5 {
        assert_eq!(ticket(&office.pay(json!({ "b": 2, "a": 1 })).await), id);
    }
    assert_eq!(office.pending().await.len(), 1);
}

#[tokio::test]
async fn so_many_wait_of_an_agent_and_to_a_server() {
    let upstream = upstream().await;
    let (ann, bob, cid) = (Known::new("ann"), Known::new("bob"), Known::new("cid"));
    let plan = Plan::default()
        .server("s", upstream.url("/mcp"), "policy.json")
        .server("t", upstream.url("/mcp"), "policy.json")
        .policy("policy.json", ASK)
        .set("approvals.pending_per_agent", "2")
        .set("approvals.pending_per_server", "3");
    let office = Office::of(known(plan, &[&ann, &bob, &cid]));
    let at = |server: &str, whose: &Known| whose.shows(testkit::HttpClient::new(office.gate.url(server)));
    let first = ticket(&answer(&at("s", &ann), &call(1)).await);
    ticket(&answer(&at("s", &ann), &call(2)).await);
    for server in ["s", "t"] {
        let answer = answer(&at(server, &ann), &call(3)).await;
        assert_eq!(code(&answer), "approval.overflow", "the agent's");
        assert!(decision(&answer)["retry_after_ms"].is_null());
    }
    assert_eq!(ticket(&answer(&at("s", &ann), &call(1)).await), first, "who asked before is not turned away");
    ticket(&answer(&at("s", &bob), &call(1)).await);
    assert_eq!(code(&answer(&at("s", &cid), &call(1)).await), "approval.overflow", "the server's");
    ticket(&answer(&at("t", &cid), &call(1)).await);
    assert_eq!(code(&answer(&at("s", &ann), &modern_call(1, "free", json!({}))).await), "ran");
    office.vote(&first, false, None).await;
    ticket(&answer(&at("s", &cid), &call(1)).await);
    assert_eq!(runs(&upstream, "pay"), 0);
}

#[tokio::test]
async fn an_agent_asks_so_often_within_an_hour() {
    let upstream = upstream().await;
    let office = Office::of(plan(&upstream, ASK).set("approvals.asks_per_hour", "3"));
    for n in 0..3 {
        let id = ticket(&office.answer(&call(n)).await);
        office.vote(&id, false, None).await;
    }
    let answer = office.answer(&call(4)).await;
    assert_eq!(code(&answer), "approval.overflow");
    let wait = decision(&answer)["retry_after_ms"].as_u64().unwrap();
    assert!((3_000_000..=3_600_000).contains(&wait), "{wait}");
    assert_eq!(code(&office.answer(&call(0)).await), "approval.denied", "that was asked already");
}

#[tokio::test]
async fn what_nobody_could_read_is_shown_to_nobody() {
    let upstream = upstream().await;
    let office = Office::of(plan(&upstream, ASK).set("approvals.arguments", "1KiB"));
    let large = json!({ "text": "x".repeat(1024) });
    let answer = office.pay(large).await;
    assert_eq!(code(&answer), "approval.unavailable");
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("1024 bytes"), "{text}");
    assert!(office.pending().await.is_empty());
}

/// Completions and subscriptions are answered at once or not at all.
#[tokio::test]
async fn what_cannot_wait_is_refused() {
    let upstream = upstream().await;
    let policy = r#"{ "version": "1", "prompts": { "p": { "action": "require_approval", "approval": { "hold": "1s" } } }, "resources": { "docs://*": { "action": "require_approval", "approval": { "hold": "1s" } } } }"#;
    let office = Office::before(&upstream, policy);
    let complete = json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": "" } });
    let listen = json!({ "notifications": { "resourceSubscriptions": ["docs://a"] } });
    for (method, params) in [("completion/complete", complete), ("subscriptions/listen", listen)] {
        let answer = office.answer(&modern_request(1, method, params)).await;
        assert_eq!(code(&answer), "approval.unavailable", "{method}: {answer}");
    }
    assert!(office.pending().await.is_empty());
    let prompt = modern_request(1, "prompts/get", json!({ "name": "p" }));
    let answer = office.answer(&prompt).await;
    office.approve(&ticket(&answer)).await;
    assert!(decision(&office.answer(&prompt).await).is_null(), "a prompt can be approved as a tool can");
}

#[tokio::test]
async fn a_limit_refuses_without_using_up_the_approval() {
    let upstream = upstream().await;
    let policy = r#"{ "version": "1", "tools": { "free": { "limits": [{ "counter": "c", "max": 1, "window": "2s" }] },
        "pay": { "action": "require_approval", "approval": { "hold": "1s" }, "limits": [{ "counter": "c", "max": 1, "window": "2s" }] } } }"#;
    let office = Office::before(&upstream, policy);
    let id = office.paid_for(json!({})).await;
    assert_eq!(code(&office.answer(&modern_call(1, "free", json!({}))).await), "ran");
    assert_eq!(code(&office.pay(json!({})).await), "limited");
    assert_eq!((office.state(&id).await, runs(&upstream, "pay")), (ApprovalState::Approved, 0));
    testkit::patiently("the window to open", async {
        while code(&office.pay(json!({})).await) != "ran" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((office.state(&id).await, runs(&upstream, "pay")), (ApprovalState::Used, 1));
}

/// What asks takes nothing from the limits, however often it asks.
#[tokio::test]
async fn asking_costs_nothing() {
    let upstream = upstream().await;
    let policy = r#"{ "version": "1", "tools": { "pay": { "action": "require_approval", "approval": { "hold": "1s" }, "rate_limit": "1/hour" } } }"#;
    let office = Office::before(&upstream, policy);
    for _ in 0..3 {
        ticket(&office.pay(json!({})).await);
    }
    office.approve(&ticket(&office.pay(json!({})).await)).await;
    assert_eq!(code(&office.pay(json!({})).await), "ran");
    office.approve(&ticket(&office.pay(json!({})).await)).await;
    assert_eq!(code(&office.pay(json!({})).await), "limited");
}

#[tokio::test]
async fn a_batch_waits_for_nobody() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, ASK);
    let client = testkit::McpClient::legacy_of(office.gate.http(), "2025-03-26").await;
    let one = |id: u64, tool: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": {} } });
    let mut reply = client.http().post_streamed(&json!([one(1, "pay"), one(2, "free")])).await;
    let first = reply.next_event().await.unwrap().json();
    assert_eq!((&first["id"], code(&first)), (&json!(1), "approval.required"));
    let second = reply.next_event().await.unwrap().json();
    assert_eq!((&second["id"], code(&second)), (&json!(2), "ran"));
}

/// While the gateway runs, and on every node that reads the store.
#[tokio::test]
async fn bounds_change_with_the_store_and_what_it_cannot_say_changes_nothing() {
    let upstream = upstream().await;
    let office = Office::of(plan(&upstream, ASK).set("approvals.asks_per_hour", "7"));
    for (key, value) in [
        ("approvals.pending_per_agent", json!(1)),
        ("approvals.rounds", json!(0)),        // unlawful
        ("approvals.asks_per_hour", json!(1)), // a flag says it
        ("auth.mode", json!("anonymous")),     // none of the store's
    ] {
        office.store.create(key, Setting(value)).await.unwrap();
    }
    office.control.refresh().await.unwrap();
    let live = office.control.live().unwrap().borrow().clone();
    assert_eq!((live.pending_per_agent.get(), live.rounds.get(), live.asks_per_hour.get()), (1, 16, 7));
    ticket(&office.answer(&call(1)).await);
    assert_eq!(code(&office.answer(&call(2)).await), "approval.overflow");
    office.store.delete::<Setting>("approvals.pending_per_agent", None).await.unwrap();
    office.control.refresh().await.unwrap();
    ticket(&office.answer(&call(2)).await);
    let changes = recorded(&office.gate, "change", 5).await;
    let told: Vec<(&Value, bool)> = changes.iter().map(|record| (&record["id"], record["to"].is_null())).collect();
    let pending = json!("approvals.pending_per_agent");
    assert_eq!(told.iter().filter(|(id, _)| **id == pending).count(), 2, "made and removed: {told:?}");
    assert!(told.contains(&(&pending, true)), "{told:?}");
}
