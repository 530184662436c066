//! A task, for modern clients that know them: polled while nobody decided, run by the poll after that.

use std::collections::BTreeSet;

use store::ApprovalState;

use super::*;
use crate::approvals::{code, plan, runs};
use crate::gate::next_call;
use crate::identity::{Known, known};

/// The task of a call, and the approval that it waits for.
#[track_caller]
fn made(answer: &Value) -> (String, String) {
    let result = &answer["result"];
    assert_eq!((&result["resultType"], &result["status"]), (&json!("task"), &json!("working")), "{answer}");
    for member in ["createdAt", "lastUpdatedAt", "statusMessage"] {
        assert!(result[member].is_string(), "{member}: {answer}");
    }
    for member in ["result", "error", "inputRequests"] {
        assert!(result[member].is_null(), "{member}: {answer}");
    }
    assert!(result["ttlMs"].as_u64().unwrap() > 600_000 && result["pollIntervalMs"].as_u64().unwrap() > 0, "{answer}");
    (result["taskId"].as_str().unwrap().to_owned(), about_approval(answer))
}

impl Office {
    async fn task(&self, tool: &str) -> (String, String) {
        made(&self.say(&call(&tasks(), tool, json!({ "n": 1 }))).await)
    }

    async fn get(&self, task: &str) -> Value {
        let answer = self.say(&about(task, "tasks/get")).await;
        assert_eq!(
            (&answer["result"]["resultType"], &answer["result"]["taskId"]),
            (&json!("complete"), &json!(task)),
            "{answer}"
        );
        answer["result"].clone()
    }
}

#[tokio::test]
async fn the_poll_after_the_approval_runs_the_call_and_later_polls_tell_its_result() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let (task, id) = office.task("pay").await;
    for _ in 0..2 {
        let told = office.get(&task).await;
        assert_eq!(told["status"], "working");
        assert!(told["statusMessage"].as_str().unwrap().contains(&format!("/approvals/{id}")), "{told}");
    }
    office.approve(&id).await;
    assert_eq!(runs(&upstream, "pay"), 0, "nobody asks for it");
    for _ in 0..3 {
        let told = office.get(&task).await;
        assert_eq!(
            (&told["status"], &told["result"]["content"][0]["text"]),
            (&json!("completed"), &json!("ran")),
            "{told}"
        );
    }
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (1, ApprovalState::Used));
}

#[tokio::test]
async fn what_is_denied_or_too_late_has_failed() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let (task, id) = office.task("pay").await;
    office.vote(&id, false, Some("No.")).await;
    for _ in 0..2 {
        let told = office.get(&task).await;
        let decision = &told["error"]["data"]["dev.toolgate/decision"];
        assert_eq!(
            (&told["status"], &decision["code"], &decision["reason"]),
            (&json!("failed"), &json!("approval.denied"), &json!("No.")),
            "{told}"
        );
    }
    let answer = office.say(&call(&tasks(), "brief", json!({}))).await;
    let (task, _) = made(&answer);
    let told = testkit::patiently("the time to be over", async {
        loop {
            let told = office.get(&task).await;
            if told["status"] != "working" {
                return told;
            }
        }
    })
    .await;
    assert_eq!(
        (&told["status"], &told["error"]["data"]["dev.toolgate/decision"]["code"]),
        (&json!("failed"), &json!("approval.expired")),
        "{told}"
    );
    assert!(told["error"]["message"].as_str().unwrap().contains("`brief`"), "{told}");
    assert_eq!(sent(&upstream).len(), 0);
}

#[tokio::test]
async fn a_cancelled_task_is_never_run() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let (task, id) = office.task("pay").await;
    let acknowledged = office.say(&about(&task, "tasks/cancel")).await;
    assert_eq!(acknowledged["result"]["resultType"], "complete", "{acknowledged}");
    office.approve(&id).await;
    for _ in 0..2 {
        assert_eq!(office.get(&task).await["status"], "cancelled");
    }
    assert_eq!((sent(&upstream).len(), office.state(&id).await), (0, ApprovalState::Approved));
}

#[tokio::test]
async fn a_task_is_only_its_agents_at_its_server() {
    let upstream = server().await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let two = plan(&upstream, WIRE).server("z", upstream.url("/mcp"), "policy.json");
    let office = Office::of(known(two, &[&alice, &bob]));
    let (task, id) = made(&say(&alice.http(&office.gate), &call(&tasks(), "pay", json!({}))).await);
    office.approve(&id).await;
    let bent = task.replacen(&task[40..44], "AAAA", 1);
    let elsewhere = alice.shows(HttpClient::new(office.gate.url("z")));
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        for (http, task) in [(&bob.http(&office.gate), &task), (&elsewhere, &task), (&alice.http(&office.gate), &bent)]
        {
            let answer = say(http, &about(task, method)).await;
            assert_eq!(
                (&answer["error"]["code"], &answer["error"]["message"]),
                (&json!(-32602), &json!("task not found")),
                "{method}"
            );
        }
    }
    assert_eq!(sent(&upstream).len(), 0);
    let told = say(&alice.http(&office.gate), &about(&task, "tasks/get")).await;
    assert_eq!(told["result"]["status"], "completed", "{told}");
}

#[tokio::test]
async fn two_polls_at_a_time_run_it_once() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let (task, id) = office.task("pay").await;
    office.approve(&id).await;
    let told = futures_all((0..16).map(|_| office.get(&task))).await;
    let seen: BTreeSet<&str> = told.iter().map(|told| told["status"].as_str().unwrap()).collect();
    assert!(
        seen.contains("completed") && seen.iter().all(|status| ["working", "completed"].contains(status)),
        "{seen:?}"
    );
    assert_eq!(runs(&upstream, "pay"), 1);
}

async fn futures_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (one, done) in all.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = one.as_mut().poll(cx) {
                *done = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// An upstream by hand, with the list that an approval needs.
async fn running(upstream: &Recorder) -> testkit::Exchange {
    loop {
        let exchange = next_call(upstream).await;
        if exchange.request.json()["method"] != "tools/list" {
            return exchange;
        }
        let tools = json!([serde_json::from_str::<Value>(&tool("pay")).unwrap()]);
        exchange.answer_with_result(
            &json!({ "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private" }),
        );
    }
}

/// A task before an upstream by hand.
async fn by_hand(upstream: &Recorder, office: &Office) -> (String, String) {
    let making = office.task("pay");
    tokio::pin!(making);
    tokio::select! {
        made = &mut making => made,
        exchange = running(upstream) => panic!("{:?}", exchange.request),
    }
}

#[tokio::test]
async fn while_it_runs_it_works_and_a_cancel_stops_it() {
    let upstream = Recorder::by_hand().await;
    let office = Office::before(&upstream, WIRE);
    let (task, id) = by_hand(&upstream, &office).await;
    office.approve(&id).await;
    let get = office.get(&task);
    tokio::pin!(get);
    let exchange = tokio::select! {
        told = &mut get => panic!("{told}"),
        exchange = running(&upstream) => exchange,
    };
    assert_eq!(office.get(&task).await["status"], "working");
    office.say(&about(&task, "tasks/cancel")).await;
    assert_eq!(get.await["status"], "cancelled", "and nobody waits for the server");
    drop(exchange);
    assert_eq!(office.get(&task).await["status"], "cancelled");
    assert_eq!(runs(&upstream, "pay"), 1);
}

/// As for any modern call: hanging up takes it away. And it is never made a second time.
#[tokio::test]
async fn a_client_that_hangs_up_while_it_runs_has_cancelled_it() {
    let upstream = Recorder::by_hand().await;
    let office = Office::before(&upstream, WIRE);
    let (task, id) = by_hand(&upstream, &office).await;
    office.approve(&id).await;
    let mut get = Box::pin(office.get(&task));
    let exchange = tokio::select! {
        told = &mut get => panic!("{told}"),
        exchange = running(&upstream) => exchange,
    };
    drop(get);
    let told = testkit::patiently("the gateway to see it", async {
        loop {
            let told = office.get(&task).await;
            if told["status"] != "working" {
                return told;
            }
        }
    })
    .await;
    assert_eq!(told["status"], "failed");
    assert!(told["error"]["message"].as_str().unwrap().contains("hung up"), "{told}");
    drop(exchange);
    assert_eq!((runs(&upstream, "pay"), office.state(&id).await), (1, ApprovalState::Used));
}

#[tokio::test]
async fn what_the_server_asks_is_asked_by_the_task_and_its_answers_go_on() {
    let upstream = server().await;
    let office = Office::before(&upstream, ASKING);
    let (task, id) = office.task("ask").await;
    let update = async |responses: Value| {
        let mut update = about(&task, "tasks/update");
        update["params"]["inputResponses"] = responses;
        let answer = office.say(&update).await;
        assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    };
    update(json!({ "1/who": { "action": "accept" } })).await; // nobody asked yet
    office.approve(&id).await;
    let mut keys = BTreeSet::new();
    for (round, name) in ["ann", "bob"].iter().enumerate() {
        let told = office.get(&task).await;
        assert_eq!(told["status"], "input_required", "{told}");
        let requests = told["inputRequests"].as_object().unwrap();
        let (key, request) = requests.iter().next().unwrap();
        assert_eq!((requests.len(), &request["params"]["message"]), (1, &json!(format!("s{}", round + 1))));
        assert!(keys.insert(key.clone()), "no key twice: {key}");
        update(json!({ "other": {} })).await;
        assert_eq!(office.get(&task).await["status"], "input_required", "not answered");
        update(json!({ key: { "action": "accept", "content": { "name": name } } })).await;
        update(json!({ key: { "action": "decline" } })).await; // too late
    }
    assert_eq!(office.get(&task).await["status"], "completed");
    let names: Vec<Value> =
        sent(&upstream).iter().map(|call| call["inputResponses"]["who"]["content"]["name"].clone()).collect();
    assert_eq!(names, [Value::Null, json!("ann"), json!("bob")]);
    assert_eq!(office.store.approval(&id).await.unwrap().unwrap().round, 2);
}

#[tokio::test]
async fn a_task_of_the_servers_is_followed_under_the_name_that_the_client_knows() {
    let upstream = server().await;
    let office = Office::before(&upstream, ASKING);
    let (task, id) = office.task("job").await;
    office.approve(&id).await;
    for _ in 0..2 {
        assert_eq!(office.get(&task).await["status"], "working");
    }
    assert_eq!(office.get(&task).await["ttlMs"], 60_000, "the server's own words");
    let cancelled = office.say(&about(&task, "tasks/cancel")).await;
    assert_eq!(cancelled["result"]["resultType"], "complete", "{cancelled}");
    let about: Vec<Value> =
        upstream.requests().iter().filter(|request| !request.body.is_empty()).map(|request| request.json()).collect();
    let about: Vec<_> =
        about.iter().filter(|message| message["method"].as_str().unwrap().starts_with("tasks/")).collect();
    assert!(!about.is_empty() && about.iter().all(|message| message["params"]["taskId"] == "t-1"), "{about:?}");
    assert_eq!(about.last().unwrap()["method"], "tasks/cancel");
    assert_eq!(runs(&upstream, "job"), 1);
}

/// A changed policy asks anew, and the task waits on for that.
#[tokio::test]
async fn what_was_approved_under_another_policy_is_not_run() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let (task, id) = office.task("pay").await;
    office.approve(&id).await;
    office.gate.reload(&WIRE.replace("Money.", "More money.")).await;
    let told = office.get(&task).await;
    assert_eq!(told["status"], "working", "{told}");
    let anew = office.asked().await.id;
    assert!(anew != id && told["statusMessage"].as_str().unwrap().contains(&anew), "{told}");
    assert_eq!(runs(&upstream, "pay"), 0);
    office.approve(&anew).await;
    assert_eq!(office.get(&task).await["status"], "completed");
    assert_eq!(code(&office.say(&call(&tasks(), "free", json!({}))).await), "ran");
}

/// It was this very call that was denied: nobody is asked about it once more.
#[tokio::test]
async fn what_was_denied_under_another_policy_has_failed() {
    let upstream = server().await;
    let office = Office::before(&upstream, WIRE);
    let (task, id) = office.task("pay").await;
    office.vote(&id, false, Some("No.")).await;
    office.gate.reload(&WIRE.replace("Money.", "More money.")).await;
    for _ in 0..2 {
        let told = office.get(&task).await;
        assert_eq!((&told["status"], code(&told)), (&json!("failed"), "approval.denied"), "{told}");
    }
    assert!(office.pending().await.is_empty());
}

/// Another node, or this one after a restart: it knows what the task was, and runs nothing.
#[tokio::test]
async fn a_node_that_does_not_have_the_task_says_so_and_runs_nothing() {
    let upstream = server().await;
    let key = gateway::Vault::new_key().unwrap();
    let node = || Office::of(plan(&upstream, WIRE).env("KEY", &key).toml("[store.key]\nenv = \"KEY\""));
    let (here, there) = (node(), node());
    let (task, id) = here.task("pay").await;
    here.approve(&id).await;
    let told = there.get(&task).await;
    assert_eq!(told["status"], "failed", "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("repeat the identical call"), "{told}");
    for method in ["tasks/cancel", "tasks/update"] {
        assert_eq!(there.say(&about(&task, method)).await["result"]["resultType"], "complete");
    }
    assert_eq!((runs(&upstream, "pay"), here.state(&id).await), (0, ApprovalState::Approved));
    assert_eq!(here.get(&task).await["status"], "completed");
}

/// A client may take for a task only what it was told that there are.
#[tokio::test]
async fn a_gateway_that_makes_tasks_says_so_where_it_may() {
    let upstream = server().await;
    for (policy, expected) in [(WIRE, json!({})), (r#"{ "version": "1", "tools": { "free": {} } }"#, Value::Null)] {
        let office = Office::before(&upstream, policy);
        for http in [office.gate.http(), HttpClient::new(format!("http://{}/mcp", office.gate.data))] {
            let told = say(&http, &request(&tasks(), "server/discover", json!({}))).await;
            let extensions = &told["result"]["capabilities"]["extensions"];
            assert_eq!(extensions["io.modelcontextprotocol/tasks"], expected, "{told}");
        }
    }
}

/// Whoever wants to hear of it hears of everything else; the task itself is polled.
#[tokio::test]
async fn who_listens_to_a_task_that_waits_listens_to_the_rest() {
    let upstream = Recorder::by_hand().await;
    let office = Office::before(&upstream, WIRE);
    let (task, _) = by_hand(&upstream, &office).await;
    let listen = request(
        &tasks(),
        "subscriptions/listen",
        json!({ "notifications": { "toolsListChanged": true, "taskIds": [task] } }),
    );
    let http = office.gate.http();
    let listening = start(&http, &listen);
    tokio::pin!(listening);
    let exchange = tokio::select! {
        reply = &mut listening => panic!("{}", reply.status),
        exchange = next_call(&upstream) => exchange,
    };
    assert_eq!(exchange.request.json()["params"]["notifications"], json!({ "toolsListChanged": true, "taskIds": [] }));
}
