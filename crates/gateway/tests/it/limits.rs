//! Quotas of calls: exact, told to whoever runs into them, and spent on what left and nothing else.

use serde_json::{Value, json};
use testkit::{Answer, HttpClient, McpClient, Recorder};

use crate::gate::{Gate, Plan, called, modern_call, modern_headers, tool};

fn limited(answer: &Value) -> bool {
    answer["result"]["_meta"]["dev.toolgate/decision"]["code"] == "limited"
}

/// How many of so many calls of a tool pass, one after the other.
async fn passes(client: &McpClient, tool: &str, calls: usize) -> usize {
    let mut passed = 0;
    for _ in 0..calls {
        passed += usize::from(!limited(&client.call(tool, json!({})).await));
    }
    passed
}

#[tokio::test]
async fn a_limit_says_when_to_come_back() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "tools": { "a": { "rate_limit": "2/minute" } } }"#);
    for client in [gate.modern(), gate.legacy().await] {
        assert_eq!(passes(&client, "a", 2).await, 2);
        let answer = client.call("a", json!({})).await;
        let decision = &answer["result"]["_meta"]["dev.toolgate/decision"];
        let wait = decision["retry_after_ms"].as_u64().unwrap();
        assert!((1..=60_000).contains(&wait), "{wait}");
        assert_eq!(
            (&decision["outcome"], &decision["code"], &decision["rule"]),
            (&json!("denied"), &json!("limited"), &json!("/tools/a/rate_limit"))
        );
        assert_eq!(answer["result"]["isError"], true);
        let expected = format!(
            "toolgate: the rate limit for `a` is reached. Rule: /tools/a/rate_limit. Retry after {} s.",
            wait.div_ceil(1000)
        );
        assert_eq!(answer["result"]["content"], json!([{ "type": "text", "text": expected }]));
        assert_eq!(client.list_tools().await, ["a"], "a quota hides nothing");
    }
    assert_eq!(called(&upstream).len(), 4);
}

#[tokio::test]
async fn a_short_window_opens_again() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(
        &upstream,
        r#"{ "version": "1", "tools": { "a": { "rate_limit": { "max": 1, "window": "1s" } } } }"#,
    );
    let client = gate.modern();
    assert_eq!(passes(&client, "a", 2).await, 1);
    testkit::patiently("the window to open", async {
        while limited(&client.call("a", json!({})).await) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(called(&upstream).len(), 2);
}

/// Exactly as many pass, whoever races.
#[tokio::test]
async fn a_limit_holds_in_a_race() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::bounded(
        &upstream,
        r#"{ "version": "1", "tools": { "a": { "limits": [{ "max": 7, "window": "1h", "per": "gateway" }] } } }"#,
        &[("listen.workers", "4")],
    );
    let session = gate.legacy().await;
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let call = json!({ "jsonrpc": "2.0", "id": n, "method": "tools/call", "params": { "name": "a" } });
            let (http, body) = match n % 2 {
                0 => (session.http().clone(), call),
                _ => (modern_headers(gate.http(), "tools/call", Some("a")), modern_call(n, "a", json!({}))),
            };
            tokio::spawn(async move { http.post(&body).await.json() })
        })
        .collect();
    let mut passed = 0;
    for call in calls {
        passed += usize::from(!limited(&call.await.unwrap()));
    }
    assert_eq!((passed, called(&upstream).len()), (7, 7));
}

#[tokio::test]
async fn limits_are_reserved_together_or_not_at_all() {
    let upstream = Recorder::mcp(["both", "first"].map(tool)).await;
    let policy = r#"{ "version": "1", "tools": {
        "both":  { "limits": [{ "counter": "x", "max": 5, "window": "1h" }, { "counter": "y", "max": 1, "window": "1h" }] },
        "first": { "limits": [{ "counter": "x", "max": 5, "window": "1h" }] } } }"#;
    let gate = Gate::before(&upstream, policy);
    let client = gate.modern();
    assert_eq!(passes(&client, "both", 10).await, 1);
    assert_eq!(passes(&client, "first", 10).await, 4, "what was refused took nothing");
}

/// Only a call that was to be forwarded is counted.
#[tokio::test]
async fn what_is_refused_otherwise_costs_nothing() {
    let upstream = Recorder::mcp(["a", "hidden", "denied"].map(tool)).await;
    let policy = r#"{ "version": "1", "default": "allow", "hide": ["hidden"], "tools": { "denied": "deny" }, "prompts": { "p": { "rate_limit": "1/hour" } },
        "all_tools": { "limits": [{ "max": 3, "window": "1h" }] } }"#;
    let gate = Gate::before(&upstream, policy);
    let client = gate.legacy().await;
    for tool in ["hidden", "denied", "unknown", "hidden"] {
        assert!(!limited(&client.call(tool, json!({})).await));
    }
    client.request("tools/call", json!({ "name": "a", "arguments": [] })).await;
    client.list_tools().await;
    for _ in 0..3 {
        let complete =
            json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": "" } });
        assert_eq!(
            client.request("completion/complete", complete).await["error"]["code"],
            -32601,
            "answered by the server"
        );
    }
    assert_eq!(passes(&client, "a", 5).await, 3);
}

/// An upstream that answers calls like this, and never keeps a connection.
async fn answering(answer: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Recorder {
    Recorder::start(move |request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("tools/call") => return answer(&message).header("Connection", "close"),
            Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "t", "version": "1" } }),
            _ if message["id"].is_null() => return Answer::status(202).header("Connection", "close"),
            _ => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"] }),
        };
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).header("Connection", "close")
    })
    .await
}

const ONCE: &str = r#"{ "version": "1", "tools": { "a": { "rate_limit": "1/hour" }, "b": {} } }"#;

#[tokio::test]
async fn what_surely_never_left_is_given_back() {
    for modern in [false, true] {
        let upstream =
            answering(|message| Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": {} })))
                .await;
        let gate = Gate::before(&upstream, ONCE);
        let client = if modern { gate.modern() } else { gate.legacy().await };
        assert!(client.call("b", json!({})).await["error"].is_null(), "the era is known, no connection is kept");
        drop(upstream);
        for _ in 0..3 {
            let answer = client.call("a", json!({})).await;
            assert_eq!(answer["error"]["code"], -32603, "unreachable, and not limited: {answer}");
        }
    }
}

/// Vector 91: whatever the server makes of a call, it is spent.
#[tokio::test]
async fn what_left_is_spent() {
    type Fault = fn(&Value) -> Answer;
    let faults: [(&str, Fault); 7] = [
        ("an error", |message| {
            Answer::json(
                200,
                &json!({ "jsonrpc": "2.0", "id": message["id"], "error": { "code": -32000, "message": "no" } }),
            )
        }),
        ("a tool's error", |message| {
            Answer::json(
                200,
                &json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "isError": true, "content": [] } }),
            )
        }),
        ("500", |_| Answer::status(500)),
        ("401", |_| Answer::status(401)),
        ("garbage", |_| Answer::text(200, "application/json", "{")),
        ("nothing", |_| Answer::cut()),
        ("a broken stream", |_| Answer::text(200, "text/event-stream", "data: x\n\n")),
    ];
    for (name, fault) in faults {
        for modern in [false, true] {
            let upstream = answering(fault).await;
            let gate = Gate::before(&upstream, ONCE);
            let client = if modern { gate.modern() } else { gate.legacy().await };
            assert!(!limited(&client.call("a", json!({})).await), "{name}");
            assert!(limited(&client.call("a", json!({})).await), "{name}");
            assert_eq!(called(&upstream).len(), 1, "{name}: and never tried again (vector 95)");
        }
    }
}

/// A policy file is one set of counts, however many servers name it; two files are two, whatever they say.
#[tokio::test]
async fn servers_of_one_policy_share_its_counts() {
    let upstream = Recorder::mcp(["shared", "single"].map(tool)).await;
    let policy = r#"{ "version": "1", "tools": {
        "shared": { "rate_limit": "3/hour" }, "single": { "limits": [{ "max": 3, "window": "1h", "per": "server" }] } } }"#;
    let gate = Plan::default()
        .server("one", upstream.url("/mcp"), "p.json")
        .server("two", upstream.url("/mcp"), "p.json")
        .server("three", upstream.url("/mcp"), "q.json")
        .policy("p.json", policy)
        .policy("q.json", policy)
        .start();
    let client = |server: &str| McpClient::modern(HttpClient::new(gate.url(server)));
    let (one, two, three) = (client("one"), client("two"), client("three"));
    assert_eq!(
        (passes(&one, "shared", 2).await, passes(&two, "shared", 2).await, passes(&one, "shared", 1).await),
        (2, 1, 0)
    );
    assert_eq!(passes(&three, "shared", 5).await, 3);
    assert_eq!((passes(&one, "single", 5).await, passes(&two, "single", 5).await), (3, 3));
}

/// Agents without a name are told apart by session, else by address; and what a client says of itself counts for nothing.
#[tokio::test]
async fn who_counts_as_one_agent() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::before(&upstream, r#"{ "version": "1", "tools": { "a": { "rate_limit": "1/hour" } } }"#);
    assert_eq!(passes(&gate.legacy().await, "a", 3).await, 1);
    assert_eq!(passes(&gate.legacy().await, "a", 3).await, 1);
    assert_eq!((passes(&gate.modern(), "a", 3).await, passes(&gate.modern(), "a", 3).await), (1, 0), "one address");
    // A process here may call from any address of loopback.
    let lines = [
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "a"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Forwarded", "for=10.0.0.2"),
    ];
    let mut call = modern_call(1, "a", json!({}));
    call["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({ "name": "somebody else", "version": "1" });
    assert!(limited(&crate::gate::post_from([127, 0, 0, 9], gate.data, &lines, &call).await.json()));
}

/// R8 and R12: the table of counts is bounded, and who cannot be counted does not pass.
#[tokio::test]
async fn what_cannot_be_counted_is_refused() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Gate::bounded(
        &upstream,
        r#"{ "version": "1", "tools": { "a": { "rate_limit": "5/hour" } } }"#,
        &[("limits.keys", "1")],
    );
    assert_eq!(passes(&gate.modern(), "a", 2).await, 2);
    let other = gate.legacy().await.call("a", json!({})).await;
    let decision = &other["result"]["_meta"]["dev.toolgate/decision"];
    assert_eq!((&decision["code"], &decision["rule"]), (&json!("limited"), &json!("(limits full)")), "{other}");
    assert_eq!(passes(&gate.modern(), "a", 4).await, 3, "who is in the table is not disturbed");
    assert_eq!(called(&upstream).len(), 5);
}

/// Counts outlive the policy that they were made under.
#[tokio::test]
async fn a_reload_refreshes_no_limit() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let policy = |max: u64, comment: &str| {
        format!(
            r#"{{ "version": "1", "description": "{comment}", "tools": {{ "a": {{ "limits": [{{ "counter": "c", "max": {max}, "window": "1h" }}] }} }} }}"#
        )
    };
    let gate = Gate::before(&upstream, &policy(3, "first"));
    let client = gate.modern();
    assert_eq!(passes(&client, "a", 2).await, 2);
    gate.reload(&policy(3, "second")).await;
    assert_eq!(passes(&client, "a", 5).await, 1, "the third");
    gate.reload(&policy(5, "more")).await;
    assert_eq!(passes(&client, "a", 5).await, 2, "two more");
    gate.reload(&policy(4, "less")).await;
    assert_eq!(passes(&client, "a", 5).await, 0);
    assert_eq!(called(&upstream).len(), 5);
}
