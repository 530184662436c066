//! `toolgate wrap`: what stands on its command line, and a command behind a policy.

use serde_json::json;
use tempfile::TempDir;
use testkit::Recorder;

use crate::program::{run, toolgate};
use crate::stdio::{Program, legacy_call, modern_call};

#[test]
fn a_policy_that_is_wrong_is_shown_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "{ \"version\": \"1\",\n  \"tools\": { \"t\": { \"alow\": true } } }";
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    let touched = folder.path().join("touched");
    let command = ["wrap", "-p", "policy.json", "--", "touch", touched.to_str().unwrap()];
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &command));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("policy.json:2") && stderr.contains("alow"), "{stderr}");
    assert!(!touched.exists());
}

#[test]
fn nonsense_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.json"), r#"{ "version": "1" }"#).unwrap();
    for args in [
        &["wrap", "-p", "p.json"][..],
        &["wrap", "--", "true"],
        &["wrap", "-p", "p.json", "true"],
        &["wrap", "-p", "p.json", "--name", "no__name", "--", "true"],
        &["wrap", "-p", "p.json", "--env", "NOVALUE", "--", "true"],
    ] {
        let (code, stdout, _) = run(&mut toolgate(folder.path(), args));
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}");
    }
}

#[test]
fn a_policy_that_is_not_there_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(&mut toolgate(folder.path(), &["wrap", "-p", "none.json", "--", "true"]));
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert!(stderr.contains("cannot read `none.json`"), "{stderr}");
}

/// A server on stdio that is at hand: a bridge to a recorder.
fn bridge(upstream: &Recorder) -> [String; 3] {
    [env!("CARGO_BIN_EXE_toolgate").to_owned(), "bridge".to_owned(), upstream.url("/mcp")]
}

fn wrap(folder: &TempDir, args: &[&str], command: &[String], variables: &[(&str, &str)]) -> Program {
    std::fs::write(folder.path().join("p.json"), r#"{ "version": "1", "tools": { "fine": {} } }"#).unwrap();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    Program::start(folder.path(), &[&["wrap", "-p", "p.json"], args, &["--"], &command[..]].concat(), variables)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_guarded_in_both_eras() {
    let upstream = Recorder::mcp([r#"{"name":"fine","inputSchema":{}}"#, r#"{"name":"other","inputSchema":{}}"#]).await;
    let folder = tempfile::tempdir().unwrap();
    for calls in [[modern_call(1, "fine"), modern_call(2, "other")], [legacy_call(1, "fine"), legacy_call(2, "other")]]
    {
        let mut wrap = wrap(&folder, &[], &bridge(&upstream), &[]);
        if calls[0]["params"]["_meta"].is_null() {
            assert_eq!(wrap.introduce()["result"]["protocolVersion"], "2025-11-25");
        }
        assert_eq!(wrap.ask(&calls[0])["result"]["isError"], json!(null));
        assert_eq!(wrap.ask(&calls[1])["result"]["isError"], true);
        wrap.end_input();
        let (code, rest, log) = wrap.end();
        assert_eq!((code, rest), (Some(0), Vec::new()), "{log}");
    }
    let requests = upstream.requests();
    let called = requests.iter().filter(|request| request.text().contains("tools/call"));
    assert!(called.clone().all(|request| request.json()["params"]["name"] == "fine"));
    assert_eq!(called.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_sees_only_what_it_is_given() {
    let upstream = Recorder::mcp([r#"{"name":"fine","inputSchema":{}}"#]).await;
    let folder = tempfile::tempdir().unwrap();
    let script = format!("env > seen; exec {}", bridge(&upstream).join(" "));
    let command = ["/bin/sh".to_owned(), "-c".to_owned(), script];
    let variables = [("HIDDEN", "1"), ("SHOWN", "2"), ("TOOLGATE_TOKEN", "CANARY"), ("PATH", "/usr/bin:/bin")];
    let mut wrap = wrap(&folder, &["--inherit", "SHOWN", "--env", "GIVEN=3"], &command, &variables);
    assert!(wrap.ask(&modern_call(1, "fine"))["result"].is_object());
    let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
    let has = |line: &str| seen.lines().any(|seen| seen == line);
    assert!(has("SHOWN=2") && has("GIVEN=3") && !seen.contains("HIDDEN") && !seen.contains("CANARY"), "{seen}");
    wrap.signal("TERM");
    assert_eq!(wrap.end().0, Some(0));
}

#[test]
fn a_command_that_does_not_start_is_an_error_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrap = wrap(&folder, &[], &["/no/such/program".to_owned()], &[]);
    for n in 1..3 {
        let answer = wrap.ask(&modern_call(n, "fine"));
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
    }
    wrap.end_input();
    assert_eq!(wrap.end().0, Some(0));
}
