//! The journal of a gateway that is killed under load, and the commands that read it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient, Recorder};

use crate::program::{Gateway, run, toolgate};

fn gateway(folder: &Path, upstream: &Recorder) -> Gateway {
    std::fs::write(
        folder.join("policy.json"),
        r#"{ "version": "1", "default": "allow", "tools": { "no": { "action": "deny" } } }"#,
    )
    .unwrap();
    let url = format!("servers.s.url={}", upstream.url("/mcp"));
    Gateway::start(folder, &["--set", &url, "--set", "servers.s.policy=policy.json"])
}

fn client(gateway: &Gateway) -> McpClient {
    McpClient::modern(HttpClient::new(format!("http://{}/mcp/s", gateway.data)))
}

fn subjects(exported: &str) -> BTreeSet<String> {
    let records = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter_map(|record| record["subject"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn no_call_without_a_record_whenever_it_is_killed() {
    const KILLS: usize = 12;
    const CLIENTS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::mcp([r#"{"name":"t","inputSchema":{"type":"object"}}"#]).await;
    for kill in 0..KILLS {
        let mut gateway = gateway(folder.path(), &upstream);
        let seen = upstream.requests().len();
        let calls = (0..CLIENTS).map(|number| {
            let client = client(&gateway);
            tokio::spawn(async move {
                for call in 0_u32.. {
                    client.call(&format!("t-{kill}-{number}-{call}"), json!({})).await;
                }
            })
        });
        let calls: Vec<_> = calls.collect();
        // In the middle of it, later each time.
        testkit::patiently("calls", async {
            while upstream.requests().len() < seen + 5 + 11 * kill {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gateway.signal("KILL");
        gateway.end();
        for call in calls {
            call.abort();
        }
    }
    let (code, said, _) = run(&mut toolgate(folder.path(), &["audit", "verify"]));
    assert_eq!(code, 0, "{said}");
    let (code, exported, _) = run(&mut toolgate(folder.path(), &["audit", "export", "--outcome", "allowed"]));
    assert_eq!(code, 0);
    let recorded = subjects(&exported);
    let requests = upstream.requests();
    let calls = requests.iter().map(|request| request.json()).filter(|message| message["method"] == "tools/call");
    let seen: BTreeSet<String> = calls.map(|call| call["params"]["name"].as_str().unwrap().to_owned()).collect();
    assert!(seen.len() > KILLS * 5, "{}", seen.len());
    assert_eq!(seen.difference(&recorded).next(), None, "the upstream saw a call that is not on record");
}

/// What the store has of the decisions, the newest first.
fn indexed(folder: &Path) -> Vec<Value> {
    let args = ["audit", "query", "--format", "json", "--limit", "1000"];
    let (code, said, problem) = run(&mut toolgate(folder, &args));
    assert_eq!(code, 0, "{problem}");
    said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["record"].clone()).collect()
}

/// What the journal has of them, in the same order.
fn recorded(folder: &Path) -> Vec<Value> {
    let (_, exported, _) = run(&mut toolgate(folder, &["audit", "export"]));
    let records = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut decisions: Vec<Value> = records.filter(|record| record["kind"] == "decision").collect();
    decisions.reverse();
    decisions
}

#[tokio::test]
async fn records_get_to_the_store_and_are_asked_there_whenever_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::mcp([r#"{"name":"t","inputSchema":{"type":"object"}}"#]).await;
    for round in 0..4 {
        let mut gateway = gateway(folder.path(), &upstream);
        for call in 0..10 * round {
            client(&gateway).call(&format!("t-{round}-{call}"), json!({})).await;
        }
        if round < 3 {
            gateway.signal("KILL");
            gateway.end();
            continue;
        }
        client(&gateway).call("no", json!({})).await;
        testkit::patiently("all records in the store", async {
            // By time and number: within a millisecond, the number alone says what was first.
            while indexed(folder.path()).len() < recorded(folder.path()).len() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
        assert_eq!(indexed(folder.path()), recorded(folder.path()));
        gateway.signal("TERM");
        assert_eq!(gateway.end(), Some(0));
    }
    let (code, denied, _) =
        run(&mut toolgate(folder.path(), &["audit", "query", "--outcome", "denied", "--format", "csv"]));
    assert!(
        code == 0 && denied.lines().count() == 2 && denied.contains(",no,denied,denied.rule,/tools/no,"),
        "{denied}"
    );
    let (code, said, problem) = run(&mut toolgate(folder.path(), &["audit", "index", "--rebuild"]));
    assert!(code == 0 && said.contains("records of the journal are in the store"), "{said}{problem}");
    assert_eq!(indexed(folder.path()), recorded(folder.path()));
    let (code, _, problem) = run(&mut toolgate(folder.path(), &["audit", "query", "--set", "store.url="]));
    assert!(code != 0 && problem.contains("there is no store"), "{problem}");
}

#[tokio::test]
async fn a_changed_record_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::mcp([r#"{"name":"t","inputSchema":{"type":"object"}}"#]).await;
    let mut gateway = gateway(folder.path(), &upstream);
    client(&gateway).call("t", json!({ "amount": 7 })).await;
    client(&gateway).call("no", json!({})).await;
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));

    let (code, denied, _) =
        run(&mut toolgate(folder.path(), &["audit", "export", "--outcome", "denied", "--format", "csv"]));
    assert_eq!((code, denied.lines().count()), (0, 2), "{denied}");
    assert!(denied.contains(",no,denied,denied.rule,/tools/no,"), "{denied}");
    let (_, tail, _) = run(&mut toolgate(folder.path(), &["audit", "tail", "-n", "100", "--subject", "t"]));
    assert!(tail.contains("allowed") && tail.lines().count() == 1, "{tail}");

    let (code, json, _) = run(&mut toolgate(folder.path(), &["audit", "verify", "--format", "json"]));
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &report["bad"], &report["checkpoints"]), (0, &Value::Null, &json!(2)), "{report}");
    assert_eq!(report["signed"], report["last"], "it is signed as it ends: {report}");
    let key = report["keys"][0].as_str().unwrap();
    assert_eq!(run(&mut toolgate(folder.path(), &["audit", "verify", "--key", key])).0, 0);

    let segment = folder.path().join("data/audit/journal-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replace(r#""denied""#, r#""allowed""#)).unwrap();
    let (code, said, _) = run(&mut toolgate(folder.path(), &["audit", "verify"]));
    assert_eq!(code, 1);
    assert!(said.contains("is not what was written: the hash does not match"), "{said}");
    // What is missing is told, and what there is is shown all the same.
    let lines: Vec<&str> = text.lines().collect();
    let missing = [&lines[..2], &lines[3..]].concat();
    std::fs::write(&segment, missing.join("\n") + "\n").unwrap();
    let (code, out, said) = run(&mut toolgate(folder.path(), &["audit", "export"]));
    assert_eq!((code, out.lines().count()), (1, missing.len()), "{out}{said}");
    assert!(said.contains("warning: ") && said.contains("record 4 stands where record 3 should"), "{said}");
    let (code, _, said) = run(&mut toolgate(folder.path(), &["audit", "verify", "nowhere"]));
    assert_eq!(code, 3, "{said}");
}
