//! Vectors 27 to 36: the envelope, the method, and other roads to a tool. Whatever the road, a forbidden call does not arrive.

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, McpClient, Recorder};

use crate::gate::{
    Gate, STRICT, called, introduced, methods, modern_call, modern_headers, modern_request, next_call, streamed, tool,
};

async fn upstream() -> Recorder {
    Recorder::mcp([tool("allowed_tool"), tool("forbidden_tool")]).await
}

fn call(id: impl Into<Value>, tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": { "name": tool, "arguments": {} } })
}

/// Status, and code of the JSON-RPC error.
async fn refusal(http: &HttpClient, body: &str) -> (u16, i64) {
    let response = http.post_text(body).await.whole().await;
    let code = response.json()["error"]["code"].as_i64();
    (response.status, code.unwrap_or_else(|| panic!("no error: {}", response.json())))
}

async fn legacy(gate: &Gate, revision: &str) -> HttpClient {
    McpClient::legacy_of(gate.http(), revision).await.http().clone()
}

/// Vector 27, where batches do not exist.
#[tokio::test]
async fn an_array_is_refused_whole() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, STRICT);
    let old = legacy(&gate, "2025-03-26").await;
    let session = old.clone();
    let clients = [
        ("no session", gate.http()),
        ("an unknown session", gate.http().header("Mcp-Session-Id", "00")),
        ("2024-11-05", legacy(&gate, "2024-11-05").await),
        ("2025-06-18", legacy(&gate, "2025-06-18").await),
        ("2025-11-25", legacy(&gate, "2025-11-25").await),
        ("2026-07-28", modern_headers(gate.http(), "tools/call", Some("allowed_tool"))),
    ];
    let (allowed, forbidden) = (call(1, "allowed_tool"), call(2, "forbidden_tool"));
    for body in [
        json!([allowed, forbidden]),
        json!([allowed]),
        json!([forbidden]),
        json!([[forbidden]]),
        json!([modern_call(1, "allowed_tool", json!({}))]),
    ] {
        for (name, http) in &clients {
            assert_eq!(refusal(http, &body.to_string()).await, (400, -32600), "{name}: {body}");
        }
    }
    for body in [
        json!([]),
        json!([1, forbidden]),
        json!([allowed, [forbidden]]),
        json!([allowed, null]),
        json!([allowed, "x"]),
        json!([allowed, { "jsonrpc": "2.0", "method": "tools/call", "params": {} }]),
        json!([allowed, { "jsonrpc": "1.0", "id": 1, "method": "ping" }]),
        json!([{ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-03-26", "capabilities": {} } }]),
        Value::Array(vec![allowed.clone(); 101]),
    ] {
        assert_eq!(refusal(&session, &body.to_string()).await, (400, -32600), "2025-03-26: {body}");
    }
    assert!(called(&upstream).is_empty());
}

/// Vector 27, where batches must be taken: each message alone, the answers together.
#[tokio::test]
async fn a_batch_of_2025_03_26_is_split() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, STRICT);
    let http = legacy(&gate, "2025-03-26").await;
    let before = upstream.requests().len();
    let batch = json!([
        call("first", "allowed_tool"),
        call(7, "forbidden_tool"),
        { "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } },
        { "jsonrpc": "2.0", "id": 9, "result": {} },
        { "jsonrpc": "2.0", "id": 8, "method": "no/such" },
        { "jsonrpc": "2.0", "method": "notifications/no/such" },
        modern_call(10, "allowed_tool", json!({})),
        call(7, "allowed_tool"),
    ]);
    let mut reply = http.post_streamed(&batch).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    let mut answers = Vec::new();
    while let Some(event) = reply.next_event().await {
        answers.push(event.json());
    }
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!("first"), &json!(7), &json!(8), &json!(10), &json!(7)]);
    assert!(answers[0]["result"]["isError"].is_null() && answers[4]["result"]["isError"].is_null());
    assert_eq!(answers[1]["result"]["isError"], true);
    assert_eq!((&answers[2]["error"]["code"], &answers[3]["error"]["code"]), (&json!(-32601), &json!(-32020)));
    let sent = upstream.requests().split_off(before);
    assert!(sent.iter().all(|request| request.json().is_object()), "never an array");
    assert_eq!(methods(&upstream)[before..], ["tools/call", "notifications/progress", "tools/call"]);
    assert_eq!(called(&upstream), ["allowed_tool", "allowed_tool"]);

    let quiet = json!([{ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 2 } }]);
    let accepted = http.post(&quiet).await;
    assert_eq!((accepted.status, accepted.body.as_slice()), (202, &b""[..]));
}

/// A client that leaves takes the rest of its batch with it.
#[tokio::test]
async fn a_batch_ends_with_its_client() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, STRICT);
    let (client, ()) = tokio::join!(McpClient::legacy_of(gate.http(), "2025-03-26"), async {
        for _ in 0..2 {
            crate::gate::introduce(upstream.next_exchange().await);
        }
    });
    let reply = client.http().post_streamed(&json!([call(1, "allowed_tool"), call(2, "allowed_tool")])).await;
    let exchange = crate::gate::next_call(&upstream).await;
    drop(reply);
    exchange.hung_up().await;
    assert_eq!(called(&upstream).len(), 1);
}

/// Vector 28: methods are compared byte for byte with a list.
#[tokio::test]
async fn a_method_has_one_spelling() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, STRICT);
    let session = legacy(&gate, "2025-11-25").await;
    let before = upstream.requests().len();
    for method in [
        "Tools/Call",
        "TOOLS/CALL",
        "tools/call/",
        "/tools/call",
        "tools//call",
        "tools/call ",
        " tools/call",
        "tools/call?x",
        "tools/call#",
        "tools\\call",
        "tools.call",
        "tools%2fcall",
        "tools/call\u{0}",
        "tools/call\n",
        "tools/\u{200b}call",
        "tools/ca\u{2113}l",
        "tools",
        "call",
        "",
        "rpc.call",
        "notifications/../tools/call",
        "completion/completE",
        "tasks/create",
        "$/call",
    ] {
        let mut body = call(1, "allowed_tool");
        body["method"] = json!(method);
        assert_eq!(refusal(&session, &body.to_string()).await, (200, -32601), "legacy {method:?}");
        body["params"] = modern_request(1, "x", body["params"].clone())["params"].clone();
        // A method that no header can carry cannot even be asked for.
        let plain = !method.is_empty() && method.trim() == method && method.bytes().all(|b| b.is_ascii_graphic());
        let mirrored = modern_headers(gate.http(), &mcp::encode(method), Some("allowed_tool"));
        let expected = if plain || method.is_empty() { (404, -32601) } else { (400, -32020) };
        assert_eq!(refusal(&mirrored, &body.to_string()).await, expected, "modern {method:?}");
        let lying = modern_headers(gate.http(), "tools/call", Some("allowed_tool"));
        assert_eq!(refusal(&lying, &body.to_string()).await, (400, -32020), "lying {method:?}");
    }
    for method in ["notifications/tools/call", "notifications/Cancelled", "notifications/"] {
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": call(1, "forbidden_tool")["params"] });
        let response = session.post(&body).await;
        assert_eq!(response.status, 400, "an unknown notification is told so by the status: {method}");
    }
    assert_eq!(upstream.requests().len(), before, "{:?}", methods(&upstream));
}

/// Methods of the other era, or of another revision, are unknown.
#[tokio::test]
async fn a_method_belongs_to_its_revision() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, STRICT);
    for (revision, method) in [
        ("2025-11-25", "server/discover"),
        ("2025-11-25", "subscriptions/listen"),
        ("2025-11-25", "tasks/update"),
        ("2025-06-18", "tasks/get"),
        ("2025-03-26", "tasks/list"),
    ] {
        let session = legacy(&gate, revision).await;
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": { "taskId": "1" } });
        assert_eq!(refusal(&session, &body.to_string()).await, (200, -32601), "{revision} {method}");
    }
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"] {
        let body =
            modern_request("x", method, json!({ "uri": "a:b", "level": "info", "protocolVersion": "2026-07-28" }));
        let http = modern_headers(gate.http(), method, Some("a:b"));
        let response = http.post(&body).await;
        assert_eq!((response.status, &response.json()["error"]["code"]), (404, &json!(-32601)), "{method}");
        assert_eq!(response.json()["id"], "x");
    }
    assert!(methods(&upstream).iter().all(|method| method == "initialize" || method == "notifications/initialized"));
}

/// Vectors 29 and 30, and rules R3 and R4.
#[tokio::test]
async fn a_message_is_one_thing() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, STRICT);
    let session = legacy(&gate, "2025-11-25").await;
    let modern = modern_headers(gate.http(), "tools/call", Some("allowed_tool"));
    let before = upstream.requests().len();
    let with = |key: &str, value: Value| {
        let mut body = call(1, "allowed_tool");
        body[key] = value;
        body.to_string()
    };
    let mut unanswerable = call(1, "allowed_tool");
    unanswerable.as_object_mut().unwrap().remove("id");
    for (name, body, expected) in [
        ("a request that carries a result", with("result", json!({})), (400, -32600)),
        ("a request that carries an error", with("error", json!({})), (400, -32600)),
        (
            "an answer that carries params",
            json!({ "jsonrpc": "2.0", "id": 1, "result": {}, "params": call(1, "allowed_tool")["params"] }).to_string(),
            (400, -32600),
        ),
        ("an answer to nothing", json!({ "jsonrpc": "2.0", "id": 1, "result": {} }).to_string(), (400, -32600)),
        (
            "an error to nothing",
            json!({ "jsonrpc": "2.0", "id": "1", "error": { "code": 1, "message": "" } }).to_string(),
            (400, -32600),
        ),
        (
            "an answer that is also an error",
            json!({ "jsonrpc": "2.0", "id": 1, "result": {}, "error": {} }).to_string(),
            (400, -32600),
        ),
        ("an answer without an id", json!({ "jsonrpc": "2.0", "result": {} }).to_string(), (400, -32600)),
        ("a call without an id", unanswerable.to_string(), (400, -32600)),
        ("id null", with("id", json!(null)), (400, -32600)),
        ("id 1.5", with("id", json!(1.5)), (400, -32600)),
        ("id 2^80", with("id", serde_json::from_str("1208925819614629174706176").unwrap()), (400, -32600)),
        ("id true", with("id", json!(true)), (400, -32600)),
        ("id {}", with("id", json!({})), (400, -32600)),
        ("jsonrpc 1.0", with("jsonrpc", json!("1.0")), (400, -32600)),
        ("jsonrpc 2", with("jsonrpc", json!(2.0)), (400, -32600)),
        ("positional params", with("params", json!(["allowed_tool", {}])), (400, -32602)),
        ("params in a string", with("params", json!("{}")), (400, -32602)),
        ("arguments in a list", with("params", json!({ "name": "allowed_tool", "arguments": [] })), (400, -32602)),
        ("a name in a list", with("params", json!({ "name": ["allowed_tool"] })), (400, -32602)),
        ("no name", with("params", json!({ "arguments": {} })), (400, -32602)),
        ("a body in a string", json!(call(1, "allowed_tool").to_string()).to_string(), (400, -32600)),
        ("two documents", format!("{0}\n{0}", call(1, "allowed_tool")), (400, -32700)),
        (
            "a duplicate name",
            call(1, "x").to_string().replace("\"name\":\"x\"", "\"name\":\"forbidden_tool\",\"name\":\"allowed_tool\""),
            (400, -32600),
        ),
        (
            "a duplicate in an argument",
            call(1, "allowed_tool")
                .to_string()
                .replace("\"arguments\":{}", "\"arguments\":{\"a\":[{\"b\":1,\"\\u0062\":2}]}"),
            (400, -32600),
        ),
        ("a byte order mark", format!("\u{feff}{}", call(1, "allowed_tool")), (400, -32700)),
        ("nothing", String::new(), (400, -32700)),
    ] {
        assert_eq!(refusal(&session, &body).await, expected, "legacy: {name}");
        let (status, code) = refusal(&modern, &body).await;
        assert!(status == 400 && [-32700, -32600, -32602, -32020].contains(&code), "modern: {name}: {status} {code}");
    }
    assert_eq!(upstream.requests().len(), before);
    let quiet = json!({ "jsonrpc": "2.0", "id": "", "method": "tools/call", "params": { "name": "allowed_tool" } });
    assert_eq!(session.post(&quiet).await.json()["id"], "", "an empty string is a lawful id");
}

/// Vector 31: a call as a task is judged as a call, and a task belongs to whose call made it.
#[tokio::test]
async fn a_task_is_a_call_and_has_an_owner() {
    let upstream = Recorder::start(|request| {
        let message = request.json();
        let result = match message["method"].as_str().unwrap() {
            "initialize" => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }),
            "tools/call" => json!({ "task": { "taskId": "task-1", "status": "working" } }),
            "tasks/list" => json!({ "tasks": [{ "taskId": "task-1", "status": "working" }, { "taskId": "task-2", "status": "working" }] }),
            "tasks/result" => json!({ "content": [{ "type": "text", "text": "secret of the owner" }] }),
            _ if message["id"].is_null() => return Answer::status(202),
            _ => json!({ "taskId": "task-1", "status": "working" }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await;
    let gate = Gate::before(&upstream, STRICT);
    let (owner, other) = (gate.legacy().await, gate.legacy().await);
    let task = |tool: &str| json!({ "name": tool, "arguments": {}, "task": { "ttl": 60000 } });

    let denied = owner.request("tools/call", task("forbidden_tool")).await;
    assert_eq!(denied["error"]["code"], 1403, "a task is owed, so a denial is an error: {denied}");
    assert!(called(&upstream).is_empty());
    assert_eq!(owner.request("tasks/get", json!({ "taskId": "task-1" })).await["error"]["code"], -32602, "not yet");
    let made = owner.request("tools/call", task("allowed_tool")).await;
    assert_eq!(made["result"]["task"]["taskId"], "task-1");

    let sent = upstream.requests().len();
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        for task in ["task-1", "task-2"] {
            let answer = other.request(method, json!({ "taskId": task })).await;
            assert_eq!(answer["error"], json!({ "code": -32602, "message": "task not found" }), "{method} {task}");
        }
    }
    assert_eq!(upstream.requests().len(), sent);
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        assert!(owner.request(method, json!({ "taskId": "task-1" })).await["error"].is_null(), "{method}");
    }
    let ids = |answer: Value| {
        answer["result"]["tasks"].as_array().unwrap().iter().map(|task| task["taskId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(owner.request("tasks/list", json!({})).await), [json!("task-1")]);
    assert!(ids(other.request("tasks/list", json!({})).await).is_empty());
}

/// Nor does anybody hear how another's task is doing.
#[tokio::test]
async fn news_of_a_task_is_for_its_owner() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, STRICT);
    let (owner, other) = (introduced(&gate, &upstream).await, introduced(&gate, &upstream).await);
    let made = async {
        next_call(&upstream).await.answer_with_result(&json!({ "task": { "taskId": "task-1", "status": "working" } }))
    };
    tokio::join!(owner.request("tools/call", json!({ "name": "allowed_tool", "task": {} })), made);
    let news = |id: &str| json!({ "jsonrpc": "2.0", "method": "notifications/tasks/status", "params": { "taskId": id, "status": "failed", "statusMessage": "m" } });
    let last = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    for (client, expected) in [(&owner, vec![news("task-1"), last.clone()]), (&other, vec![last.clone()])] {
        let (mut reply, _, mut stream) = streamed(&upstream, client.http().get()).await;
        for message in [news("task-2"), news("task-1"), last.clone()] {
            stream.event(&message);
        }
        stream.end();
        let mut heard = Vec::new();
        while let Some(event) = reply.next_event().await {
            heard.push(event.json());
        }
        assert_eq!(heard, expected);
    }
}

/// A server that counts its tasks gives equal ids to two: then nobody can tell whose the task is, and neither reads the other's.
#[tokio::test]
async fn a_task_that_two_were_given_is_nobodys() {
    let upstream = Recorder::start(|request| {
        let message = request.json();
        let result = match message["method"].as_str().unwrap() {
            "initialize" => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }),
            _ if message["id"].is_null() => return Answer::status(202),
            _ => json!({ "taskId": "task-1", "task": { "taskId": "task-1" }, "content": [] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await;
    let gate = Gate::before(&upstream, STRICT);
    let (owner, other) = (gate.legacy().await, gate.legacy().await);
    let get = json!({ "taskId": "task-1" });
    for _ in 0..2 {
        owner.call("allowed_tool", json!({})).await;
        assert!(owner.request("tasks/get", get.clone()).await["error"].is_null(), "named twice, it is still the same");
    }
    for client in [&other, &owner] {
        client.call("allowed_tool", json!({})).await;
        for client in [&owner, &other] {
            assert_eq!(client.request("tasks/get", get.clone()).await["error"]["message"], "task not found");
        }
    }
}

/// Vector 32: a retry is a new call.
#[tokio::test]
async fn a_retry_is_judged_anew() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, STRICT);
    let retry = |tool: &str| {
        modern_request(
            2,
            "tools/call",
            json!({ "name": tool, "arguments": { "n": 1 }, "requestState": "state of allowed_tool", "inputResponses": { "a": { "action": "accept" } } }),
        )
    };
    let denied = modern_headers(gate.http(), "tools/call", Some("forbidden_tool")).post(&retry("forbidden_tool")).await;
    assert_eq!(denied.json()["result"]["isError"], true);
    assert!(called(&upstream).is_empty());
    modern_headers(gate.http(), "tools/call", Some("allowed_tool")).post(&retry("allowed_tool")).await;
    let sent = upstream.requests().pop().unwrap().json();
    assert_eq!(sent["params"]["requestState"], "state of allowed_tool", "exactly as it came");
    assert_eq!(sent["params"]["inputResponses"], json!({ "a": { "action": "accept" } }));
}

/// Vector 33: what looks like reading has rules of its own, and without them it is denied.
#[tokio::test]
async fn other_methods_have_rules_of_their_own() {
    let upstream = upstream().await;
    // A tool of that name is allowed; that says nothing about prompts and resources.
    let policy = r#"{ "version": "1", "tools": { "*_tool": {}, "docs://*": {} }, "prompts": { "review": {} }, "resources": { "docs://*": {} } }"#;
    let gate = Gate::before(&upstream, policy);
    let client = gate.legacy().await;
    let before = upstream.requests().len();
    for (method, params) in [
        ("prompts/get", json!({ "name": "allowed_tool" })),
        ("prompts/get", json!({ "name": "Review" })),
        ("resources/read", json!({ "uri": "file:///etc/passwd" })),
        ("resources/read", json!({ "uri": "DOCS://a" })),
        ("resources/subscribe", json!({ "uri": "file:///etc/passwd" })),
        ("resources/unsubscribe", json!({ "uri": "file:///etc/passwd" })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "allowed_tool" }, "argument": { "name": "a", "value": "" } }),
        ),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/resource", "uri": "file:///{x}" }, "argument": { "name": "a", "value": "" } }),
        ),
    ] {
        let answer = client.request(method, params.clone()).await;
        assert_eq!(answer["error"]["code"], 1403, "{method} {params}");
        assert_eq!(answer["error"]["data"]["dev.toolgate/decision"]["rule"], "(default deny)");
    }
    for params in [
        json!({ "ref": { "type": "ref/tool", "name": "allowed_tool" }, "argument": { "name": "a", "value": "" } }),
        json!({ "ref": "review", "argument": { "name": "a", "value": "" } }),
        json!({ "argument": { "name": "a", "value": "" } }),
    ] {
        assert_eq!(client.request("completion/complete", params.clone()).await["error"]["code"], -32602, "{params}");
    }
    assert_eq!(upstream.requests().len(), before);
    for (method, params) in [
        ("prompts/get", json!({ "name": "review" })),
        ("resources/read", json!({ "uri": "docs://a" })),
        ("resources/subscribe", json!({ "uri": "docs://a" })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "review" }, "argument": { "name": "a", "value": "" } }),
        ),
    ] {
        client.request(method, params).await;
        assert_eq!(methods(&upstream).last().unwrap(), method);
    }
}

/// Vector 33 in the modern era, subscriptions included (vector 34).
#[tokio::test]
async fn a_subscription_to_a_forbidden_resource_is_refused_whole() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "resources": { "docs://*": {} } }"#);
    let http = modern_headers(gate.http(), "subscriptions/listen", None);
    for uris in [json!(["file:///etc/passwd"]), json!(["docs://a", "file:///etc/passwd"])] {
        let body =
            modern_request(1, "subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": uris } }));
        assert_eq!(refusal(&http, &body.to_string()).await, (200, 1403), "{uris}");
    }
    for wrong in [json!("docs://a"), json!([1]), json!({}), json!([["docs://a"]])] {
        let body =
            modern_request(1, "subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": wrong } }));
        assert_eq!(refusal(&http, &body.to_string()).await, (400, -32602), "{wrong}");
    }
    assert!(upstream.requests().is_empty());
}
