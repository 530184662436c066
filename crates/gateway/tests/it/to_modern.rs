//! A legacy client before a server that knows only 2026-07-28: each side hears its own language, and the policy stands between.

use serde_json::{Value, json};
use testkit::{Answer, Exchange, McpClient, Recorder, Reply};

use crate::gate::{Gate, OPEN, called, methods, tool};

pub(crate) const META: &str = "io.modelcontextprotocol/";

/// What a modern server says of itself here.
pub(crate) fn discovered() -> Value {
    json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
        "capabilities": { "tools": { "listChanged": true }, "prompts": {}, "logging": {}, "completions": {},
            "resources": { "subscribe": true, "listChanged": true }, "extensions": { "vendor/x": {}, "io.modelcontextprotocol/tasks": {} } },
        "instructions": "Be kind.", "vendor": 1.50,
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "hand", "version": "1", "x": [] } } })
}

/// The next request of an upstream by hand that is no introduction: those are answered here, as by a server that is modern only.
pub(crate) async fn next(upstream: &Recorder) -> Exchange {
    loop {
        let exchange = upstream.next_exchange().await;
        assert!(!exchange.request.body.is_empty(), "modern has neither GET nor DELETE");
        let message = exchange.request.json();
        match message["method"].as_str() {
            Some("initialize") => exchange.answer(failure(&message, 404, -32601)),
            Some("server/discover") => exchange.answer_with_result(&discovered()),
            Some("tools/list") => exchange.answer_with_result(&json!({ "resultType": "complete", "tools": [] })),
            _ => return exchange,
        }
    }
}

pub(crate) fn failure(message: &Value, status: u16, code: i64) -> Answer {
    let error = json!({ "code": code, "message": "no" });
    Answer::json(status, &json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }))
}

pub(crate) async fn introduced(gate: &Gate, upstream: &Recorder, capabilities: Value) -> McpClient {
    let client = McpClient::legacy_with(gate.http(), "2025-11-25", capabilities);
    tokio::pin!(client);
    tokio::select! {
        client = &mut client => client,
        exchange = next(upstream) => panic!("more than an introduction: {:?}", exchange.request),
    }
}

pub(crate) fn everything() -> Value {
    json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } })
}

/// Sends a request, and gives back what the server got, to be answered, and what the client gets.
pub(crate) async fn sent(
    upstream: &Recorder,
    client: &McpClient,
    id: i64,
    method: &str,
    params: Value,
) -> (Pending, Exchange) {
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let http = client.http().clone();
    let reply = tokio::spawn(async move { http.post_streamed(&body).await });
    (Pending(reply), next(upstream).await)
}

/// A response that has not begun.
pub(crate) struct Pending(tokio::task::JoinHandle<Reply>);

impl Pending {
    pub(crate) async fn begun(self) -> Reply {
        testkit::patiently("a response", self.0).await.unwrap()
    }

    pub(crate) async fn answer(self, id: i64) -> Value {
        self.begun().await.answer_to(&json!(id)).await
    }
}

#[tokio::test]
async fn initialize_is_answered_from_discover() {
    for (asked, agreed) in [("2025-11-25", "2025-11-25"), ("2024-11-05", "2024-11-05"), ("2026-07-28", "2025-11-25")] {
        let upstream = Recorder::by_hand().await;
        let gate = Gate::before(&upstream, OPEN);
        let info = json!({ "name": "old", "version": "7" });
        let params = json!({ "protocolVersion": asked, "capabilities": everything(), "clientInfo": info });
        let hello = json!({ "jsonrpc": "2.0", "id": "h", "method": "initialize", "params": params });
        let http = gate.http();
        let reply = tokio::select! {
            reply = http.post(&hello) => reply,
            exchange = next(&upstream) => panic!("{:?}", exchange.request),
        };
        assert_eq!(reply.status, 200);
        assert!(reply.header("mcp-session-id").is_some());
        let mut expected = json!({ "jsonrpc": "2.0", "id": "h", "result": {
            "protocolVersion": agreed, "instructions": "Be kind.", "vendor": 1.50,
            "capabilities": { "tools": { "listChanged": true }, "prompts": {}, "logging": {}, "completions": {},
                "resources": { "subscribe": true, "listChanged": true }, "extensions": { "vendor/x": {} } },
            "serverInfo": { "name": "hand", "version": "1", "x": [] },
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "hand", "version": "1", "x": [] } },
        } });
        if agreed == "2025-11-25" {
            let tasks = json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } });
            expected["result"]["capabilities"]["tasks"] = tasks;
        }
        assert_eq!(reply.json(), expected);
        let requests = upstream.requests();
        let discover = requests.iter().rfind(|request| request.json()["method"] == "server/discover").unwrap();
        let meta = &discover.json()["params"]["_meta"];
        assert_eq!(meta[format!("{META}clientInfo")], info);
        assert_eq!(meta[format!("{META}clientCapabilities")], everything());
    }
}

#[tokio::test]
async fn a_refusal_of_initialize_may_come_as_an_event() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let refuse = async {
        let exchange = upstream.next_exchange().await;
        let message = exchange.request.json();
        assert_eq!(message["method"], "initialize");
        let error = json!({ "code": -32022, "message": "Unsupported protocol version" });
        let mut stream = exchange.answer_with_events();
        stream.event(&json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }));
        next(&upstream).await
    };
    tokio::select! {
        client = McpClient::legacy_with(gate.http(), "2025-11-25", everything()) => {
            assert_eq!(client.request("ping", json!({})).await["result"], json!({}));
        }
        exchange = refuse => panic!("more than an introduction: {:?}", exchange.request),
    }
}

#[tokio::test]
async fn lists_and_calls() {
    let upstream = Recorder::mcp_modern([tool("a"), tool("b")]).await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "tools": { "a": {} } }"#);
    for _ in 0..2 {
        let client = gate.legacy().await;
        let listed = client.request("tools/list", json!({})).await["result"].clone();
        assert_eq!(
            listed,
            json!({ "tools": [{ "name": "a", "inputSchema": { "type": "object" } }] }),
            "filtered, stripped"
        );
        let result = client.call("a", json!({ "n": 1.50 })).await["result"].clone();
        assert_eq!(result, json!({ "content": [{ "type": "text", "text": r#"{"arguments":{"n":1.5},"name":"a"}"# }] }));
        assert_eq!(client.call("b", json!({})).await["result"]["isError"], true, "denied");
        assert_eq!(client.request("ping", json!({})).await["result"], json!({}));
    }
    assert_eq!(called(&upstream), ["a", "a"]);
    assert_eq!(methods(&upstream).iter().filter(|method| *method == "initialize").count(), 1, "once is enough");
    assert!(!methods(&upstream).iter().any(|method| method == "ping" || method.starts_with("notifications/")));
}

/// What every request carries: the session's agreements, and nothing that the client only claims.
#[tokio::test]
async fn a_request_says_what_the_session_agreed_on() {
    let upstream = Recorder::by_hand().await;
    let policy = r#"{ "version": "1", "default": "allow", "prompts": { "*": {} }, "resources": { "*": {} }, "reverse": { "sampling": "deny", "elicitation": "allow" } }"#;
    let gate = Gate::before(&upstream, policy);
    let declared = json!({ "sampling": {}, "elicitation": { "url": {} }, "tasks": { "list": {} }, "experimental": { "x": 1 },
        "extensions": { "io.modelcontextprotocol/tasks": {}, "vendor/x": {} } });
    let client = introduced(&gate, &upstream, declared).await;
    let claims = json!({ "progressToken": "p", "vendor": 1.50, "traceparent": "00-1",
        (format!("{META}clientCapabilities")): { "sampling": {} }, (format!("{META}logLevel")): "debug", (format!("{META}clientInfo")): "me" });
    for (n, level) in [None, Some("warning"), Some("debug")].into_iter().enumerate() {
        let id = n as i64;
        if let Some(level) = level {
            assert_eq!(client.request("logging/setLevel", json!({ "level": level })).await["result"], json!({}));
        }
        for (method, mut params, name) in [
            ("tools/call", json!({ "name": "ü", "arguments": { "b": 1.50, "a": [] } }), Some("=?base64?w7w=?=")),
            ("prompts/get", json!({ "name": "p", "arguments": { "a": "b" } }), Some("p")),
            ("resources/read", json!({ "uri": "file:///a" }), Some("file:///a")),
            ("resources/list", json!({ "cursor": "" }), None),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": "" } }),
                None,
            ),
        ] {
            params["_meta"] = claims.clone();
            let (pending, exchange) = sent(&upstream, &client, id, method, params.clone()).await;
            let (request, message) = (exchange.request.clone(), exchange.request.json());
            let header = |name: &str| request.header(name).map(str::to_owned);
            assert_eq!(header("mcp-protocol-version").as_deref(), Some("2026-07-28"));
            assert_eq!(header("mcp-method").as_deref(), Some(method));
            assert_eq!(header("mcp-name").as_deref(), name);
            assert_eq!(header("mcp-session-id"), None);
            params["_meta"] = json!({ "progressToken": "p", "vendor": 1.50, "traceparent": "00-1",
                (format!("{META}protocolVersion")): "2026-07-28",
                (format!("{META}clientInfo")): { "name": "testkit", "version": "1" },
                (format!("{META}clientCapabilities")): { "elicitation": { "url": {} }, "experimental": { "x": 1 }, "extensions": { "vendor/x": {} } } });
            if let Some(level) = level {
                params["_meta"][format!("{META}logLevel")] = json!(level);
            }
            assert_eq!((&message["method"], &message["params"]), (&json!(method), &params));
            exchange.answer_with_result(&json!({ "resultType": "complete", "resources": [], "vendor": 1.50, "ttlMs": 1, "cacheScope": "public" }));
            let result = pending.answer(id).await["result"].clone();
            assert!(result["resultType"].is_null() && result["vendor"] == json!(1.50), "{method}: {result}");
            assert_eq!(result["ttlMs"].is_null(), method.starts_with("resources/"), "{method}: {result}");
        }
    }
    let bad = client.request("logging/setLevel", json!({ "level": "loud" })).await;
    assert_eq!(bad["error"]["code"], -32602);
}

#[tokio::test]
async fn errors_are_those_that_legacy_knows() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let read = ("resources/read", json!({ "uri": "file:///a" }));
    let get = ("prompts/get", json!({ "name": "a" }));
    for ((method, params), status, code, expected, told) in [
        (read.clone(), 400, "-32602", json!(-32002), true),
        (read.clone(), 200, "-32602.0", json!(-32002), true),
        (get.clone(), 400, "-32602", json!(-32602), true),
        (get.clone(), 404, "-32601", json!(-32601), true),
        (get.clone(), 200, "-32603", json!(-32603), true),
        (get.clone(), 200, "17", json!(17), true),
        (get.clone(), 400, "-32020", json!(-32603), false),
        (get.clone(), 400, "-32021", json!(-32603), false),
        (get.clone(), 200, "-3.2022e4", json!(-32603), false),
        (get, 500, "-32603", json!(-32603), false),
    ] {
        let (pending, exchange) = sent(&upstream, &client, 7, method, params).await;
        let id = &exchange.request.json()["id"];
        let error = format!(r#"{{"code":{code},"message":"their words","data":{{"uri":"x","n":1.50}}}}"#);
        exchange.answer(Answer::text(
            status,
            "application/json",
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#),
        ));
        let reply = pending.begun().await;
        assert_eq!(reply.status, 200, "{code}");
        let body = reply.answer_to(&json!(7)).await;
        assert_eq!(body["error"]["code"], expected, "{code}: {body}");
        assert_eq!(body.to_string().contains("their words"), told, "{code}: {body}");
        assert_eq!(body["error"]["data"] == json!({ "uri": "x", "n": 1.50 }), told, "{code}: {body}");
    }
}

#[tokio::test]
async fn answers_that_are_none_fail_the_call() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    for (method, params, result) in [
        ("tools/call", json!({ "name": "a" }), json!({ "resultType": "vendor", "content": [] })),
        ("tools/call", json!({ "name": "a" }), json!({ "resultType": 1, "content": [] })),
        ("tools/call", json!({ "name": "a" }), json!({ "resultType": "task", "taskId": "t" })),
        ("tools/call", json!({ "name": "a" }), json!([])),
        ("tools/call", json!({ "name": "a" }), json!({ "resultType": "input_required" })),
        ("tools/call", json!({ "name": "a" }), json!({ "resultType": "input_required", "inputRequests": {} })),
        ("tools/call", json!({ "name": "a" }), json!({ "resultType": "input_required", "requestState": 7 })),
        (
            "tools/call",
            json!({ "name": "a" }),
            json!({ "resultType": "input_required", "requestState": "s", "inputRequests": [] }),
        ),
        (
            "tools/call",
            json!({ "name": "a" }),
            json!({ "resultType": "input_required", "requestState": "s", "inputRequests": { "k": {} } }),
        ),
        ("resources/list", json!({}), json!({ "resultType": "input_required", "requestState": "s" })),
        ("resources/list", json!({}), json!({ "resultType": "complete" })),
    ] {
        let (pending, exchange) = sent(&upstream, &client, 7, method, params).await;
        exchange.answer_with_result(&result);
        assert_eq!(pending.answer(7).await["error"]["code"], -32603, "{result}");
    }
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", json!({ "name": "a" })).await;
    let other = exchange.request.json()["id"].as_u64().unwrap() + 1;
    exchange.answer(Answer::json(200, &json!({ "jsonrpc": "2.0", "id": other, "result": { "content": [] } })));
    assert_eq!(pending.answer(7).await["error"]["code"], -32603, "an answer to something else");
}

/// Arguments that a tool declares are mirrored; when the server says that they are not, its tools are read again, once.
#[tokio::test]
async fn declared_arguments_are_mirrored_in_headers() {
    let declared = json!({ "name": "a", "inputSchema": { "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" }, "n": { "type": "integer", "x-mcp-header": "N" },
        "inner": { "type": "object", "properties": { "x": { "type": "boolean", "x-mcp-header": "X" } } } } } });
    let late = std::sync::atomic::AtomicBool::new(false);
    let upstream = Recorder::start(move |request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("initialize" | "notifications/initialized") => return failure(&message, 404, -32601),
            Some("server/discover") => discovered(),
            Some("tools/list") if late.swap(true, std::sync::atomic::Ordering::SeqCst) => {
                json!({ "resultType": "complete", "tools": [declared] })
            }
            Some("tools/list") => json!({ "resultType": "complete", "tools": [{ "name": "a", "inputSchema": {} }] }),
            _ if request.header("mcp-param-region") != Some("=?base64?w7w=?=") => {
                return failure(&message, 400, -32020);
            }
            _ => json!({ "resultType": "complete", "content": [] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    let client = gate.legacy().await;
    let arguments = json!({ "region": "ü", "n": 42.0, "inner": { "x": true } });
    assert_eq!(client.call("a", arguments.clone()).await["result"], json!({ "content": [] }));
    assert_eq!(called(&upstream), ["a", "a"], "stale, then right");
    let ids: std::collections::HashSet<String> =
        upstream.requests().iter().map(|request| request.json()["id"].to_string()).collect();
    assert_eq!(
        ids.len(),
        upstream.requests().iter().filter(|request| !request.json()["id"].is_null()).count(),
        "each under an id of its own"
    );
    let requests = upstream.requests();
    let last = requests.last().unwrap();
    assert_eq!((last.header("mcp-param-n"), last.header("mcp-param-x")), (Some("42"), Some("true")));

    let wrong = client.call("a", json!({ "region": "u" })).await;
    assert_eq!(wrong["error"]["code"], -32603, "and no more than once: {wrong}");
    assert_eq!(called(&upstream).len(), 4);
}

#[tokio::test]
async fn a_tool_that_cannot_be_mirrored_is_not_listed() {
    let tools = [
        r#"{"name":"a","inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"x" : 1.50}"#,
        r#"{"name":"b","inputSchema":{"type":"object","properties":{"x":{"type":"number","x-mcp-header":"X"}}}}"#,
        r#"{"name":"c","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}"#,
    ];
    let upstream = Recorder::mcp_modern(tools).await;
    let gate = Gate::before(&upstream, OPEN);
    let client = gate.legacy().await;
    let listed = client.start(1, "tools/list", json!({})).await.whole().await;
    let text = String::from_utf8(listed.body).unwrap();
    assert!(
        text.contains(&format!(r#""tools":[{},{{"name":"c","inputSchema":{{"type":"object"}}}}]"#, tools[0])),
        "{text}"
    );
}

#[tokio::test]
async fn what_a_requests_stream_brings_comes_before_the_answer() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let call = json!({ "name": "a", "_meta": { "progressToken": "p" } });
    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", call).await;
    let ours = exchange.request.json()["id"].clone();
    let mut stream = exchange.answer_with_events();
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "p", "progress": 1.50 } });
    let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": [] } });
    stream.send("retry: 5\nid: 9\ndata:\n\n");
    stream.event(&json!({ "jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {} }));
    stream.event(&json!({ "jsonrpc": "2.0", "id": 424242, "result": {} }));
    stream.event(&progress);
    stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    stream.event(&log);
    let mut reply = pending.begun().await;
    for expected in [progress, log] {
        let event = reply.next_event().await.unwrap();
        assert_eq!((event.json(), event.id), (expected, None));
    }
    stream.event(&json!({ "jsonrpc": "2.0", "id": ours, "result": { "resultType": "complete", "content": [], "structuredContent": [1] } }));
    assert_eq!(
        reply.next_event().await.unwrap().json(),
        json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } })
    );
    assert!(reply.next_event().await.is_none());
}

#[tokio::test]
async fn a_stream_that_breaks_fails_the_call() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    for early in [true, false] {
        let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", json!({ "name": "a" })).await;
        let mut stream = exchange.answer_with_events();
        if early {
            stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} }));
        }
        stream.cut();
        assert_eq!(pending.answer(7).await["error"]["code"], -32603);
    }
}

/// `notifications/cancelled` closes the server's stream; hanging up does not, but only so many calls go on unheard.
#[tokio::test]
async fn only_a_cancel_cancels() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let other = introduced(&gate, &upstream, everything()).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });

    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", json!({ "name": "a" })).await;
    let (others, untouched) = sent(&upstream, &other, 7, "tools/call", json!({ "name": "a" })).await;
    let message = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} });
    let mut stream = exchange.answer_with_events();
    stream.event(&message);
    let mut reply = pending.begun().await;
    assert_eq!(reply.next_event().await.unwrap().json(), message);
    assert_eq!(client.http().post(&cancel).await.status, 202);
    stream.hung_up().await;
    drop(reply);

    let (pending, exchange) = sent(&upstream, &client, 7, "tools/call", json!({ "name": "a" })).await;
    client.http().post(&cancel).await;
    exchange.hung_up().await;
    assert_eq!(pending.answer(7).await["error"]["code"], -32603, "before anything came back");

    untouched.answer_with_result(&json!({ "resultType": "complete", "content": [] }));
    assert_eq!(others.answer(7).await["result"], json!({ "content": [] }), "the same id in another session");

    let (pending, exchange) = sent(&upstream, &client, 99, "tools/call", json!({ "name": "a" })).await;
    let ours = exchange.request.json()["id"].clone();
    let mut stream = exchange.answer_with_events();
    stream.event(&message);
    let mut reply = pending.begun().await;
    reply.next_event().await;
    drop(reply);
    stream.event(
        &json!({ "jsonrpc": "2.0", "id": ours, "result": { "resultType": "input_required", "requestState": "on" } }),
    );
    let exchange = next(&upstream).await;
    assert_eq!(exchange.request.json()["params"]["requestState"], "on", "it goes on");
    exchange.answer_with_result(&json!({ "resultType": "complete", "content": [] }));

    let mut left = Vec::new();
    for id in 100..117 {
        let (pending, exchange) = sent(&upstream, &client, id, "tools/call", json!({ "name": "a" })).await;
        let mut stream = exchange.answer_with_events();
        stream.event(&message);
        let mut reply = pending.begun().await;
        reply.next_event().await;
        drop(reply);
        left.push(stream);
    }
    left.pop().unwrap().hung_up().await; // the one too many
    client
        .http()
        .post(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 110 } }))
        .await;
    left.remove(10).hung_up().await;
    let mut first = left.remove(0);
    first.event(&message);
    client.http().send("DELETE", &[], b"").await;
    first.hung_up().await; // the session is over
}

/// A server that turned legacy: sessions that count on modern end, and the client's next one is direct.
#[tokio::test]
async fn a_server_that_was_replaced_ends_the_session() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream, everything()).await;
    let (pending, exchange) = sent(&upstream, &client, 7, "prompts/get", json!({ "name": "a" })).await;
    let strange = failure(&exchange.request.json(), 400, -32000);
    exchange.answer(strange);
    let probe = upstream.next_exchange().await;
    let message = probe.request.json();
    assert_eq!(message["method"], "server/discover");
    probe.answer(failure(&message, 400, -32000));
    assert_eq!(pending.answer(7).await["error"]["code"], -32000);
    assert_eq!(client.start(8, "ping", json!({})).await.status, 404);
    let again = crate::gate::introduced(&gate, &upstream).await;
    let pending = tokio::spawn(async move { again.call("a", json!({})).await });
    let exchange = crate::gate::next_call(&upstream).await;
    assert_eq!(exchange.request.header("mcp-session-id"), Some("upstream-session"));
    exchange.answer_with_result(&json!({ "content": [] }));
    assert_eq!(pending.await.unwrap()["result"], json!({ "content": [] }));
}

/// A server of both eras that answers `initialize` is spoken to directly; one that is broken or wants credentials is not called modern.
#[tokio::test]
async fn only_a_refusal_that_speaks_of_the_era_is_bridged() {
    for (status, code, bridged) in [
        (404, -32601, true),
        (400, -32022, true),
        (200, -32601, true),
        (401, -32601, false),
        (429, -32601, false),
        (500, -32603, false),
    ] {
        let upstream = Recorder::start(move |request| {
            let message = request.json();
            match message["method"].as_str() {
                Some("initialize") => failure(&message, status, code),
                Some("notifications/initialized") => Answer::status(202),
                _ => Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": discovered() })),
            }
        })
        .await;
        let gate = Gate::before(&upstream, OPEN);
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {} } });
        let reply = gate.http().post(&hello).await;
        assert_eq!(reply.json()["result"].is_object(), bridged, "{status} {code}: {}", reply.json());
        assert_eq!(reply.header("mcp-session-id").is_some(), bridged);
    }
}
