//! What a denial looks like on the wire (`reference/mcp.md`, section 4).

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, Recorder};

use crate::gate::{
    Gate, called, introduced, methods, modern_headers, modern_request, next_call, streamed, tool, unnumbered,
};

async fn upstream() -> Recorder {
    Recorder::mcp(["known", "denied", "hidden", "limited", "approval"].map(tool)).await
}

/// The raw body of an answer to a call, and its status.
async fn call(gate: &Gate, session: Option<&HttpClient>, tool: &str) -> (u16, String) {
    let params = json!({ "name": tool, "arguments": { "secret": "CANARY" } });
    let response = match session {
        Some(http) => {
            http.post(&json!({ "jsonrpc": "2.0", "id": "k", "method": "tools/call", "params": params })).await
        }
        None => {
            modern_headers(gate.http(), "tools/call", Some(tool)).post(&modern_request("k", "tools/call", params)).await
        }
    };
    assert_eq!(response.header("content-type"), Some("application/json"));
    (response.status, String::from_utf8(response.body).unwrap())
}

#[tokio::test]
async fn a_visible_tool_is_denied_by_a_result_that_a_model_can_read() {
    let upstream = upstream().await;
    let policy = r#"{ "version": "1", "tools": {
        "den*": { "action": "deny", "reason": "Ask \"Ann\" first." }, "known": {},
        "approval": { "action": "require_approval", "reason": "Costs money." }, "x~/y": "deny" } }"#;
    let gate = Gate::before(&upstream, policy);
    let hash = gate
        .ready()
        .await
        .lines()
        .find_map(|line| line.strip_prefix("policy ")?.split(' ').nth(1).map(str::to_owned))
        .unwrap();
    let session = gate.legacy().await;
    for (tool, text, code, rule, reason) in [
        (
            "denied",
            "toolgate: `denied` is denied. Ask \"Ann\" first. Rule: /tools/den*. Repeating the call will not help.",
            "denied.rule",
            "/tools/den*",
            Some("Ask \"Ann\" first."),
        ),
        (
            "x~/y",
            "toolgate: `x~/y` is denied by the operator's policy. Rule: /tools/x~0~1y. Repeating the call will not help.",
            "denied.rule",
            "/tools/x~0~1y",
            None,
        ),
        (
            "no such tool",
            "toolgate: `no such tool` is denied by the operator's policy. Rule: (default deny). Repeating the call will not help.",
            "denied.default",
            "(default deny)",
            None,
        ),
        (
            "approval",
            "toolgate: `approval` needs a person's approval, and nobody can be asked: this gateway has no store to keep approvals in. \
             It was not run. Costs money. Rule: /tools/approval. Repeating the call will not help.",
            "approval.unavailable",
            "/tools/approval",
            Some("Costs money."),
        ),
    ] {
        let mut decision = json!({ "outcome": "denied", "code": code, "rule": rule, "policy": hash });
        if let Some(reason) = reason {
            decision["reason"] = json!(reason);
        }
        let mut expected = json!({ "jsonrpc": "2.0", "id": "k", "result": {
            "content": [{ "type": "text", "text": text }], "isError": true, "_meta": { "dev.toolgate/decision": decision } } });
        let (status, body) = call(&gate, Some(session.http()), tool).await;
        assert_eq!((status, unnumbered(serde_json::from_str(&body).unwrap())), (200, expected.clone()));
        let (status, body) = call(&gate, None, tool).await;
        expected["result"]["resultType"] = json!("complete");
        let mut body: Value = serde_json::from_str(&body).unwrap();
        let server =
            body["result"]["_meta"].as_object_mut().unwrap().remove("io.modelcontextprotocol/serverInfo").unwrap();
        assert_eq!((server["name"].as_str(), status, unnumbered(body)), (Some("toolgate"), 200, expected));
    }
    assert!(called(&upstream).is_empty());
}

/// Existence does not leak: what is hidden and what there is not are told apart by nothing.
#[tokio::test]
async fn hidden_and_unknown_are_one_answer() {
    let upstream = upstream().await;
    for policy in [
        r#"{ "version": "1", "default": "allow", "hide": ["hidden"] }"#,
        r#"{ "version": "1", "default": "allow", "tools": { "hidden": { "action": "hide", "reason": "CANARY" } } }"#,
        r#"{ "version": "1", "tools": { "*dden": {}, "known": {} }, "hide": ["hidden"] }"#,
    ] {
        let gate = Gate::before(&upstream, policy);
        let session = gate.legacy().await;
        for http in [Some(session.http()), None] {
            let (hidden, unknown) = (call(&gate, http, "hidden").await, call(&gate, http, "undden").await);
            assert_eq!(
                hidden,
                (
                    200,
                    r#"{"jsonrpc":"2.0","id":"k","error":{"code":-32602,"message":"Unknown tool: hidden"}}"#.to_owned()
                )
            );
            assert_eq!((hidden.0, hidden.1.replace("hidden", "undden")), unknown, "{policy}");
            assert_eq!(call(&gate, http, "known").await.0, 200);
        }
        for method in methods(&upstream) {
            assert!(
                ["initialize", "notifications/initialized", "server/discover", "tools/list", "tools/call"]
                    .contains(&method.as_str())
            );
        }
        assert!(called(&upstream).iter().all(|tool| tool == "known"));
    }
}

/// What there is depends on the session where the server says so.
#[tokio::test]
async fn a_session_has_tools_of_its_own() {
    let sessions = std::sync::atomic::AtomicUsize::new(0);
    let upstream = Recorder::start(move |request| {
        let message = request.json();
        let own = if request.header("mcp-session-id") == Some("session-0") { "a" } else { "b" };
        let mut answer = Answer::status(202);
        let result = match message["method"].as_str() {
            Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }),
            Some("tools/list") => json!({ "tools": [{ "name": own }] }),
            _ if message["id"].is_null() => return answer,
            _ => json!({ "content": [] }),
        };
        answer = Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
        match message["method"] == "initialize" {
            true => answer.header("Mcp-Session-Id", &format!("session-{}", sessions.fetch_add(1, std::sync::atomic::Ordering::SeqCst))),
            false => answer,
        }
    })
    .await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "default": "allow", "hide": ["h"] }"#);
    let clients = [gate.legacy().await, gate.legacy().await];
    for _ in 0..2 {
        for (client, own) in clients.iter().zip(["a", "b"]) {
            for tool in ["a", "b"] {
                assert_eq!(
                    client.call(tool, json!({})).await["error"].is_null(),
                    tool == own,
                    "{tool} where there is {own}"
                );
            }
        }
    }
}

/// A tool that its server took away is unknown at once, where the server tells.
#[tokio::test]
async fn a_tool_that_is_gone_is_unknown() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "default": "allow", "hide": ["h"] }"#);
    let client = introduced(&gate, &upstream).await;
    let call = async |tools: Value| {
        let served = async {
            loop {
                let exchange = next_call(&upstream).await;
                match exchange.request.json()["method"] == "tools/list" {
                    true => exchange.answer_with_result(&json!({ "tools": tools })),
                    false => exchange.answer_with_result(&json!({ "content": [] })),
                }
            }
        };
        tokio::select! {
            answer = client.call("a", json!({})) => answer,
            () = served => panic!("it serves for ever"),
        }
    };
    assert!(call(json!([{ "name": "a" }])).await["error"].is_null());
    let (mut reply, _, mut stream) = streamed(&upstream, client.http().get()).await;
    stream.event(&json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    assert!(reply.next_event().await.is_some());
    assert_eq!(call(json!([])).await["error"]["message"], "Unknown tool: a");
    assert_eq!(called(&upstream), ["a"]);
}

/// A name that is new at the server is found; one that is asked for all the time does not make us ask all the time.
#[tokio::test]
async fn the_servers_list_is_not_fetched_for_every_unknown_name() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "default": "allow", "hide": ["hidden"] }"#);
    for n in 0..50 {
        let answer = call(&gate, None, &format!("unknown{n}")).await.1;
        assert!(answer.contains("Unknown tool"), "{answer}");
    }
    let lists = methods(&upstream).iter().filter(|method| *method == "tools/list").count();
    assert!((1..10).contains(&lists), "{lists}");
}

/// What is no tool is denied by an error with a code of our own, outside of what JSON-RPC and MCP keep for themselves.
#[tokio::test]
async fn other_denials_are_errors() {
    let upstream = upstream().await;
    let gate = Gate::before(
        &upstream,
        r#"{ "version": "1", "default": "allow", "prompts": { "p": { "action": "deny", "reason": "No." } } }"#,
    );
    let session = gate.legacy().await;
    for (method, params, name) in
        [("prompts/get", json!({ "name": "p" }), "p"), ("resources/read", json!({ "uri": "a:b" }), "a:b")]
    {
        let legacy = session.request(method, params.clone()).await["error"].clone();
        let modern = modern_headers(gate.http(), method, Some(name)).post(&modern_request(1, method, params)).await;
        if method == "resources/read" {
            assert_eq!(methods(&upstream).last().unwrap(), method, "allowed by default");
            continue;
        }
        assert!(legacy["data"]["dev.toolgate/decision"]["request_id"].is_string(), "{legacy}");
        assert_eq!((modern.status, unnumbered(modern.json()["error"].clone())), (200, unnumbered(legacy.clone())));
        assert_eq!(legacy["code"], 1403);
        assert_eq!(
            legacy["message"],
            "toolgate: `p` is denied. No. Rule: /prompts/p. Repeating the call will not help."
        );
        assert_eq!(legacy["data"]["dev.toolgate/decision"]["code"], "denied.rule");
    }
}
