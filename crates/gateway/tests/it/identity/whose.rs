//! What an agent is given out is its own: tasks, cursors, states, answers (vectors 65, 66, 69).

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, McpClient, Recorder};

use super::{Known, before, known};
use crate::gate::{OPEN, Plan, STRICT, modern_headers, modern_request, tool};

/// Gives out tasks `task-N`, and asks for input under a state.
async fn giving() -> Recorder {
    Recorder::start(|request| {
        let message = match request.body.is_empty() {
            true => return Answer::status(405),
            false => request.json(),
        };
        let result = match (message["method"].as_str(), message["params"]["name"].as_str()) {
            (Some("server/discover"), _) => {
                json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } } })
            }
            (Some("tools/call"), Some("task")) => {
                json!({ "resultType": "task", "taskId": "t-1", "status": "working", "createdAt": "2026-07-28T00:00:00Z", "lastUpdatedAt": "2026-07-28T00:00:00Z", "ttlMs": 60000 })
            }
            (Some("tools/call"), Some("ask")) if message["params"]["requestState"].is_null() => {
                json!({ "resultType": "input_required", "requestState": "state-of-the-server", "inputRequests": {} })
            }
            (Some("tasks/get"), _) => {
                json!({ "resultType": "complete", "taskId": "t-1", "status": "working", "createdAt": "2026-07-28T00:00:00Z", "lastUpdatedAt": "2026-07-28T00:00:00Z", "ttlMs": 60000 })
            }
            (Some("tools/list"), _) => {
                let tools = ["ask", "task", "third"].map(|name| serde_json::from_str::<Value>(&tool(name)).unwrap());
                json!({ "resultType": "complete", "tools": tools, "ttlMs": 1000, "cacheScope": "public" })
            }
            _ => json!({ "resultType": "complete", "content": [] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await
}

#[tokio::test]
async fn a_task_is_only_its_agents() {
    let upstream = giving().await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let gate = before(&upstream, OPEN, &[&alice, &bob]);
    for (path, tool) in [("/mcp/s", "task"), ("/mcp", "s__task")] {
        let ask = async |agent: &Known, method: &str, name: &str, params: Value| {
            let http = agent.shows(HttpClient::new(format!("http://{}{path}", gate.data)));
            let mut request = modern_request(1, method, params);
            request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
                json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
            modern_headers(http, method, Some(name)).post(&request).await.json()
        };
        let made = ask(&alice, "tools/call", tool, json!({ "name": tool, "arguments": {} })).await;
        let id = made["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        for method in ["tasks/get", "tasks/cancel"] {
            let stolen = ask(&bob, method, &id, json!({ "taskId": id })).await;
            assert_eq!(stolen["error"]["message"], "task not found", "{path} {method}");
        }
        assert!(ask(&alice, "tasks/get", &id, json!({ "taskId": id })).await["result"].is_object());
    }
}

#[tokio::test]
async fn a_cursor_and_a_state_of_the_aggregate_open_only_for_their_agent() {
    let upstream = giving().await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
    let gate = known(plan.set("aggregate.page", "2"), &[&alice, &bob]).start();
    let at = |agent: &Known| McpClient::modern(agent.shows(HttpClient::new(format!("http://{}/mcp", gate.data))));
    let page = at(&alice).request("tools/list", json!({})).await;
    let cursor = json!({ "cursor": page["result"]["nextCursor"].as_str().unwrap_or_else(|| panic!("{page}")) });
    assert_eq!(page["result"]["cacheScope"], "private", "vector 69");
    assert_eq!(at(&bob).request("tools/list", cursor.clone()).await["error"]["code"], -32602);
    assert_eq!(at(&alice).request("tools/list", cursor).await["result"]["tools"].as_array().unwrap().len(), 1);

    let asked = at(&alice).call("s__ask", json!({})).await;
    let state = asked["result"]["requestState"].as_str().unwrap_or_else(|| panic!("{asked}"));
    let retry = json!({ "name": "s__ask", "arguments": {}, "requestState": state, "inputResponses": {} });
    assert_eq!(at(&bob).request("tools/call", retry.clone()).await["error"]["code"], -32602);
    assert_eq!(at(&alice).request("tools/call", retry).await["result"]["content"], json!([]));
}

/// Vector 69: a list filtered for one is never served to another.
#[tokio::test]
async fn what_one_agent_lists_is_not_listed_to_another() {
    let upstream = Recorder::mcp([tool("allowed_tool"), tool("other")]).await;
    let (few, all) = (Known::new("few").with("policies = { s = \"strict.json\" }"), Known::new("all"));
    let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", OPEN);
    let gate = known(plan.policy("strict.json", STRICT), &[&few, &all]).start();
    for _ in 0..3 {
        assert_eq!(all.modern(&gate).list_tools().await.len(), 2);
        assert_eq!(few.modern(&gate).list_tools().await, ["allowed_tool"]);
    }
}

/// Vector 65: equal ids, interleaved.
#[tokio::test]
async fn answers_find_the_agent_that_asked() {
    let upstream = Recorder::start(|request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("server/discover") => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"] }),
            _ => json!({ "resultType": "complete", "content": [], "who": message["params"]["arguments"]["who"] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await;
    let (alice, bob) = (Known::new("alice"), Known::new("bob"));
    let gate = before(&upstream, OPEN, &[&alice, &bob]);
    let ask = async |agent: &Known| {
        let client = agent.modern(&gate);
        for _ in 0..200 {
            let reply = client.start(7, "tools/call", json!({ "name": "a", "arguments": { "who": agent.id } })).await;
            let answer = reply.answer_to(&json!(7)).await;
            assert_eq!(answer["result"]["who"], agent.id, "{answer}");
        }
    };
    tokio::join!(ask(&alice), ask(&bob), ask(&alice), ask(&bob));
}
