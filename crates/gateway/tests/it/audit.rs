//! The audit journal: the decision is on record before the call leaves, the end after; refusals too; and without a record, no call.

use serde_json::{Value, json};
use testkit::{HttpClient, Recorder};

use crate::gate::{Gate, OPEN, Plan, STRICT, called, introduced, modern_call, modern_headers, next_call};

/// All records there are, in their order.
pub(crate) fn records(gate: &Gate) -> Vec<Value> {
    gate.journal()
}

fn of_kind(gate: &Gate, kind: &str) -> Vec<Value> {
    records(gate).into_iter().filter(|record| record["kind"] == kind).collect()
}

/// Waits for what is written without anybody waiting for it.
pub(crate) async fn recorded(gate: &Gate, kind: &str, count: usize) -> Vec<Value> {
    testkit::patiently("a record", async {
        loop {
            let found = of_kind(gate, kind);
            if found.len() >= count {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_call_is_on_record_before_it_leaves() {
    let upstream = Recorder::by_hand().await;
    let gate = Gate::before(&upstream, OPEN);
    let client = introduced(&gate, &upstream).await;
    let (answer, ()) = tokio::join!(client.call("pay", json!({ "amount": 7, "to": "canary-of-an-argument" })), async {
        let call = next_call(&upstream).await;
        let decisions = of_kind(&gate, "decision");
        let last = decisions.last().unwrap();
        assert_eq!(
            (&last["subject"], &last["outcome"], &last["server"]),
            (&json!("pay"), &json!("allowed"), &json!("s"))
        );
        assert_eq!(last["args"]["keys"], json!(["amount", "to"]));
        assert_eq!(last["policy"].as_str().unwrap().len(), 64, "the whole hash");
        call.answer_with_result(&json!({ "content": [] }));
    });
    assert!(answer["result"].is_object(), "{answer}");
    let decision = of_kind(&gate, "decision").pop().unwrap();
    let end = testkit::patiently("the outcome", async {
        loop {
            if let Some(end) = of_kind(&gate, "outcome").into_iter().find(|end| end["of"] == decision["seq"]) {
                return end;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(end["outcome"], "result");
    assert!(decision["bytes"].as_u64().unwrap() > 50 && end["bytes"].as_u64().unwrap() > 10, "{decision} {end}");
    assert!(!records(&gate).iter().any(|record| record.to_string().contains("canary")));
}

#[tokio::test]
async fn refusals_are_on_record() {
    let upstream = Recorder::mcp(["{\"name\":\"allowed_tool\",\"inputSchema\":{\"type\":\"object\"}}"]).await;
    let gate = Gate::before(&upstream, STRICT);
    let http = || modern_headers(gate.http(), "tools/call", Some("forbidden"));
    http().post(&modern_call(1, "forbidden", json!({ "x": 1 }))).await;
    gate.http().post_text("{\"broken\":").await.whole().await;
    gate.http().header("Origin", "http://evil.example").post(&json!({})).await;
    http().post(&json!([modern_call(1, "forbidden", json!({}))])).await;
    HttpClient::new(format!("http://{}/mcp/nowhere", gate.data)).post(&json!({})).await;
    modern_headers(gate.http(), "tools/list", None).post(&modern_call(1, "forbidden", json!({}))).await;
    let records = recorded(&gate, "decision", 6).await;
    let outcomes: Vec<_> = records.iter().map(|record| record["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["denied", "refused", "refused", "refused", "refused", "refused"]);
    assert_eq!((&records[0]["code"], &records[0]["rule"]), (&json!("denied.default"), &json!("(default deny)")));
    assert!(records[1]["error"].as_str().unwrap().contains("JSON"), "{}", records[1]);
}

/// The head of a POST of a modern call, with these lines instead of (or beside) the usual ones.
fn post(path: &str, lines: &[(&str, &str)], body: &str) -> String {
    let usual = [
        ("Host", "localhost"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "forbidden"),
    ];
    let kept = usual.iter().filter(|(name, _)| !lines.iter().any(|(other, _)| other == name));
    let lines: String =
        kept.chain(lines).filter(|(_, value)| *value != "(none)").map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    format!("POST {path} HTTP/1.1\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// By each way in which a request can be refused: one record, and no second one.
#[tokio::test]
async fn whatever_is_refused_is_on_record_once() {
    let upstream = Recorder::mcp(["{\"name\":\"allowed_tool\",\"inputSchema\":{\"type\":\"object\"}}"]).await;
    let gate = Plan::default()
        .server("s", upstream.url("/mcp"), "policy.json")
        .policy("policy.json", STRICT)
        .set("bounds.body", "4KiB")
        .start();
    let call = modern_call(1, "forbidden", json!({})).to_string();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0bc902b7-01";
    let legacy: &[(&str, &str)] =
        &[("MCP-Protocol-Version", "(none)"), ("Mcp-Method", "(none)"), ("Mcp-Name", "(none)")];
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let large = format!("[{}]", "1,".repeat(4096));
    let with = |lines: &[(&'static str, &'static str)]| post("/mcp/s", lines, &call);
    let rows = [
        ("denied.default", "", with(&[("traceparent", trace)])),
        ("refused", "nothing at this path", post("/mcp/s/t", &[], &call)),
        ("refused", "no such server", post("/mcp/t", &[], &call)),
        ("refused", "`Host`", with(&[("Host", "evil.example")])),
        ("refused", "`Origin`", with(&[("Origin", "http://evil.example")])),
        ("refused", "`Content-Type`", with(&[("Content-Type", "text/plain")])),
        ("refused", "`Content-Encoding`", with(&[("Content-Encoding", "gzip")])),
        ("refused", "`Accept`", with(&[("Accept", "text/plain")])),
        ("refused", "must be GET, POST or DELETE", with(&[]).replacen("POST", "PUT", 1)),
        ("refused", "larger than", post("/mcp/s", &[], &large)),
        ("refused", "JSON", post("/mcp/s", &[], "{\"broken\":")),
        ("refused", "batches exist only", post("/mcp/s", &[], &format!("[{call}]"))),
        ("refused", "header mismatch", with(&[("Mcp-Name", "another")])),
        ("refused", "header mismatch", with(&[("Mcp-Method", "tools/list")])),
        ("refused", "does not match `_meta`", with(&[("MCP-Protocol-Version", "2099-01-01")])),
        ("refused", "protocol version", post("/mcp/s", &[("MCP-Protocol-Version", "2099-01-01")],
            &call.replace("2026-07-28", "2099-01-01"))),
        ("refused", "method not found", post("/mcp/s", &[("Mcp-Method", "no/such"), ("Mcp-Name", "(none)")],
            &call.replace("tools/call", "no/such"))),
        ("refused", "`Mcp-Session-Id` is missing", post("/mcp/s", legacy, ping)),
        ("refused", "session not found", post("/mcp/s", &[legacy, &[("Mcp-Session-Id", "00")]].concat(), ping)),
        ("refused", "no stream here", "GET /mcp/s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\r\n".into()),
        ("refused", "batches exist only", post("/mcp", &[], &format!("[{ping}]"))),
    ];
    let count = rows.len();
    for (place, (code, error, request)) in rows.into_iter().enumerate() {
        let mut client = gate.raw().await;
        client.send(&request).await;
        let status = client.response().await.unwrap().status;
        let records = recorded(&gate, "decision", place + 1).await;
        let last = records.last().unwrap();
        assert_eq!((records.len(), last["code"].as_str()), (place + 1, Some(code)), "{status} {last}");
        assert!(last["error"].as_str().unwrap_or_default().contains(error), "{error}: {last}");
        assert!(last["request"].is_string());
    }
    let records = of_kind(&gate, "decision");
    assert_eq!(records.len(), count);
    assert_eq!(records[0]["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(records[0]["bytes"].as_u64().unwrap(), call.len() as u64);
    let ids: std::collections::BTreeSet<_> = records.iter().map(|record| record["request"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), count);
    assert!(called(&upstream).is_empty());
}

/// Only what a matching rule wants, allowed or denied; and never a secret.
#[tokio::test]
async fn values_are_on_record_where_the_policy_wants_them() {
    let upstream = Recorder::mcp([r#"{"name":"pay","inputSchema":{"type":"object"}}"#]).await;
    let policy = r#"{ "version": "1", "tools": {
        "p*": { "record": ["args.to", "args.items"] }, "pay": { "record": ["args.amount", "args.card"],
        "deny_if": [{ "conditions": [{ "path": "args.amount", "op": "gt", "value": 10 }] }] } } }"#;
    let gate = Gate::before(&upstream, policy);
    let client = gate.modern();
    for amount in [7, 70] {
        let card = json!({ "token": "canary-secret", "name": "n" });
        client.call("pay", json!({ "amount": amount, "to": "ann", "card": card, "note": "canary-other" })).await;
    }
    let records = recorded(&gate, "decision", 2).await;
    let [allowed, denied] = &records[records.len() - 2..] else { panic!("{records:?}") };
    assert_eq!((&allowed["outcome"], &denied["outcome"]), (&json!("allowed"), &json!("denied")));
    let values = |amount: u32| json!({ "args.amount": amount, "args.card": { "token": "[redacted]", "name": "n" }, "args.to": "ann" });
    assert_eq!((&allowed["args"]["values"], &denied["args"]["values"]), (&values(7), &values(70)));
    assert!(!records.iter().any(|record| record.to_string().contains("canary")));
}

/// What the model is told of a denial finds its record; and the definition that was in force is named, where it was read.
#[tokio::test]
async fn a_denial_names_its_record() {
    let upstream = Recorder::mcp([r#"{"name":"t","inputSchema":{"type":"object"}}"#]).await;
    let policy = r#"{ "version": "1", "default": "allow", "hide": ["x"], "tools": { "t": { "limits": [{ "max": 1, "window": "1h" }] } } }"#;
    let gate = Gate::before(&upstream, policy);
    let client = gate.modern();
    client.call("t", json!({})).await;
    let denied = client.call("t", json!({})).await;
    let records = recorded(&gate, "decision", 2).await;
    let [allowed, limited] = &records[records.len() - 2..] else { panic!("{records:?}") };
    assert_eq!(denied["result"]["_meta"]["dev.toolgate/decision"]["request_id"], limited["request"]);
    assert_eq!(limited["code"], "limited");
    let definition = allowed["definition"].as_str().unwrap();
    assert_eq!((definition.len(), &limited["definition"]), (64, &allowed["definition"]), "{limited}");
}

/// The segment is full after every record, and its folder is gone: the next one cannot be begun.
#[tokio::test]
async fn without_a_record_no_call() {
    let upstream = Recorder::mcp(["{\"name\":\"allowed_tool\",\"inputSchema\":{\"type\":\"object\"}}"]).await;
    let gate = Plan::default()
        .server("s", upstream.url("/mcp"), "policy.json")
        .policy("policy.json", OPEN)
        .set("audit.segment", "64KiB")
        .start();
    let client = gate.modern();
    let filler = "x".repeat(100);
    let folder = gate.folder.path().join("data");
    let answer = client.call("allowed_tool", json!({})).await;
    assert!(answer["result"].is_object(), "{answer}");
    let before = called(&upstream).len();
    std::fs::rename(&folder, gate.folder.path().join("moved")).unwrap();
    // What still fits into the open file is recorded there; then no call leaves any more.
    let mut passed = 0;
    let refused = loop {
        let keys: serde_json::Map<_, _> = (0..60).map(|n| (format!("{filler}{n}"), json!(1))).collect();
        let answer = client.call("allowed_tool", keys.into()).await;
        if !answer["error"].is_null() {
            break answer;
        }
        passed += 1;
        assert!(passed < 100, "calls go on without a journal");
    };
    assert_eq!(refused["error"]["message"], "the gateway cannot record calls now: try again later");
    assert_eq!(called(&upstream).len(), before + passed, "the refused call did not leave");
    let ready = gate.admin("/readyz").await;
    assert_eq!(ready.status, 503);
    std::fs::rename(gate.folder.path().join("moved"), &folder).unwrap();
    let answer = client.call("allowed_tool", json!({})).await;
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!(gate.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn what_was_recorded_is_whole_when_the_gateway_has_ended() {
    let upstream = Recorder::mcp(["{\"name\":\"allowed_tool\",\"inputSchema\":{\"type\":\"object\"}}"]).await;
    let mut gate = Gate::before(&upstream, OPEN);
    for _ in 0..10 {
        gate.modern().call("allowed_tool", json!({})).await;
    }
    gate.shut_down().await;
    let report = journal::verify(&gate.folder.path().join("data/audit"), None).unwrap();
    assert_eq!(report.bad, None);
    assert_eq!(
        (of_kind(&gate, "outcome").len(), report.checkpoints),
        (of_kind(&gate, "decision").len(), 2),
        "one as it begins, and one as it ends"
    );
}
