//! Tools that a legacy server runs as tasks only: for clients that know tasks, and for those that do not.

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::legacy_hand::{Hand, answer, call, elicits, of, post};

fn knows_tasks() -> Value {
    json!({ "elicitation": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } })
}

async fn server() -> Hand {
    Hand::with_streams(json!({ "tasks": { "cancel": {}, "requests": { "tools": { "call": {} } } } })).await
}

/// The next request that is not for the session's stream.
async fn expect(hand: &Hand, method: &str) -> (testkit::Exchange, Value) {
    loop {
        let exchange = hand.next().await;
        if exchange.request.method == "GET" {
            exchange.answer(testkit::Answer::status(405));
            continue;
        }
        let message = exchange.request.json();
        assert_eq!(message["method"].as_str().unwrap_or("(answer)"), method, "{message}");
        return (exchange, message);
    }
}

fn task(status: &str) -> Value {
    json!({ "taskId": "t1", "status": status, "createdAt": "2025-11-25T10:30:00Z", "lastUpdatedAt": "2025-11-25T10:30:00Z", "ttl": 60000, "pollInterval": 50, "x": 1.50 })
}

fn modern(status: &str) -> Value {
    let mut task = task(status);
    let fields = task.as_object_mut().unwrap();
    let (ttl, interval) = (fields.remove("ttl").unwrap(), fields.remove("pollInterval").unwrap());
    fields.extend([("ttlMs".to_owned(), ttl), ("pollIntervalMs".to_owned(), interval)]);
    task
}

/// Begins the call of a tool that is a task or nothing.
async fn begin(hand: &Hand, gate: &Gate, capabilities: &Value) -> tokio::task::JoinHandle<testkit::Reply> {
    let posted = post(gate, &call(capabilities, 1, "slow"));
    let tools = json!([{ "name": "slow", "execution": { "taskSupport": "required" } }, { "name": "quick", "execution": { "taskSupport": "optional" } }]);
    expect(hand, "tools/list").await.0.answer_with_result(&json!({ "tools": tools }));
    let (exchange, seen) = expect(hand, "tools/call").await;
    assert_eq!(seen["params"]["task"], json!({}), "{seen}");
    exchange.answer_with_result(&json!({ "task": task("working"), "_meta": { "v": 1 } }));
    posted
}

fn about(capabilities: &Value, method: &str) -> Value {
    of(capabilities, 2, method, json!({ "taskId": "t1" }))
}

#[tokio::test]
async fn a_client_that_knows_tasks_gets_one() {
    let hand = server().await;
    let gate = hand.gate();
    let mut created = answer(begin(&hand, &gate, &knows_tasks()).await, 1).await["result"].take();
    let meta = created.as_object_mut().unwrap().remove("_meta").unwrap();
    assert_eq!(meta["v"], 1);
    let mut expected = modern("working");
    expected["resultType"] = json!("task");
    assert_eq!(created, expected);

    let get = about(&knows_tasks(), "tasks/get");
    let posted = post(&gate, &get);
    expect(&hand, "tasks/get").await.0.answer_with_result(&task("working"));
    assert_eq!(answer(posted, 2).await["result"]["status"], "working");

    for (status, error) in [("completed", false), ("failed", true)] {
        let posted = post(&gate, &get);
        expect(&hand, "tasks/get").await.0.answer_with_result(&task(status));
        let (exchange, seen) = expect(&hand, "tasks/result").await;
        let failure = json!({ "jsonrpc": "2.0", "id": seen["id"], "error": { "code": -32603, "message": "no" } });
        match error {
            true => exchange.answer(testkit::Answer::json(200, &failure)),
            false => exchange.answer_with_result(&json!({ "content": [], "isError": true })),
        }
        let told = answer(posted, 2).await["result"].clone();
        assert_eq!((&told["status"], &told["resultType"]), (&json!(status), &json!("complete")), "{told}");
        match error {
            true => assert_eq!(told["error"]["message"], "no"),
            false => assert_eq!(
                (&told["result"]["isError"], &told["result"]["resultType"]),
                (&json!(true), &json!("complete"))
            ),
        }
    }
    let posted = post(&gate, &about(&knows_tasks(), "tasks/cancel"));
    expect(&hand, "tasks/cancel").await.0.answer_with_result(&task("cancelled"));
    assert_eq!(answer(posted, 2).await["result"]["resultType"], "complete");
    // What is no task of this agent's does not exist.
    let foreign = answer(post(&gate, &of(&knows_tasks(), 3, "tasks/get", json!({ "taskId": "t2" }))), 3).await;
    assert_eq!(foreign["error"]["code"], -32602);
}

#[tokio::test]
async fn a_client_that_does_not_know_tasks_gets_the_result() {
    let hand = server().await;
    let gate = hand.gate();
    let posted = begin(&hand, &gate, &json!({})).await;
    let (exchange, seen) = expect(&hand, "tasks/result").await;
    assert_eq!(seen["params"], json!({ "taskId": "t1" }));
    exchange.answer_with_result(&json!({ "content": [{ "type": "text", "text": "done" }] }));
    let told = answer(posted, 1).await;
    assert_eq!(
        (&told["result"]["content"][0]["text"], &told["result"]["resultType"]),
        (&json!("done"), &json!("complete"))
    );
    // What can be called without is; and hanging up cancels the task.
    let posted = post(&gate, &call(&json!({}), 1, "quick"));
    let (exchange, seen) = expect(&hand, "tools/call").await;
    assert_eq!(seen["params"]["task"], Value::Null);
    exchange.answer_with_result(&json!({ "content": [] }));
    answer(posted, 1).await;
    let posted = post(&gate, &call(&json!({}), 1, "slow"));
    expect(&hand, "tools/call").await.0.answer_with_result(&json!({ "task": task("working") }));
    let (_waits, _) = expect(&hand, "tasks/result").await;
    posted.abort();
    let (exchange, seen) = expect(&hand, "tasks/cancel").await;
    assert_eq!(seen["params"], json!({ "taskId": "t1" }));
    exchange.answer_with_result(&task("cancelled"));
}

#[tokio::test]
async fn a_task_that_asks_is_answered_by_update() {
    let hand = server().await;
    let gate = hand.gate();
    answer(begin(&hand, &gate, &knows_tasks()).await, 1).await;
    let get = about(&knows_tasks(), "tasks/get");
    let posted = post(&gate, &get);
    expect(&hand, "tasks/get").await.0.answer_with_result(&task("input_required"));
    let mut stream = expect(&hand, "tasks/result").await.0.answer_with_events();
    stream.event(&elicits("ask"));
    let told = answer(posted, 2).await["result"].clone();
    assert_eq!(
        (&told["status"], &told["inputRequests"]["input-1"]["method"]),
        (&json!("input_required"), &json!("elicitation/create")),
        "{told}"
    );

    let mut update = about(&knows_tasks(), "tasks/update");
    let accepted = json!({ "action": "accept", "content": {} });
    update["params"]["inputResponses"] = json!({ "input-1": accepted, "other": accepted });
    let posted = post(&gate, &update);
    let (exchange, seen) = expect(&hand, "(answer)").await;
    assert_eq!(seen, json!({ "jsonrpc": "2.0", "id": "ask", "result": accepted }));
    exchange.answer(testkit::Answer::status(202));
    assert_eq!(answer(posted, 2).await["result"]["resultType"], "complete");
    // Once: the same again goes nowhere.
    let before = hand.upstream.requests().len();
    answer(post(&gate, &update), 2).await;
    assert_eq!(hand.upstream.requests().len(), before);
}

/// What a task asks is bounded however it spreads its questions, and so is the time that it waits.
#[tokio::test]
async fn a_task_asks_so_much_at_a_time_and_no_longer_than_its_client_may_take() {
    let hand = server().await;
    let gate = Gate::bounded(&hand.upstream, crate::gate::OPEN, &[("bounds.input_timeout", "2s")]);
    answer(begin(&hand, &gate, &knows_tasks()).await, 1).await;
    let get = about(&knows_tasks(), "tasks/get");
    let posted = post(&gate, &get);
    expect(&hand, "tasks/get").await.0.answer_with_result(&task("input_required"));
    let mut stream = expect(&hand, "tasks/result").await.0.answer_with_events();
    for n in 0..16 {
        stream.event(&elicits(n));
    }
    let first = answer(posted, 2).await["result"].clone();
    assert!(!first["inputRequests"].as_object().unwrap().is_empty(), "{first}");
    stream.event(&elicits("too many"));
    let (exchange, told) = expect(&hand, "(answer)").await;
    exchange.answer(testkit::Answer::status(202));
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!("too many"), &json!(-32603)), "{told}");
    // Nobody answers, and a server that goes on talking does not prolong that.
    let mut cancelled = false;
    let ends = async {
        while !cancelled {
            tokio::select! {
                exchange = hand.next() => {
                    let message: Value = serde_json::from_str(exchange.request.text()).unwrap_or_default();
                    cancelled |= message["method"] == "notifications/cancelled";
                    exchange.answer(testkit::Answer::status(if message.is_null() { 405 } else { 202 }));
                }
                () = tokio::time::sleep(std::time::Duration::from_millis(200)) => stream.event(&elicits("more")),
            }
        }
    };
    testkit::patiently("the task to be given up", ends).await;
}

#[tokio::test]
async fn who_listens_to_a_task_is_told_all_of_it() {
    let hand = server().await;
    let gate = hand.gate();
    let capabilities = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    answer(begin(&hand, &gate, &capabilities).await, 1).await;
    let listen = of(&capabilities, "l", "subscriptions/listen", json!({ "notifications": { "taskIds": ["t1"] } }));
    let mut reply = post(&gate, &listen).await.unwrap();
    let granted = reply.next_event().await.unwrap().json();
    assert_eq!(granted["params"]["notifications"], json!({ "taskIds": ["t1"] }));
    let mut stream = hand.next().await.answer_with_events();
    stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/tasks/status", "params": task("completed") }));
    expect(&hand, "tasks/get").await.0.answer_with_result(&task("completed"));
    expect(&hand, "tasks/result").await.0.answer_with_result(&json!({ "content": [] }));
    let told = reply.next_event().await.unwrap().json();
    assert_eq!(told["method"], "notifications/tasks");
    assert_eq!(
        (&told["params"]["status"], &told["params"]["result"]["content"]),
        (&json!("completed"), &json!([])),
        "{told}"
    );
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
}

/// A server that forgot the session is asked again in a new one, also where we ask for ourselves.
#[tokio::test]
async fn a_forgotten_session_is_opened_again() {
    let hand = server().await;
    let gate = hand.gate();
    let gone = || testkit::Answer::status(404);
    let posted = post(&gate, &call(&knows_tasks(), 1, "slow"));
    expect(&hand, "tools/list").await.0.answer(gone());
    let tools = json!([{ "name": "slow", "execution": { "taskSupport": "required" } }]);
    expect(&hand, "tools/list").await.0.answer_with_result(&json!({ "tools": tools }));
    expect(&hand, "tools/call").await.0.answer_with_result(&json!({ "task": task("working") }));
    answer(posted, 1).await;
    for method in ["tasks/get", "tasks/cancel"] {
        let posted = post(&gate, &about(&knows_tasks(), method));
        expect(&hand, method).await.0.answer(gone());
        expect(&hand, method).await.0.answer_with_result(&task("working"));
        assert!(answer(posted, 2).await["error"].is_null(), "{method}");
    }
    assert_eq!(hand.sessions(), 4);
}

#[tokio::test]
async fn progress_of_a_task_that_is_waited_for_reaches_its_client() {
    let hand = server().await;
    let gate = hand.gate();
    let mut body = call(&json!({}), 1, "slow");
    body["params"]["_meta"]["progressToken"] = json!("p");
    let posted = post(&gate, &body);
    let tools = json!([{ "name": "slow", "execution": { "taskSupport": "required" } }]);
    expect(&hand, "tools/list").await.0.answer_with_result(&json!({ "tools": tools }));
    let (exchange, seen) = expect(&hand, "tools/call").await;
    exchange.answer_with_result(&json!({ "task": task("working") }));
    let (exchange, result) = expect(&hand, "tasks/result").await;
    let mut stream = exchange.answer_with_events();
    let token = &seen["params"]["_meta"]["progressToken"];
    stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": 1 } }));
    stream.event(&json!({ "jsonrpc": "2.0", "id": result["id"], "result": { "content": [] } }));
    let mut reply = posted.await.unwrap();
    assert_eq!(reply.next_event().await.unwrap().json()["params"]["progressToken"], "p");
    assert_eq!(reply.next_event().await.unwrap().json()["result"]["resultType"], "complete");
}
