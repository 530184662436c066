//! A legacy server answered by hand, and modern requests to it: what the tests of `to_legacy` share.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use testkit::{Answer, AnswerStream, Exchange, Recorder, Reply};
use tokio::task::JoinHandle;

use crate::gate::{Gate, OPEN, modern_headers, modern_request};

pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
pub(crate) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// An upstream of revision 2025-11-25 and nothing newer. Introductions are answered here, all else by the test.
pub(crate) struct Hand {
    pub(crate) upstream: Recorder,
    capabilities: Value,
    sessions: AtomicUsize,
    /// Are requests for the session's stream the test's to answer?
    streams: bool,
}

impl Hand {
    pub(crate) async fn new(capabilities: Value) -> Self {
        Self { upstream: Recorder::by_hand().await, capabilities, sessions: AtomicUsize::new(0), streams: false }
    }

    pub(crate) async fn with_streams(capabilities: Value) -> Self {
        Self { streams: true, ..Self::new(capabilities).await }
    }

    pub(crate) fn gate(&self) -> Gate {
        Gate::before(&self.upstream, OPEN)
    }

    /// The next request that is no introduction.
    pub(crate) async fn next(&self) -> Exchange {
        loop {
            let exchange = self.upstream.next_exchange().await;
            if exchange.request.body.is_empty() {
                match exchange.request.method.as_str() {
                    "GET" if !self.streams => exchange.answer(Answer::status(405)),
                    _ => return exchange,
                }
                continue;
            }
            let message = exchange.request.json();
            match message["method"].as_str() {
                Some("server/discover") => {
                    let error = json!({ "code": -32000, "message": "Bad Request" });
                    exchange.answer(Answer::json(400, &json!({ "jsonrpc": "2.0", "id": null, "error": error })));
                }
                Some("initialize") => {
                    let n = self.sessions.fetch_add(1, Ordering::SeqCst);
                    let result = json!({
                        "protocolVersion": "2025-11-25",
                        "capabilities": self.capabilities,
                        "serverInfo": { "name": "hand", "version": "1" },
                        "instructions": "be kind",
                    });
                    let answer = Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
                    exchange.answer(answer.header("Mcp-Session-Id", &format!("session-{n}")));
                }
                Some("notifications/initialized") => exchange.answer(Answer::status(202)),
                _ => return exchange,
            }
        }
    }

    /// The next request, whose method must be this one; its message.
    pub(crate) async fn expect(&self, method: &str) -> (Exchange, Value) {
        let exchange = self.next().await;
        let message = exchange.request.json();
        assert_eq!(message["method"], method, "{message}");
        (exchange, message)
    }

    /// A call that is answered by a stream.
    pub(crate) async fn stream(&self, method: &str) -> (AnswerStream, Value) {
        let (exchange, message) = self.expect(method).await;
        (exchange.answer_with_events(), message)
    }

    /// Takes a message that is owed no answer.
    pub(crate) async fn take(&self) -> Value {
        let exchange = self.next().await;
        let message = exchange.request.json();
        exchange.answer(Answer::status(202));
        message
    }

    /// Opened so far.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
    }
}

/// A modern request of a client that can do this.
pub(crate) fn of(capabilities: &Value, id: impl Into<Value>, method: &str, params: Value) -> Value {
    let mut body = modern_request(id, method, params);
    body["params"]["_meta"][CAPABILITIES] = capabilities.clone();
    body
}

pub(crate) fn call(capabilities: &Value, id: impl Into<Value>, tool: &str) -> Value {
    of(capabilities, id, "tools/call", json!({ "name": tool, "arguments": { "n": 1.0 } }))
}

/// POSTs it with the headers that mirror it, while the test goes on.
pub(crate) fn post(gate: &Gate, body: &Value) -> JoinHandle<Reply> {
    let params = &body["params"];
    let name = [&params["name"], &params["uri"], &params["taskId"]].into_iter().find_map(Value::as_str);
    let http = modern_headers(gate.http(), body["method"].as_str().unwrap(), name);
    let body = body.clone();
    tokio::spawn(async move { http.post_streamed(&body).await })
}

/// The answer to a request that was posted.
pub(crate) async fn answer(posted: JoinHandle<Reply>, id: impl Into<Value>) -> Value {
    posted.await.unwrap().answer_to(&id.into()).await
}

/// A retry of `body` under another id: with the state it got, and an answer to everything that was asked.
pub(crate) fn retry(body: &Value, id: impl Into<Value>, required: &Value, response: &Value) -> Value {
    let mut body = body.clone();
    body["id"] = id.into();
    body["params"]["requestState"] = required["result"]["requestState"].clone();
    let asked = required["result"]["inputRequests"].as_object().unwrap();
    body["params"]["inputResponses"] = asked.keys().map(|key| (key.clone(), response.clone())).collect();
    body
}

pub(crate) fn asks(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

pub(crate) fn elicits(id: impl Into<Value>) -> Value {
    asks(
        id,
        "elicitation/create",
        json!({ "message": "Your name?", "requestedSchema": { "type": "object" }, "x": 1.50 }),
    )
}

pub(crate) fn done(id: &Value, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": text }] } })
}
