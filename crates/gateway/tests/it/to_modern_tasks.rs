//! The tasks of 2025-11-25 before a server with those of the extension, which names and polls them differently.

use serde_json::{Value, json};
use testkit::{McpClient, Recorder, Reply};

use crate::gate::{Gate, OPEN};
use crate::to_modern::{META, everything, failure, introduced, next, sent};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// A task as the server tells it.
fn theirs(status: &str, more: Value) -> Value {
    let mut task = json!({ "resultType": "complete", "taskId": "t1", "status": status, "createdAt": "c", "lastUpdatedAt": "l",
        "ttlMs": 60000, "pollIntervalMs": 1, "vendor": 1.50 });
    more.as_object().unwrap().iter().for_each(|(key, value)| task[key] = value.clone());
    task
}

/// The same as the client hears it.
fn ours(status: &str) -> Value {
    json!({ "taskId": "t1", "status": status, "createdAt": "c", "lastUpdatedAt": "l", "ttl": 60000, "pollInterval": 1, "vendor": 1.50 })
}

fn wish() -> Value {
    json!({ "name": "a", "arguments": {}, "task": { "ttl": 60000 } })
}

/// A task that the server made for this client.
async fn made(upstream: &Recorder, client: &McpClient) {
    let (pending, exchange) = sent(upstream, client, 1, "tools/call", wish()).await;
    let params = exchange.request.json()["params"].clone();
    assert_eq!(params.get("task"), None);
    assert_eq!(params["_meta"][format!("{META}clientCapabilities")]["extensions"][EXTENSION], json!({}));
    exchange.answer_with_result(&theirs("working", json!({ "resultType": "task", "_meta": { "x": 1 } })));
    let result = pending.answer(1).await["result"].clone();
    assert_eq!(result, json!({ "task": ours("working"), "_meta": { "x": 1 } }));
}

/// The next request about the task, which is answered so.
async fn told(upstream: &Recorder, method: &str, answer: Value) -> Value {
    let exchange = next(upstream).await;
    let message = exchange.request.json();
    assert_eq!((&message["method"], &message["params"]["taskId"]), (&json!(method), &json!("t1")), "{message}");
    assert_eq!(exchange.request.header("mcp-name"), Some("t1"));
    assert_eq!(exchange.request.header("mcp-method"), Some(method));
    assert_eq!(message["params"]["_meta"][format!("{META}clientCapabilities")]["extensions"][EXTENSION], json!({}));
    exchange.answer_with_result(&answer);
    message["params"].clone()
}

async fn both<T>(request: impl Future<Output = T>, server: impl Future<Output = Value>) -> T {
    tokio::join!(request, server).0
}

#[tokio::test]
async fn a_task_is_made_polled_listed_and_cancelled() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let other = introduced(&gate, &upstream, everything()).await;
    made(&upstream, &client).await;
    let named = json!({ "taskId": "t1" });
    let get =
        both(client.request("tasks/get", named.clone()), told(&upstream, "tasks/get", theirs("working", json!({}))));
    assert_eq!(get.await["result"], ours("working"));
    let done = theirs("completed", json!({ "result": { "content": [] }, "inputRequests": {} }));
    let get = both(client.request("tasks/get", named.clone()), told(&upstream, "tasks/get", done));
    assert_eq!(get.await["result"], ours("completed"), "the result is for `tasks/result`");
    let list =
        both(client.request("tasks/list", json!({})), told(&upstream, "tasks/get", theirs("working", json!({}))));
    assert_eq!(list.await["result"], json!({ "tasks": [ours("working")] }));
    let cancel = both(client.request("tasks/cancel", named.clone()), async {
        told(&upstream, "tasks/cancel", json!({ "resultType": "complete" })).await;
        told(&upstream, "tasks/get", theirs("cancelled", json!({}))).await
    });
    assert_eq!(cancel.await["result"], ours("cancelled"));

    let before = upstream.requests().len();
    for method in ["tasks/get", "tasks/cancel", "tasks/result"] {
        assert_eq!(other.request(method, named.clone()).await["error"]["code"], -32602, "another's: {method}");
    }
    assert_eq!(other.request("tasks/list", json!({})).await["result"], json!({ "tasks": [] }));
    assert_eq!(upstream.requests().len(), before);

    let (answer, ()) = tokio::join!(client.request("tasks/list", json!({})), async {
        let exchange = next(&upstream).await;
        let gone = failure(&exchange.request.json(), 400, -32602);
        exchange.answer(gone);
    });
    assert_eq!(answer["result"], json!({ "tasks": [] }), "what the server forgot");
}

#[tokio::test]
async fn a_result_is_waited_for() {
    let result = json!({ "resultType": "complete", "content": [1.50], "_meta": { "x": 1 } });
    let error = json!({ "code": 17, "message": "m", "data": 1.50 });
    for (last, expected) in [
        (
            theirs("completed", json!({ "result": result })),
            json!({ "result": { "content": [1.50], "_meta": { "x": 1, (RELATED): { "taskId": "t1" } } } }),
        ),
        (theirs("failed", json!({ "error": error })), json!({ "error": error })),
        (theirs("cancelled", json!({})), json!({ "error": { "code": -32603, "message": "the task was cancelled" } })),
        (theirs("vendor", json!({})), json!({ "error": { "code": -32603, "message": "upstream failed" } })),
    ] {
        let upstream = Recorder::by_hand().await;
        let gate = Gate::before(&upstream, OPEN);
        let client = introduced(&gate, &upstream, everything()).await;
        made(&upstream, &client).await;
        let answer = both(client.request("tasks/result", json!({ "taskId": "t1" })), async {
            for _ in 0..2 {
                told(&upstream, "tasks/get", theirs("working", json!({}))).await;
            }
            told(&upstream, "tasks/get", last).await
        });
        let mut answer = answer.await;
        answer.as_object_mut().unwrap().retain(|key, _| key == "result" || key == "error");
        assert_eq!(answer, expected);
    }
}

/// A task asks through the stream of `tasks/result`, each question once, and the answers go back by `tasks/update`.
#[tokio::test]
async fn a_task_that_needs_input_gets_it() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    made(&upstream, &client).await;
    let question =
        json!({ "method": "elicitation/create", "params": { "mode": "form", "message": "?", "_meta": { "x": 1 } } });
    let needs = theirs("input_required", json!({ "inputRequests": { "k": question } }));
    let params = json!({ "taskId": "t1" });
    let (mut reply, _): (Reply, _) =
        tokio::join!(client.start(9, "tasks/result", params), told(&upstream, "tasks/get", needs.clone()));
    let asked = reply.next_event().await.unwrap().json();
    assert_eq!(asked["params"]["_meta"], json!({ "x": 1, (RELATED): { "taskId": "t1" } }));
    let given = json!({ "action": "accept", "content": { "n": 1.50 } });
    let body = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": given });
    assert_eq!(client.http().post(&body).await.status, 202);
    let update = told(&upstream, "tasks/update", json!({ "resultType": "complete" })).await;
    assert_eq!(update["inputResponses"], json!({ "k": given }));
    told(&upstream, "tasks/get", needs).await;
    told(&upstream, "tasks/get", theirs("completed", json!({ "result": { "content": [] } }))).await;
    let answer = reply.next_event().await.unwrap().json();
    assert_eq!((&answer["id"], &answer["result"]["content"]), (&json!(9), &json!([])), "asked once");
}

#[tokio::test]
async fn a_call_that_was_over_at_once_is_a_finished_task() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let other = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 1, "tools/call", wish()).await;
    exchange.answer_with_result(&json!({ "resultType": "complete", "content": [1.50], "_meta": { "x": 1 } }));
    let task = pending.answer(1).await["result"]["task"].clone();
    assert_eq!(task["status"], "completed");
    assert_eq!(task["createdAt"].as_str().map(str::len), Some("2026-01-01T00:00:00.000Z".len()));
    let before = upstream.requests().len();
    let named = json!({ "taskId": task["taskId"] });
    assert_eq!(client.request("tasks/get", named.clone()).await["result"], task);
    for _ in 0..2 {
        let expected = json!({ "content": [1.50], "_meta": { "x": 1, (RELATED): named } });
        assert_eq!(client.request("tasks/result", named.clone()).await["result"], expected);
    }
    assert_eq!(client.request("tasks/cancel", named.clone()).await["error"]["code"], -32602);
    assert_eq!(client.request("tasks/list", json!({})).await["result"], json!({ "tasks": [task] }));
    assert_eq!(other.request("tasks/result", named.clone()).await["error"]["code"], -32602, "another's");
    assert_eq!(upstream.requests().len(), before);

    for n in 2..18 {
        let (pending, exchange) = sent(&upstream, &client, n, "tools/call", wish()).await;
        exchange.answer_with_result(&json!({ "resultType": "complete", "content": [] }));
        pending.answer(n).await;
    }
    let (answer, ()) = tokio::join!(client.request("tasks/result", named), async {
        let exchange = next(&upstream).await;
        let unknown = failure(&exchange.request.json(), 400, -32602);
        exchange.answer(unknown);
    });
    assert_eq!(answer["error"]["code"], -32602, "only so many are kept");
}

/// What is no task stays what it was, and a denial of one is an error.
#[tokio::test]
async fn errors_and_denials_of_task_calls() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "tools": { "a": {} } }"#);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 1, "tools/call", wish()).await;
    let no = failure(&exchange.request.json(), 200, 17);
    exchange.answer(no);
    assert_eq!(pending.answer(1).await["error"]["code"], 17);
    let denied = client.request("tools/call", json!({ "name": "b", "task": {} })).await;
    assert!(denied["error"]["code"].is_i64(), "{denied}");
}

#[tokio::test]
async fn tools_say_that_they_may_be_tasks() {
    let upstream = Recorder::start(|request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("server/discover") => crate::to_modern::discovered(),
            Some("tools/list") => {
                json!({ "resultType": "complete", "tools": [{ "name": "a" }, { "name": "b", "execution": { "x": 1 } }] })
            }
            _ => return failure(&message, 404, -32601),
        };
        testkit::Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    for (revision, said) in [("2025-11-25", json!({ "taskSupport": "optional" })), ("2025-06-18", Value::Null)] {
        let client = McpClient::legacy_of(gate.http(), revision).await;
        let tools = client.request("tools/list", json!({})).await["result"]["tools"].clone();
        assert_eq!((&tools[0]["execution"], &tools[1]["execution"]), (&said, &json!({ "x": 1 })));
    }
}

/// Without the extension there are no tasks: a wish for one is ignored, as 2025-11-25 wants it.
#[tokio::test]
async fn a_server_without_tasks_has_none() {
    let upstream = Recorder::mcp_modern([crate::gate::tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let client = gate.legacy().await;
    assert!(client.request("tools/call", wish()).await["result"]["content"].is_array());
    assert_eq!(client.request("tasks/list", json!({})).await["error"]["code"], -32601);
}
