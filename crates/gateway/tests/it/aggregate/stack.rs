//! Servers that have everything, all under equal names, ids and cursors; and a gateway before them.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::{Answer, AnswerStream, HttpClient, McpClient, Recorded, Recorder};
use tokio::sync::mpsc;

use crate::gate::{Gate, Plan};

/// A server of both eras whose lists a test can change.
pub(crate) struct Fake {
    pub(crate) recorder: Recorder,
    pub(crate) has: Arc<Mutex<Has>>,
    streams: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Recorded, AnswerStream)>>,
}

/// What a server has. Tools by page; each is the text of its definition.
#[derive(Clone)]
pub(crate) struct Has {
    pub(crate) name: String,
    pub(crate) pages: Vec<Vec<String>>,
    pub(crate) prompts: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) capabilities: Value,
    /// Does a session have a stream?
    pub(crate) streams: bool,
    /// Everything fails.
    pub(crate) away: bool,
}

impl Fake {
    /// With these tools, all on one page.
    pub(crate) async fn with(name: &str, tools: &[&str]) -> Self {
        Self::paged(name, &[tools]).await
    }

    pub(crate) async fn paged(name: &str, pages: &[&[&str]]) -> Self {
        let definition = |tool: &&str| crate::gate::tool(tool);
        let has = Arc::new(Mutex::new(Has {
            name: name.to_owned(),
            pages: pages.iter().map(|page| page.iter().map(definition).collect()).collect(),
            prompts: vec!["greet".to_owned()],
            resources: vec!["docs://a".to_owned()],
            capabilities: json!({
                "tools": { "listChanged": true }, "prompts": {}, "resources": { "subscribe": true }, "completions": {},
                "logging": {}, "tasks": { "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } },
                "extensions": { "io.modelcontextprotocol/tasks": {}, "com.example/other": {} }, "experimental": { "x": {} },
            }),
            streams: true,
            away: false,
        }));
        let mine = Arc::clone(&has);
        let (open, streams) = mpsc::unbounded_channel();
        let recorder = Recorder::start(move |request| {
            let has = mine.lock().unwrap();
            if !streamed(&has, request) {
                return answer(&has, request);
            }
            let (answer, stream) = Answer::stream(200, "text/event-stream");
            let _ = open.send((request.clone(), stream));
            answer
        })
        .await;
        Self { recorder, has, streams: tokio::sync::Mutex::new(streams) }
    }

    /// The next request that is answered by a stream, and the stream: of the tool `stream`, a session, or a subscription.
    pub(crate) async fn next_stream(&self) -> (Recorded, AnswerStream) {
        let mut streams = self.streams.lock().await;
        testkit::patiently("a stream", streams.recv()).await.unwrap()
    }

    /// Acknowledges the next subscription, as far as it is granted.
    pub(crate) async fn subscribed(&self, granted: Value) -> (Recorded, AnswerStream) {
        let (request, mut stream) = self.next_stream().await;
        let id = request.json()["id"].clone();
        stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": { "notifications": granted, "_meta": { SUBSCRIPTION: id } } }));
        (request, stream)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Has)) {
        change(&mut self.has.lock().unwrap());
    }

    pub(crate) fn url(&self) -> String {
        self.recorder.url("/mcp")
    }
}

pub(crate) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn streamed(has: &Has, request: &Recorded) -> bool {
    match request.method.as_str() {
        "GET" => has.streams,
        "POST" => {
            let message = request.json();
            message["params"]["name"] == "stream" || message["method"] == "subscriptions/listen"
        }
        _ => false,
    }
}

fn answer(has: &Has, request: &Recorded) -> Answer {
    if has.away {
        return Answer::status(503);
    }
    match request.method.as_str() {
        "POST" => {}
        "DELETE" => return Answer::status(200),
        _ => return Answer::status(405),
    }
    let message = request.json();
    let (id, params) = (&message["id"], &message["params"]);
    let Some(method) = message["method"].as_str().filter(|_| !id.is_null()) else { return Answer::status(202) };
    let modern = !params["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null();
    let Some(mut result) = result(has, method, params, modern) else {
        let error = json!({ "code": -32601, "message": "Method not found" });
        return Answer::json(if modern { 404 } else { 200 }, &json!({ "jsonrpc": "2.0", "id": id, "error": error }));
    };
    if !result["error"].is_null() {
        return Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "error": result["error"] }));
    }
    if modern && result["resultType"].is_null() {
        result["resultType"] = json!("complete");
    }
    let answer = Answer::json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    if method == "initialize" { answer.header("Mcp-Session-Id", &format!("upstream-{}", has.name)) } else { answer }
}

fn result(has: &Has, method: &str, params: &Value, modern: bool) -> Option<Value> {
    let parsed =
        |items: &[String]| items.iter().map(|item| serde_json::from_str(item).unwrap()).collect::<Vec<Value>>();
    Some(match method {
        "initialize" if !modern => json!({
            "protocolVersion": params["protocolVersion"], "capabilities": has.capabilities,
            "serverInfo": { "name": "same", "version": "1" }, "instructions": format!("use {} well", has.name),
        }),
        "server/discover" if modern => json!({
            "supportedVersions": ["2026-07-28"], "capabilities": has.capabilities, "ttlMs": 9, "cacheScope": "public",
            "instructions": format!("use {} well", has.name),
        }),
        "tools/list" => {
            let page = params["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
            let mut result = json!({ "tools": parsed(has.pages.get(page)?), "ttlMs": 7_000, "cacheScope": "public" });
            if page + 1 < has.pages.len() {
                result["nextCursor"] = json!((page + 1).to_string());
            }
            result
        }
        "prompts/list" => {
            let prompts: Vec<Value> = has.prompts.iter().map(|name| json!({ "name": name })).collect();
            json!({ "prompts": prompts, "ttlMs": 9_000 })
        }
        "resources/list" => {
            let resources: Vec<Value> = has.resources.iter().map(|uri| json!({ "uri": uri, "name": "r" })).collect();
            json!({ "resources": resources, "ttlMs": 9_000 })
        }
        "resources/templates/list" => json!({ "resourceTemplates": [{ "uriTemplate": "docs://{id}", "name": "t" }] }),
        "resources/read" => json!({ "contents": [{ "uri": params["uri"], "text": has.name }] }),
        "resources/subscribe" | "resources/unsubscribe" | "ping" | "logging/setLevel" if !modern => json!({}),
        "prompts/get" => json!({ "messages": [
            { "role": "user", "content": { "type": "text", "text": has.name } },
            { "role": "user", "content": { "type": "resource", "resource": { "uri": "docs://p", "text": "x" } } },
        ] }),
        "completion/complete" => json!({ "completion": { "values": [has.name, params["ref"].to_string()] } }),
        "tasks/get" | "tasks/cancel" => json!({ "taskId": params["taskId"], "status": "working", "by": has.name }),
        "tasks/result" => json!({ "content": [{ "type": "text", "text": has.name }],
            "_meta": { "io.modelcontextprotocol/related-task": { "taskId": params["taskId"] } } }),
        "tasks/list" => json!({ "tasks": [{ "taskId": "t1", "status": "working" }] }),
        "tools/call" => called(has, params, modern),
        _ => return None,
    })
}

fn called(has: &Has, params: &Value, modern: bool) -> Value {
    match params["name"].as_str().unwrap() {
        "link" => json!({ "content": [
            { "type": "resource_link", "uri": "docs://l", "name": "l", "x-vendor": 1.5 },
            { "type": "resource", "resource": { "uri": "docs://e", "text": "uri" } },
            { "type": "text", "text": "docs://stays" },
        ] }),
        "task" if modern => json!({ "resultType": "task", "taskId": "t1", "status": "working" }),
        "task" => json!({ "task": { "taskId": "t1", "status": "working" } }),
        "ask" if params["requestState"].is_null() => {
            json!({ "resultType": "input_required", "requestState": format!("state of {}", has.name) })
        }
        "absent" => json!({ "error": { "code": -32602, "message": "Unknown tool: absent" } }),
        name => {
            let seen = json!({ "by": has.name, "name": name, "arguments": params["arguments"], "state": params["requestState"] });
            json!({ "content": [{ "type": "text", "text": seen.to_string() }] })
        }
    }
}

/// A plan with these servers, each behind a policy of its own: `id.json`.
pub(crate) fn plan(servers: &[(&str, &Fake, &str)]) -> Plan {
    servers.iter().fold(Plan::default(), |plan, (id, fake, policy)| {
        let file = format!("{id}.json");
        plan.server(id, fake.url(), &file).policy(&file, policy)
    })
}

pub(crate) fn url(gate: &Gate) -> String {
    format!("http://{}/mcp", gate.data)
}

pub(crate) fn modern(gate: &Gate) -> McpClient {
    McpClient::modern(HttpClient::new(url(gate)))
}

/// A client that can do whatever a server may ask for.
pub(crate) async fn legacy(gate: &Gate) -> McpClient {
    let capabilities = json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } });
    McpClient::legacy_with(HttpClient::new(url(gate)), "2025-11-25", capabilities).await
}

/// The text of the first block of a result, as JSON.
#[track_caller]
pub(crate) fn said(answer: &Value) -> Value {
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"));
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// The names in a list.
#[track_caller]
pub(crate) fn listed(answer: &Value, member: &str, key: &str) -> Vec<String> {
    let items = answer["result"][member].as_array().unwrap_or_else(|| panic!("no {member} in {answer}"));
    items.iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

/// An address where nobody listens.
pub(crate) fn dead() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/mcp", listener.local_addr().unwrap())
}
