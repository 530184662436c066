//! What a modern request must say, and what its stream may say back.

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, Recorder};

use crate::gate::{
    Gate, OPEN, called, methods, modern_call, modern_headers, modern_request, next_call, streamed, tool,
};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Vector 45: what a header says and what the body says is one thing, or nothing is sent, not even to ask for the era.
#[tokio::test]
async fn headers_and_body_agree() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let (version, method, name) = ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name");
    let right = [(version, "2026-07-28"), (method, "tools/call"), (name, "a")];
    for (changed, value) in [
        (version, None),
        (version, Some("2025-11-25")),
        (version, Some("2026-07-29")),
        (version, Some("")),
        (method, None),
        (method, Some("")),
        (method, Some("tools/list")),
        (method, Some("Tools/Call")),
        (method, Some("tools/call, tools/list")),
        (method, Some("=?base64?dG9vbHMvbGlzdA==?=")),
        (method, Some("=?base64?dG9vbHMvY2FsbA==?=")),
        (name, None),
        (name, Some("")),
        (name, Some("b")),
        (name, Some("A")),
        (name, Some("a b")),
        (name, Some("a,a")),
        (name, Some("\u{e4}")),
        (name, Some("=?base64?Yg==?=")),
        (name, Some("=?base64?YQ?=")),
        (name, Some("=?base64?Y!==?=")),
        (name, Some("=?BASE64?YQ==?=")),
        (name, Some("=?base64?=?base64?WVE9PQ==?=?=")),
    ] {
        let lines = right.iter().map(|&(key, said)| (key, if key == changed { value } else { Some(said) }));
        let http = lines
            .fold(gate.http(), |http, (key, value)| value.iter().fold(http, |http, value| http.header(key, value)));
        let response = http.post(&modern_call("k", "a", json!({}))).await;
        assert_eq!((response.status, &response.json()["error"]["code"]), (400, &json!(-32020)), "{changed}: {value:?}");
        assert_eq!(response.json()["id"], "k");
    }
    // The reverse: the header names what is allowed, the body what is not.
    let strict = Gate::before(&upstream, crate::gate::STRICT);
    let response =
        modern_headers(strict.http(), "tools/call", Some("allowed_tool")).post(&modern_call(1, "a", json!({}))).await;
    assert_eq!(response.json()["error"]["code"], -32020);
    for (method, params, said) in
        [("resources/read", json!({ "uri": "docs://b" }), "docs://a"), ("prompts/get", json!({ "name": "b" }), "a")]
    {
        let response = modern_headers(gate.http(), method, Some(said)).post(&modern_request(1, method, params)).await;
        assert_eq!(response.json()["error"]["code"], -32020, "{method}");
    }
    assert!(upstream.requests().is_empty(), "{:?}", methods(&upstream));
    let response = modern_headers(gate.http(), " \ttools/call ", Some("=?base64?YQ==?="))
        .post(&modern_call(1, "a", json!({})))
        .await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_request_says_its_version_and_capabilities() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let http = modern_headers(gate.http(), "tools/call", Some("a"));
    for (meta, expected) in [
        (json!(null), (400, -32602)),
        (json!([]), (400, -32602)),
        (json!({}), (400, -32602)),
        (json!({ CAPABILITIES: {} }), (400, -32602)),
        (json!({ VERSION: "2026-07-28" }), (400, -32602)),
        (json!({ VERSION: "2026-07-28", CAPABILITIES: [] }), (400, -32602)),
        (json!({ VERSION: "2026-07-28", CAPABILITIES: null }), (400, -32602)),
        (json!({ VERSION: 20260728, CAPABILITIES: {} }), (400, -32602)),
        (json!({ VERSION: "2025-11-25", CAPABILITIES: {} }), (400, -32020)),
    ] {
        let mut body = modern_call(1, "a", json!({}));
        body["params"]["_meta"] = meta.clone();
        let response = http.post(&body).await;
        assert_eq!((response.status, response.json()["error"]["code"].as_i64().unwrap()), expected, "{meta}");
    }
    for version in ["2099-01-01", "2026-07-29", "nonsense", "2026-07-28x"] {
        let http = gate
            .http()
            .header("MCP-Protocol-Version", version)
            .header("Mcp-Method", "tools/call")
            .header("Mcp-Name", "a");
        let mut body = modern_call(1, "a", json!({}));
        body["params"]["_meta"][VERSION] = json!(version);
        let response = http.post(&body).await;
        let error = &response.json()["error"];
        assert_eq!((response.status, &error["code"]), (400, &json!(-32022)), "{version}");
        assert_eq!(error["data"]["requested"], version);
        assert!(error["data"]["supported"].as_array().unwrap().contains(&json!("2026-07-28")));
    }
    assert!(upstream.requests().is_empty(), "{:?}", methods(&upstream));
}

#[tokio::test]
async fn a_notification_is_taken_and_goes_nowhere() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let http = modern_headers(gate.http(), "notifications/cancelled", None);
    let params = modern_request(1, "x", json!({ "requestId": 1 }))["params"].clone();
    let accepted = http.post(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })).await;
    assert_eq!((accepted.status, accepted.body.len()), (202, 0));
    for method in
        ["notifications/initialized", "notifications/progress", "notifications/roots/list_changed", "notifications/x"]
    {
        let response = modern_headers(gate.http(), method, None)
            .post(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
            .await;
        assert!((400..500).contains(&response.status), "{method} is not of this era: {}", response.status);
    }
    assert!(upstream.requests().is_empty());
}

/// Vector 46.
#[tokio::test]
async fn a_mirrored_argument_is_declared_and_agrees() {
    let declared = r#"{"name":"a","inputSchema":{"type":"object","properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "where":{"type":"object","properties":{"level":{"type":"integer","x-mcp-header":"Level"}}}}}}"#;
    let upstream = Recorder::mcp([declared.to_owned(), tool("plain")]).await;
    let gate = Gate::before(&upstream, OPEN);
    let call = async |tool: &str, arguments: Value, lines: &[(&str, &str)]| {
        let http = modern_headers(gate.http(), "tools/call", Some(tool));
        let http = lines.iter().fold(http, |http, (name, value)| http.header(name, value));
        let response = http.post(&modern_call(1, tool, arguments)).await;
        (response.status, response.json()["error"]["code"].clone())
    };
    let refused = (400, json!(-32020));
    let arguments = json!({ "region": "eu", "where": { "level": 3 } });
    let level = ("Mcp-Param-Level", "3");
    for lines in [
        &[("Mcp-Param-Region", "us"), level][..],
        &[("Mcp-Param-Region", "EU"), level],
        &[("Mcp-Param-Region", "=?base64?dXM=?="), level],
        &[("Mcp-Param-Region", "eu"), ("Mcp-Param-Level", "4")],
        &[("Mcp-Param-Region", "eu")],
        &[("Mcp-Param-Region", "eu"), ("mcp-param-region", "eu"), level],
        &[("Mcp-Param-Region", ""), level],
    ] {
        assert_eq!(call("a", arguments.clone(), lines).await, refused, "{lines:?}");
    }
    assert_eq!(call("a", json!({}), &[("Mcp-Param-Region", "eu")]).await, refused, "a header without its argument");
    assert!(called(&upstream).is_empty());

    let lines = [
        ("Mcp-Param-Region", "=?base64?ZXU=?="),
        ("mcp-param-level", "3.0"),
        ("Mcp-Param-Other", "x"),
        ("Mcp-Param", "x"),
    ];
    assert_eq!(call("a", arguments, &lines).await.0, 200);
    let sent = upstream.requests().pop().unwrap();
    assert_eq!(
        (sent.header("mcp-param-region"), sent.header("mcp-param-level")),
        (Some("eu"), Some("3")),
        "written from the body"
    );
    assert_eq!((sent.header("mcp-param-other"), sent.header("mcp-param")), (None, None), "undeclared ones are dropped");
    assert_eq!(
        call("plain", json!({ "region": "eu" }), &[("Mcp-Param-Region", "us")]).await.0,
        200,
        "nothing declares it"
    );
    assert_eq!(upstream.requests().pop().unwrap().header("mcp-param-region"), None);
}

/// `subscriptions/listen`: the client knows it by its own id, and sees what it may see.
#[tokio::test]
async fn a_subscription_speaks_of_the_clients_id() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "resources": { "docs://*": {} }, "tools": { "a": {} } }"#);
    let wanted =
        json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["docs://a"], "vendor": 1 } });
    let http = modern_headers(gate.http(), "subscriptions/listen", None);
    let listen = modern_request("mine", "subscriptions/listen", wanted);
    let (mut reply, request, mut stream) = streamed(&upstream, http.post_streamed(&listen)).await;
    assert_eq!(
        request.json()["params"]["notifications"],
        json!({ "toolsListChanged": true, "resourceSubscriptions": ["docs://a"] })
    );
    let id = request.json()["id"].clone();
    assert_ne!(id, "mine");

    let notice = |method: &str, mut params: Value| {
        params["_meta"] = json!({ SUBSCRIPTION: id, "vendor": true });
        json!({ "jsonrpc": "2.0", "method": method, "params": params })
    };
    let hidden = [
        notice("notifications/resources/updated", json!({ "uri": "file:///etc/passwd" })),
        notice("notifications/vendor", json!({})),
        json!({ "jsonrpc": "2.0", "id": 7, "method": "sampling/createMessage", "params": {} }),
        json!({ "jsonrpc": "2.0", "id": 999_999, "result": {} }),
        json!({ "no": "message" }),
    ];
    for (method, params) in [
        ("notifications/subscriptions/acknowledged", json!({ "notifications": { "toolsListChanged": true } })),
        ("notifications/tools/list_changed", json!({})),
        ("notifications/resources/updated", json!({ "uri": "docs://a" })),
    ] {
        hidden.iter().for_each(|message| stream.event(message));
        stream.event(&notice(method, params.clone()));
        let seen = reply.next_event().await.unwrap().json();
        let mut expected = notice(method, params);
        expected["params"]["_meta"][SUBSCRIPTION] = json!("mine");
        assert_eq!(seen, expected);
    }
    stream.event(
        &json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete", "_meta": { SUBSCRIPTION: id } } }),
    );
    stream.end();
    let end = reply.next_event().await.unwrap().json();
    assert_eq!(
        end,
        json!({ "jsonrpc": "2.0", "id": "mine", "result": { "resultType": "complete", "_meta": { SUBSCRIPTION: "mine" } } })
    );
    assert!(reply.next_event().await.is_none());
}

/// A subscription to a task that is not the agent's own is refused (vector 31).
#[tokio::test]
async fn a_subscription_to_a_foreign_task_is_refused() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, OPEN);
    for tasks in [json!(["task-1"]), json!([7]), json!("task-1"), json!({})] {
        let listen = modern_request(1, "subscriptions/listen", json!({ "notifications": { "taskIds": tasks } }));
        let response = modern_headers(gate.http(), "subscriptions/listen", None).post(&listen).await;
        assert_eq!(response.json()["error"]["message"], "task not found", "{tasks}");
    }
    assert!(upstream.requests().is_empty());
}

/// Modern tasks are their owner's too, and only for clients that know of them.
#[tokio::test]
async fn a_task_belongs_to_the_caller_that_made_it() {
    let upstream = Recorder::start(|request| {
        let message = request.json();
        let result = json!({ "resultType": "task", "task": { "taskId": "task-1", "status": "working" }, "supportedVersions": ["2026-07-28"] });
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await;
    let gate = Gate::before(&upstream, OPEN);
    let request = |method: &str, params: Value| {
        let mut body = modern_request(1, method, params);
        body["params"]["_meta"][CAPABILITIES] = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
        body
    };
    let get = request("tasks/get", json!({ "taskId": "task-1" }));
    let of_task = |method: &str| modern_headers(gate.http(), method, Some("task-1"));
    assert_eq!(of_task("tasks/get").post(&get).await.json()["error"]["code"], -32602, "nobody's yet");
    modern_headers(gate.http(), "tools/call", Some("a")).post(&request("tools/call", json!({ "name": "a" }))).await;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let body = request(method, json!({ "taskId": "task-1", "inputResponses": {} }));
        assert!(of_task(method).post(&body).await.json()["error"].is_null(), "{method}");
    }
    let undeclared = modern_request(1, "tasks/get", json!({ "taskId": "task-1" }));
    let response = of_task("tasks/get").post(&undeclared).await;
    assert_eq!((response.status, &response.json()["error"]["code"]), (400, &json!(-32021)));
}

/// Hanging up is cancelling: the upstream's connection closes at once, before an answer and in the middle of one.
#[tokio::test]
async fn hanging_up_cancels() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let http = modern_headers(gate.http(), "tools/call", Some("a"));
    let body = modern_call(1, "a", json!({}));

    let waiting = http.post_streamed(&body);
    tokio::pin!(waiting);
    let exchange = tokio::select! {
        _ = &mut waiting => panic!("nobody answered"),
        exchange = next_call(&upstream) => exchange,
    };
    let hung_up = async {
        let client = tokio::spawn({
            let (http, body) = (http.clone(), body.clone());
            async move { http.post_streamed(&body).await }
        });
        let second = next_call(&upstream).await;
        client.abort();
        second.hung_up().await;
    };
    hung_up.await;
    exchange.answer_with_result(&json!({ "content": [] }));
    assert_eq!(waiting.await.status, 200, "and nobody else's");

    let (mut reply, _, mut stream) = streamed(&upstream, http.post_streamed(&body)).await;
    stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } }));
    assert!(reply.next_event().await.is_some());
    drop(reply);
    stream.hung_up().await;

    let listen = modern_request(1, "subscriptions/listen", json!({ "notifications": {} }));
    let listening = modern_headers(gate.http(), "subscriptions/listen", None);
    let (reply, _, mut stream) = streamed(&upstream, listening.post_streamed(&listen)).await;
    drop(reply);
    stream.hung_up().await;
}

/// What the policy denies a server is neither offered to it nor passed on when it asks.
#[tokio::test]
async fn a_server_gets_no_more_of_the_client_than_the_policy_gives() {
    let input = |method: &str| json!({ "resultType": "input_required", "requestState": "s", "inputRequests": { "x": { "method": method, "params": {} } } });
    let cases = [
        (r#""sampling":"allow""#, "sampling/createMessage", true),
        (r#""elicitation":"allow""#, "elicitation/create", true),
        (r#""roots":"allow""#, "roots/list", true),
        (r#""elicitation":"allow","roots":"allow""#, "sampling/createMessage", false),
        (r#""sampling":"allow","roots":"allow""#, "elicitation/create", false),
        (r#""sampling":"allow","elicitation":"allow""#, "roots/list", false),
        ("", "elicitation/create", false),
        (r#""sampling":"allow","elicitation":"allow""#, "tools/call", false),
    ];
    for (reverse, method, passes) in cases {
        let result = input(method);
        for stream in [false, true] {
            let result = result.clone();
            let upstream = Recorder::start(move |request| {
                let answer = json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result });
                match stream {
                    true => Answer::events([&answer]),
                    false => Answer::json(200, &answer),
                }
            })
            .await;
            let gate = Gate::before(
                &upstream,
                &format!(
                    r#"{{ "version": "1", "default": "allow", "prompts": {{ "*": {{}} }}, "resources": {{ "*": {{}} }}, "reverse": {{ {reverse} }} }}"#
                ),
            );
            for (call, params, name) in [
                ("tools/call", json!({ "name": "a" }), "a"),
                ("prompts/get", json!({ "name": "a" }), "a"),
                ("resources/read", json!({ "uri": "a:b" }), "a:b"),
            ] {
                let mut body = modern_request(1, call, params);
                body["params"]["_meta"][CAPABILITIES] = json!({ "sampling": { "tools": {} }, "roots": {}, "elicitation": { "form": {} }, "extensions": { "x": {} } });
                let answer =
                    modern_headers(gate.http(), call, Some(name)).post_streamed(&body).await.answer_to(&json!(1)).await;
                match passes {
                    true => assert_eq!(answer["result"], input(method), "{reverse} {call}"),
                    false => assert_eq!(answer["error"]["code"], -32603, "{reverse} {method} {call}: {answer}"),
                }
                let sent = upstream.requests().pop().unwrap().json()["params"]["_meta"][CAPABILITIES].clone();
                for capability in ["sampling", "elicitation", "roots"] {
                    assert_eq!(
                        sent.get(capability).is_some(),
                        reverse.contains(capability),
                        "{reverse} {capability}: {sent}"
                    );
                }
                assert_eq!(sent["extensions"], json!({ "x": {} }), "what the policy is not about stays");
            }
        }
    }
}

/// Vector 36: a modern server has nobody to send requests to.
#[tokio::test]
async fn a_request_on_a_modern_stream_is_dropped() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let http: HttpClient = modern_headers(gate.http(), "tools/call", Some("a"));
    let (mut reply, request, mut stream) =
        streamed(&upstream, http.post_streamed(&modern_call(1, "a", json!({})))).await;
    for method in ["sampling/createMessage", "elicitation/create", "roots/list", "ping"] {
        stream.event(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} }));
    }
    stream.event(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": { "content": [] } }));
    assert_eq!(reply.next_event().await.unwrap().json()["result"], json!({ "content": [] }));
    let sent = upstream.requests().len();
    stream.end();
    assert!(reply.next_event().await.is_none());
    assert_eq!(upstream.requests().len(), sent, "and not answered either");
}
