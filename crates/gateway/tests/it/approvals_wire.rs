//! How a call that waits for a person looks to each client: what it is told, what it comes back with, and what reaches the server of it.

mod aggregate;
mod form;
mod legacy;
mod rounds;
mod task;
mod url;

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, Recorded, Recorder, Reply};

use crate::approvals::{Office, decision};
use crate::gate::{modern_headers, modern_request, tool};

/// What needs a person; and what the client's own user may say yes to. Servers may ask for nothing.
pub(crate) const WIRE: &str = r#"{ "version": "1", "tools": {
    "pay": { "action": "require_approval", "reason": "Money.", "approval": { "hold": "1m", "timeout": "10m" } },
    "own": { "action": "require_approval", "approval": { "hold": "1m", "self_approval": true } },
    "brief": { "action": "require_approval", "approval": { "hold": "1s", "timeout": "1s" } },
    "free": {}, "mark": {} },
    "prompts": { "greet": "require_approval" }, "resources": { "file:///a": "require_approval" } }"#;

/// The same, and servers may ask.
pub(crate) const ASKING: &str = r#"{ "version": "1", "reverse": { "elicitation": "allow" }, "tools": {
    "ask": { "action": "require_approval", "approval": { "hold": "1m", "timeout": "10m" } },
    "job": { "action": "require_approval", "approval": { "hold": "1m", "timeout": "10m" } }, "mark": {} } }"#;

/// Looks like a state of ours, and is the server's.
pub(crate) const LIKE_OURS: &str = "tgas1.AAAA";

pub(crate) fn pages() -> Value {
    json!({ "elicitation": { "url": {} } })
}

pub(crate) fn forms() -> Value {
    json!({ "elicitation": {} })
}

pub(crate) fn tasks() -> Value {
    json!({ "extensions": { "io.modelcontextprotocol/tasks": {} }, "elicitation": { "form": {}, "url": {} } })
}

pub(crate) fn yes() -> Value {
    json!({ "action": "accept", "content": { "approve": true } })
}

/// A modern server: `ask` asks twice before it answers, `mark` gives out a state that looks like ours, `job` makes a task.
pub(crate) async fn server() -> Recorder {
    Recorder::start(|request: &Recorded| {
        let message = if request.body.is_empty() { return Answer::status(405) } else { request.json() };
        let (name, state) = (message["params"]["name"].as_str(), message["params"]["requestState"].as_str());
        let asks = |state: &str| json!({ "resultType": "input_required", "requestState": state,
            "inputRequests": { "who": { "method": "elicitation/create", "params": { "message": state, "requestedSchema": {} } } } });
        let task = |status: &str, kind: &str| json!({ "resultType": kind, "taskId": "t-1", "status": status,
            "createdAt": "2026-07-28T00:00:00Z", "lastUpdatedAt": "2026-07-28T00:00:00Z", "ttlMs": 60000 });
        let result = match (message["method"].as_str(), name, state) {
            (Some("server/discover"), _, _) => {
                json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } })
            }
            (Some("tools/list"), _, _) => {
                let tools = ["pay", "own", "brief", "free", "ask", "mark", "job"];
                let tools = tools.map(|name| serde_json::from_str::<Value>(&tool(name)).unwrap());
                json!({ "resultType": "complete", "tools": tools, "ttlMs": 1000, "cacheScope": "private" })
            }
            (Some("tools/call"), Some("ask"), None) => asks("s1"),
            (Some("tools/call"), Some("ask"), Some("s1")) => asks("s2"),
            (Some("tools/call"), Some("mark"), None) => asks(LIKE_OURS),
            (Some("tools/call"), Some("job"), _) => task("working", "task"),
            (Some("tasks/get"), _, _) => task("working", "complete"),
            (Some("tasks/cancel"), _, _) => json!({ "resultType": "complete" }),
            (Some("prompts/get"), _, _) => json!({ "resultType": "complete", "messages": [] }),
            (Some("resources/read"), _, _) => json!({ "resultType": "complete", "contents": [], "ttlMs": 0, "cacheScope": "private" }),
            _ => json!({ "resultType": "complete", "content": [{ "type": "text", "text": "ran" }] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await
}

/// A request of a client that can show this.
pub(crate) fn request(capabilities: &Value, method: &str, params: Value) -> Value {
    let mut request = modern_request(1, method, params);
    request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
    request
}

pub(crate) fn call(capabilities: &Value, tool: &str, arguments: Value) -> Value {
    request(capabilities, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

pub(crate) fn about(task: &str, method: &str) -> Value {
    request(&tasks(), method, json!({ "taskId": task }))
}

/// With the headers that mirror it.
pub(crate) async fn start(http: &HttpClient, message: &Value) -> Reply {
    let params = &message["params"];
    let name = [&params["name"], &params["uri"], &params["taskId"]].into_iter().find_map(Value::as_str);
    modern_headers(http.clone(), message["method"].as_str().unwrap(), name).post_streamed(message).await
}

pub(crate) async fn say(http: &HttpClient, message: &Value) -> Value {
    start(http, message).await.answer_to(&message["id"]).await
}

impl Office {
    pub(crate) async fn say(&self, message: &Value) -> Value {
        say(&self.gate.http(), message).await
    }
}

/// What was asked, come back to with this answer to everything.
pub(crate) fn back(message: &Value, asked: &Value, response: &Value) -> Value {
    let mut message = message.clone();
    message["id"] = json!("again");
    message["params"]["requestState"] = state(asked).into();
    let requests = asked["result"]["inputRequests"].as_object().unwrap();
    message["params"]["inputResponses"] = requests.keys().map(|key| (key.clone(), response.clone())).collect();
    message
}

#[track_caller]
pub(crate) fn state(asked: &Value) -> &str {
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    asked["result"]["requestState"].as_str().unwrap_or_else(|| panic!("{asked}"))
}

/// What our one question asks.
#[track_caller]
pub(crate) fn question(asked: &Value) -> &Value {
    state(asked);
    let requests = asked["result"]["inputRequests"].as_object().unwrap();
    assert_eq!(requests.len(), 1, "{asked}");
    let request = &requests["toolgate-approval"];
    assert_eq!(request["method"], "elicitation/create", "{asked}");
    &request["params"]
}

/// The approval that an answer is about.
#[track_caller]
pub(crate) fn about_approval(answer: &Value) -> String {
    decision(answer)["approval"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The params of each call that reached the server.
pub(crate) fn sent(upstream: &Recorder) -> Vec<Value> {
    let messages =
        upstream.requests().into_iter().filter(|request| !request.body.is_empty()).map(|request| request.json());
    messages.filter(|message| message["method"] == "tools/call").map(|call| call["params"].clone()).collect()
}
