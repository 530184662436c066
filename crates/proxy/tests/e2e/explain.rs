//! `toolgate explain`.

use std::io::Write as _;
use std::process::Stdio;

use crate::program::{run, toolgate};

const POLICY: &str = r#"{ "version": "1",
  "tools": { "refund": { "require": [{ "conditions": [{ "path": "args.amount", "op": "lte", "value": 100 }], "on_deny": "Too much." }] } },
  "resources": { "docs://*": {} }, "prompts": { "review": { "deny_if": [{ "conditions": [{ "path": "agent.labels.team", "op": "eq", "value": "x" }] }] } } }"#;

fn explain(args: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), POLICY).unwrap();
    run(&mut toolgate(folder.path(), &[&["explain", "policy.json"], args].concat()))
}

#[test]
fn a_refused_call_by_flags() {
    let (code, stdout, stderr) = explain(&["refund", "--arguments", r#"{"amount": 250}"#, "--agent", "alice"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    insta::assert_snapshot!(stdout);
}

#[test]
fn calls_as_json() {
    let first = |args: &[&str]| {
        let (code, stdout, stderr) = explain(args);
        (code, stdout.lines().next().unwrap_or_default().to_owned() + &stderr)
    };
    let permitted = (0, "permit by /tools/refund".to_owned());
    assert_eq!(first(&["--call", r#"{"name": "refund", "arguments": {"amount": 5}}"#]), permitted);
    let request = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "refund", "arguments": {"amount": 5}, "_meta": {}}}"#;
    assert_eq!(first(&["--call", request]), permitted);
    let request = r#"{"method": "resources/read", "params": {"uri": "docs://a"}}"#;
    assert_eq!(first(&["--call", request]), (0, "permit by /resources/docs:~1~1*".to_owned()));
    assert_eq!(first(&["docs://a", "--resource"]), (0, "permit by /resources/docs:~1~1*".to_owned()));
    assert_eq!(first(&["review", "--prompt"]), (0, "permit by /prompts/review".to_owned()));
    let denied = (1, "denied.condition by /prompts/review/deny_if/0".to_owned());
    assert_eq!(first(&["review", "--prompt", "--label", "team=x"]), denied);
    assert_eq!(first(&["--call", r#"{"method": "ping", "params": {}}"#]).0, 2);
    assert_eq!(first(&["--call", "{"]).0, 2);
    assert_eq!(first(&["refund", "--arguments", "{"]).0, 2);
    // The gateway refuses such calls before any rule is asked.
    let (code, said) = first(&["refund", "--arguments", r#"{"amount": 1, "x": [{"a": 1, "a": 2}]}"#]);
    assert!(code == 2 && said.contains("key `a` stands twice"), "{said}");
    let (code, said) = first(&["--call", r#"{"name": "refund", "arguments": [1]}"#]);
    assert!(code == 2 && said.contains("expected a JSON object"), "{said}");
}

#[test]
fn a_call_from_stdin_as_json() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), POLICY).unwrap();
    let mut command = toolgate(folder.path(), &["explain", "policy.json", "--call", "-", "--format", "json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(br#"{"name": "refund"}"#).unwrap();
    let output = child.wait_with_output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["decision"]["code"]), (Some(1), &"denied.condition".into()));
}

#[test]
fn a_bad_policy_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.json"), "{}").unwrap();
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &["explain", "p.json", "a"]));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("policy::missing_key"), "{stderr}");
}
