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
async fn recorded(gate: &Gate, kind: &str, count: usize) -> Vec<Value> {
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
    let outcomes = recorded(&gate, "outcome", 1).await;
    let of = of_kind(&gate, "decision").last().unwrap()["seq"].clone();
    let end = outcomes.iter().find(|end| end["of"] == of).unwrap();
    assert_eq!(end["outcome"], "result");
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
    assert_eq!((of_kind(&gate, "outcome").len(), report.checkpoints), (of_kind(&gate, "decision").len(), 1));
}
