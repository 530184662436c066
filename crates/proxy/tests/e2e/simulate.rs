//! `toolgate simulate`.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;
use testkit::{Answer, HttpClient, McpClient, Recorder};

use crate::program::{Gateway, run, toolgate};

const OLD: &str = r#"{ "version": "1", "tools": { "get_issue": {}, "delete_issue": {} } }"#;
const NEW: &str = r#"{ "version": "1", "tools": { "get_issue": {}, "delete_issue": "deny", "add_issue": {} } }"#;
const CALLS: &str = r#"{"time":"2026-11-23T09:00:00Z","server":"github","agent":"alice","method":"tools/call","subject":"get_issue","outcome":"allowed","code":"allowed"}
{"timestamp":"2026-11-23T09:00:01Z","level":"INFO","target":"toolgate::decision","server":"github","agent":"anonymous#1","method":"tools/call","subject":"delete_issue","outcome":"allowed","code":"allowed"}
{"timestamp":"2026-11-23T09:00:01Z","level":"INFO","target":"toolgate","message":"ready"}
{"time":"2026-11-23T09:00:02Z","tool":"add_issue","outcome":"denied","code":"denied.default"}
not json
"#;

/// Simulates in a folder with these files: exit code, stdout, stderr.
fn simulate(args: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("old.json", OLD), ("new.json", NEW), ("bad.json", "{}"), ("calls.jsonl", CALLS), ("empty.jsonl", "")]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    run(&mut toolgate(folder.path(), &[&["simulate"], args].concat()))
}

#[test]
fn recorded_calls_go_through_a_new_policy() {
    let (code, stdout, stderr) = simulate(&["new.json", "--against", "calls.jsonl"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!("simulate_human", stdout);
    let (code, stdout, _) =
        simulate(&["new.json", "--against", "calls.jsonl", "--old", "old.json", "--format", "json"]);
    let summary: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &summary["newly_denied"], &summary["unreadable"]["lines"][0]["line"]), (0, &1.into(), &5.into()));
}

#[test]
fn what_fails_is_chosen() {
    let with = |policy: &str, more: &[&str]| simulate(&[&[policy, "--against", "calls.jsonl"], more].concat()).0;
    assert_eq!(with("new.json", &["--fail-on", "change"]), 1);
    assert_eq!(with("new.json", &["--fail-on", "widen"]), 1);
    assert_eq!(with("new.json", &["--fail-on", "unknown"]), 0);
    assert_eq!(with("old.json", &["--fail-on", "change,unknown"]), 0);
    assert_eq!(with("new.json", &["--server", "github", "--fail-on", "widen"]), 0);
    assert_eq!(with("new.json", &["--server", "github", "--fail-on", "widen,narrow"]), 1);
    assert_eq!(with("new.json", &["--since", "2026-11-23T09:00:02Z", "--fail-on", "narrow"]), 0);
    assert_eq!(with("new.json", &["--since", "monday"]), 2);
    assert_eq!(with("new.json", &["--fail-on", "nothing"]), 2);
}

#[test]
fn what_cannot_be_simulated_never_passes() {
    let (code, _, stderr) = simulate(&["new.json", "--against", "empty.jsonl"]);
    assert_eq!(code, 2);
    assert!(stderr.starts_with("error: no call to simulate in `empty.jsonl`"), "{stderr}");
    let (code, _, stderr) = simulate(&["bad.json", "--against", "calls.jsonl"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("policy::missing_key"), "{stderr}");
    let (code, _, stderr) = simulate(&["new.json", "--against", "none.jsonl"]);
    assert_eq!(
        (code, stderr.as_str()),
        (3, "error: cannot read `none.jsonl`: No such file or directory (os error 2)\n")
    );
}

#[test]
fn records_may_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("new.json"), NEW).unwrap();
    let mut command = toolgate(folder.path(), &["simulate", "new.json", "--against", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(CALLS.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("3 calls: 1 unchanged, 1 newly denied, 1 newly permitted")
    );
}

#[tokio::test]
async fn what_the_gateway_logs_can_be_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::start(|request| {
        let result = json!({ "content": [], "resultType": "complete" });
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json().get("id"), "result": result }))
    })
    .await;
    let toml = format!("[servers.s]\nurl = \"{}\"\npolicy = \"policy.json\"\n", upstream.url("/mcp"));
    std::fs::write(folder.path().join("toolgate.toml"), toml).unwrap();
    let policy = r#"{ "version": "1", "tools": { "allowed": {}, "once": { "rate_limit": "1/hour" } } }"#;
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    std::fs::write(folder.path().join("wider.json"), policy.replace("1/hour", "2/hour")).unwrap();
    let gateway = Gateway::start(folder.path(), &["--log-format", "json"]);
    let client = McpClient::modern(HttpClient::new(format!("http://{}/mcp/s", gateway.data)));
    for tool in ["allowed", "once", "once", "denied"] {
        client.call(tool, json!({})).await;
    }
    // Without --old, why `once` was limited might lie before the log.
    let simulate = |policy: &str| {
        let (code, stdout, stderr) =
            run(&mut toolgate(folder.path(), &["simulate", policy, "--against", "log", "--old", "policy.json"]));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        stdout.lines().next().unwrap_or_default().to_owned()
    };
    let none = "0 newly awaiting approval, 0 unknown";
    assert_eq!(simulate("policy.json"), format!("4 calls: 4 unchanged, 0 newly denied, 0 newly permitted, {none}"));
    assert_eq!(simulate("wider.json"), format!("4 calls: 3 unchanged, 0 newly denied, 1 newly permitted, {none}"));
}
