//! A call that stays open while a person decides: through every door.

use serde_json::{Value, json};
use store::ApprovalState;
use testkit::{HttpClient, McpClient, Recorder, Reply, patiently};

use super::{Office, WAIT, code, decision, plan, runs, ticket, upstream, waiting};
use crate::aggregate::stack;
use crate::duplex::sse::{Old, old_hello};
use crate::duplex::{announced, bridged, cancelled, legacy_call};
use crate::gate::{modern_call, tool};
use crate::identity::{Known, known};

async fn hear(reply: &mut Reply) -> Value {
    reply.next_event().await.expect("a message").json()
}

/// With a token for its progress.
fn call(id: &str) -> Value {
    let mut call = legacy_call(id, "pay", json!({ "n": 1 }));
    call["params"]["_meta"] = json!({ "progressToken": "p" });
    call
}

#[tokio::test]
async fn the_answer_comes_on_the_stream_that_waited() {
    for modern in [true, false] {
        let upstream = upstream().await;
        let office = Office::of(plan(&upstream, WAIT).set("bounds.keepalive", "1s"));
        let mut reply = match modern {
            false => office.gate.legacy().await.http().post_streamed(&call("x")).await,
            true => {
                let mut call = modern_call("x", "pay", json!({ "n": 1 }));
                call["params"]["_meta"]["progressToken"] = json!("p");
                waiting(&office.gate, &call).await
            }
        };
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
        let mut before = 0.0;
        for _ in 0..2 {
            let told = hear(&mut reply).await;
            assert_eq!(
                (&told["method"], &told["params"]["progressToken"]),
                (&json!("notifications/progress"), &json!("p"))
            );
            let progress = told["params"]["progress"].as_f64().unwrap();
            assert!(progress > before && progress < 0.001, "{told}");
            assert!(told["params"]["message"].as_str().unwrap().contains("/approvals/"), "{told}");
            before = progress;
        }
        assert_eq!(runs(&upstream, "pay"), 0);
        let id = office.asked().await.id;
        office.approve(&id).await;
        let answer = reply.answer_to(&json!("x")).await;
        assert_eq!(code(&answer), "ran");
        assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (1, ApprovalState::Used));
    }
}

#[tokio::test]
async fn a_denial_comes_on_the_stream_that_waited() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WAIT);
    let reply = waiting(&office.gate, &modern_call(1, "pay", json!({}))).await;
    office.vote(&office.asked().await.id, false, Some("No.")).await;
    let answer = reply.answer_to(&json!(1)).await;
    assert_eq!((code(&answer), &decision(&answer)["reason"]), ("approval.denied", &json!("No.")));
    assert_eq!(runs(&upstream, "pay"), 0);
}

/// Under the changed policy it would need another approval, and nobody would hear of this denial.
#[tokio::test]
async fn a_denial_is_told_also_when_the_policy_changed_since() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WAIT);
    let reply = waiting(&office.gate, &modern_call(1, "pay", json!({}))).await;
    let id = office.asked().await.id;
    office.gate.reload(&WAIT.replace("Money.", "Much money.")).await;
    office.vote(&id, false, Some("No.")).await;
    let answer = reply.answer_to(&json!(1)).await;
    assert_eq!((code(&answer), &decision(&answer)["reason"]), ("approval.denied", &json!("No.")));
    assert_eq!((decision(&answer)["approval"].as_str(), office.pending().await.len()), (Some(&*id), 0));
    assert_eq!(runs(&upstream, "pay"), 0);
}

/// Whether it was decided, nobody can say: it waits for as long as it may, and has its ticket then.
#[tokio::test]
async fn a_store_that_is_away_when_it_ends_loses_no_call() {
    let upstream = upstream().await;
    let policy = WAIT.replace(r#""hold": "1m", "timeout": "10m""#, r#""hold": "3s", "timeout": "1s""#);
    assert_ne!(policy, WAIT);
    let office = Office::before(&upstream, &policy);
    let reply = waiting(&office.gate, &modern_call(1, "pay", json!({}))).await;
    let id = office.asked().await.id;
    office.store.close().await;
    assert_eq!(ticket(&reply.answer_to(&json!(1)).await), id);
    assert_eq!(runs(&upstream, "pay"), 0);
}

/// Two people: the first word does not open it.
#[tokio::test]
async fn it_waits_until_as_many_have_agreed_as_must() {
    let upstream = upstream().await;
    let policy = r#"{ "version": "1", "tools": { "pay": { "action": "require_approval", "approval": { "quorum": 2, "hold": "1m" } } } }"#;
    let office = Office::before(&upstream, policy);
    let reply = waiting(&office.gate, &modern_call(1, "pay", json!({}))).await;
    let id = office.asked().await.id;
    assert_eq!(office.vote(&id, true, None).await.state, ApprovalState::Pending);
    assert_eq!(runs(&upstream, "pay"), 0);
    let at_ms = office.control.approvals_now_ms().unwrap();
    let second = store::Vote { by: "other".to_owned(), approve: true, reason: None, at_ms };
    office.store.vote(&id, &second, None).await.unwrap();
    assert_eq!(code(&reply.answer_to(&json!(1)).await), "ran");
    assert_eq!(office.store.approvals(&store::ApprovalFilter::default(), None, 9).await.unwrap().items.len(), 1);
}

const BRIEF: &str = r#"{ "version": "1", "tools": { "free": {}, "pay": { "action": "require_approval", "approval": { "hold": "1s" } } } }"#;

#[tokio::test]
async fn after_so_long_there_is_a_ticket_and_the_repeat_redeems_it() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, BRIEF);
    for client in [office.gate.modern(), office.gate.legacy().await] {
        let id = ticket(&client.call("pay", json!({})).await);
        office.approve(&id).await;
        assert_eq!(code(&client.call("pay", json!({})).await), "ran");
        assert_eq!(office.state(&id).await, ApprovalState::Used);
    }
    assert_eq!(runs(&upstream, "pay"), 2);
}

/// A session that has room for one request.
async fn narrow(office: &Office) -> McpClient {
    McpClient::legacy(office.gate.http()).await
}

async fn until_there_is_room(client: &McpClient) {
    patiently("room for another request", async {
        while code_or_busy(&client.call("free", json!({})).await) != "ran" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn code_or_busy(answer: &Value) -> &str {
    if answer["error"]["code"] == 1503 { "busy" } else { code(answer) }
}

#[tokio::test]
async fn who_hangs_up_takes_the_call_away() {
    let upstream = upstream().await;
    let office = Office::of(plan(&upstream, WAIT).set("bounds.in_flight_per_session", "1"));
    let client = narrow(&office).await;
    let reply = client.http().post_streamed(&call("x")).await;
    let id = office.asked().await.id;
    assert_eq!(code_or_busy(&client.call("free", json!({})).await), "busy", "what waits counts as open");
    drop(reply);
    until_there_is_room(&client).await;
    office.approve(&id).await;
    until_there_is_room(&client).await;
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (0, ApprovalState::Approved));
    let again = client.http().post_streamed(&call("y")).await.answer_to(&json!("y")).await;
    assert_eq!(code(&again), "ran", "whoever repeats it may");
}

#[tokio::test]
async fn what_is_cancelled_is_not_run_and_the_server_hears_nothing() {
    let upstream = upstream().await;
    let office = Office::of(plan(&upstream, WAIT).set("bounds.in_flight_per_session", "1"));
    let client = narrow(&office).await;
    let mut reply = client.http().post_streamed(&call("x")).await;
    assert_eq!(hear(&mut reply).await["method"], "notifications/progress");
    let id = office.asked().await.id;
    assert_eq!(client.http().post(&cancelled("x")).await.status, 202);
    assert!(reply.next_event().await.is_none(), "no answer, and the end");
    until_there_is_room(&client).await;
    office.approve(&id).await;
    until_there_is_room(&client).await;
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (0, ApprovalState::Approved));
    assert!(!crate::gate::methods(&upstream).contains(&"notifications/cancelled".to_owned()));
}

/// It keeps the place that it waited in: nobody can take it between the approval and the call.
#[tokio::test]
async fn an_approved_call_is_not_refused_for_want_of_room() {
    let upstream = upstream().await;
    let office = Office::of(plan(&upstream, WAIT).set("bounds.in_flight_per_session", "1"));
    let client = narrow(&office).await;
    for n in 0..3 {
        let mut call = call("x");
        call["id"] = json!(n);
        let reply = client.http().post_streamed(&call).await;
        office.approve(&office.asked().await.id).await;
        assert_eq!(code(&reply.answer_to(&json!(n)).await), "ran");
    }
    assert_eq!(runs(&upstream, "pay"), 3);
}

#[tokio::test]
async fn who_drains_hands_out_tickets() {
    let upstream = upstream().await;
    let mut office = Office::of(plan(&upstream, WAIT).set("bounds.drain", "1m"));
    let reply = waiting(&office.gate, &modern_call(1, "pay", json!({}))).await;
    let id = office.asked().await.id;
    let ended = office.gate.shut_down();
    assert_eq!(ticket(&reply.answer_to(&json!(1)).await), id);
    ended.await;
    assert_eq!(runs(&upstream, "pay"), 0);
}

/// An agent that is no longer let in does not get what was approved for it.
#[tokio::test]
async fn who_is_shut_out_meanwhile_runs_nothing() {
    let upstream = upstream().await;
    let (ann, other) = (Known::new("ann"), Known::new("other"));
    let office = Office::of(known(plan(&upstream, WAIT), &[&other]));
    let agent =
        |enabled| store::Agent { labels: Default::default(), servers: None, policies: Default::default(), enabled };
    office.store.create("ann", agent(true)).await.unwrap();
    let token = store::Token {
        agent: "ann".to_owned(),
        prefix: ann.token.prefix().to_owned(),
        sha256: ann.token.sha256(),
        label: "t".to_owned(),
        expires_ms: None,
        revoked_ms: None,
        replaced_by: None,
    };
    office.store.create("t", token).await.unwrap();
    office.control.refresh().await.unwrap();
    let mut pay = modern_call(1, "pay", json!({}));
    pay["params"]["_meta"]["progressToken"] = json!(1);
    let http = crate::gate::modern_headers(ann.http(&office.gate), "tools/call", Some("pay"));
    let mut reply = http.post_streamed(&pay).await;
    hear(&mut reply).await;
    let id = office.asked().await.id;
    office.store.replace("ann", agent(false), None).await.unwrap();
    office.control.refresh().await.unwrap();
    assert!(reply.next_event().await.is_none());
    office.approve(&id).await;
    assert_eq!(http.post(&pay).await.status, 401);
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (0, ApprovalState::Approved));
}

/// `/sse`, the door of old clients.
#[tokio::test]
async fn an_old_client_waits_as_well() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WAIT);
    let mut client = Old::open_at(&office.gate, "/sse/s").await;
    client.ask(&old_hello()).await;
    assert_eq!(client.post(&announced()).await, 202);
    assert_eq!(client.post(&call("x")).await, 202);
    assert_eq!(client.hear().await["method"], "notifications/progress");
    office.approve(&office.asked().await.id).await;
    assert_eq!(code(&client.hear().await), "ran");
    // And cancels.
    assert_eq!(client.post(&call("y")).await, 202);
    assert_eq!(client.hear().await["method"], "notifications/progress");
    let id = office.asked().await.id;
    assert_eq!(client.post(&cancelled("y")).await, 202);
    assert_eq!(client.hear().await["id"], "y", "every request has an answer there");
    office.approve(&id).await;
    assert_eq!(code(&client.ask(&legacy_call(3, "free", json!({}))).await), "ran");
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (1, ApprovalState::Approved));
}

#[tokio::test]
async fn a_client_on_stdio_waits_as_well() {
    let upstream = upstream().await;
    let office = Office::before(&upstream, WAIT);
    let mut client = bridged(office.gate.url("s"));
    client.introduce().await;
    client.say(&call("x")).await;
    assert_eq!(client.hear().await["method"], "notifications/progress");
    office.approve(&office.asked().await.id).await;
    let answer = client.hear().await;
    assert_eq!((code(&answer), &answer["id"]), ("ran", &json!("x")));
    client.say(&modern_call("m", "pay", json!({}))).await;
    office.approve(&office.asked().await.id).await;
    assert_eq!(code(&client.hear().await), "ran");
    // What is cancelled by a modern client is hung up on.
    client.say(&modern_call("c", "pay", json!({}))).await;
    let id = office.asked().await.id;
    client.say(&cancelled("c")).await;
    assert_eq!(code(&client.ask(&modern_call("f", "free", json!({}))).await), "ran");
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (2, ApprovalState::Pending));
}

/// A gateway in front has no store where it wraps one server, and then nobody can be asked.
#[tokio::test]
async fn a_wrapped_server_asks_nobody() {
    let upstream = upstream().await;
    let mut client = crate::duplex::wrapped(&upstream, WAIT);
    client.introduce().await;
    for call in [legacy_call(1, "pay", json!({})), modern_call(2, "pay", json!({}))] {
        assert_eq!(code(&client.ask(&call).await), "approval.unavailable");
    }
    assert_eq!(runs(&upstream, "pay"), 0);
}

#[tokio::test]
async fn a_client_of_all_servers_waits_as_well() {
    let upstream = upstream().await;
    let other = Recorder::mcp([tool("other")]).await;
    let plan = plan(&upstream, WAIT).server("t", other.url("/mcp"), "policy.json");
    let office = Office::of(plan);
    let http = HttpClient::new(stack::url(&office.gate));
    let session = stack::legacy(&office.gate).await;
    for modern in [true, false] {
        let mut call = call("x");
        call["params"]["name"] = json!("s__pay");
        let mut reply = match modern {
            false => session.http().post_streamed(&call).await,
            true => {
                let mut call = modern_call("x", "s__pay", json!({ "n": 1 }));
                call["params"]["_meta"]["progressToken"] = json!("p");
                crate::gate::modern_headers(http.clone(), "tools/call", Some("s__pay")).post_streamed(&call).await
            }
        };
        assert_eq!(hear(&mut reply).await["method"], "notifications/progress");
        let asked = office.asked().await;
        assert_eq!((asked.asked.server.as_str(), asked.asked.subject.as_str()), ("s", "pay"));
        office.approve(&asked.id).await;
        assert_eq!(code(&reply.answer_to(&json!("x")).await), "ran");
    }
    let mut call = call("y");
    call["params"]["name"] = json!("s__pay");
    let mut reply = session.http().post_streamed(&call).await;
    hear(&mut reply).await;
    let id = office.asked().await.id;
    assert_eq!(session.http().post(&cancelled("y")).await.status, 202);
    assert!(reply.next_event().await.is_none());
    office.approve(&id).await;
    assert_eq!(code(&session.call("s__free", json!({})).await), "ran");
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (2, ApprovalState::Approved));
}
