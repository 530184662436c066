//! `toolgate bridge`, before a gateway that is the built program as well.

use serde_json::json;
use tempfile::TempDir;
use testkit::{Answer, Recorder};

use crate::program::{Gateway, run, toolgate};
use crate::stdio::{Program, legacy_call, modern_call};

const TOOLS: [&str; 2] = [r#"{"name":"fine","inputSchema":{}}"#, r#"{"name":"other","inputSchema":{}}"#];

/// A folder with a policy that allows one tool.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), r#"{ "version": "1", "tools": { "fine": {} } }"#).unwrap();
    folder
}

fn gateway(folder: &TempDir, upstream: &Recorder, more: &[&str]) -> Gateway {
    let url = format!("servers.s.url={}", upstream.url("/mcp"));
    let args = ["--set", &url, "--set", "servers.s.policy=policy.json"];
    Gateway::start(folder.path(), &[&args[..], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stdio_client_reaches_a_gateway_in_both_eras() {
    let upstream = Recorder::mcp(TOOLS).await;
    let folder = folder();
    let gateway = gateway(&folder, &upstream, &[]);
    let url = format!("http://{}/mcp/s", gateway.data);
    let mut bridge = Program::start(folder.path(), &["bridge", &url], &[]);
    bridge.write("nonsense");
    assert_eq!(bridge.hear()["error"]["code"], -32700);
    assert_eq!(bridge.introduce()["result"]["protocolVersion"], "2025-11-25");
    for (n, call) in [legacy_call, modern_call].into_iter().map(|call| call as fn(i32, &str) -> _).enumerate() {
        let n = i32::try_from(n).unwrap();
        assert_eq!(bridge.ask(&call(10 + n, "fine"))["result"]["isError"], json!(null));
        assert_eq!(bridge.ask(&call(20 + n, "other"))["result"]["isError"], true);
    }
    bridge.end_input();
    let (code, rest, _) = bridge.end();
    assert_eq!((code, rest), (Some(0), Vec::new()));
    assert_eq!(upstream.requests().pop().unwrap().method, "DELETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_ends_and_comes_back_is_found_again() {
    let upstream = Recorder::mcp(TOOLS).await;
    let folder = folder();
    let first = gateway(&folder, &upstream, &[]);
    let at = format!("listen.data={}", first.data);
    let url = format!("http://{}/mcp/s", first.data);
    let mut bridge = Program::start(folder.path(), &["bridge", &url], &[]);
    bridge.introduce();
    assert!(bridge.ask(&legacy_call(1, "fine"))["result"].is_object());
    first.signal("KILL");
    drop(first);
    for (n, call) in [(2, legacy_call(2, "fine")), (3, modern_call(3, "fine"))] {
        let answer = bridge.ask(&call);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(&url) && message.contains("`toolgate serve`"), "{n}: {message}");
    }
    let _second = gateway(&folder, &upstream, &["--set", &at]);
    assert!(bridge.ask(&legacy_call(4, "fine"))["result"].is_object());
    assert!(bridge.ask(&modern_call(5, "fine"))["result"].is_object());
    bridge.signal("TERM");
    assert_eq!(bridge.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_when_the_gateway_is_killed_gets_one_error() {
    let upstream = Recorder::by_hand().await;
    let folder = folder();
    let gateway = gateway(&folder, &upstream, &[]);
    let url = format!("http://{}/mcp/s", gateway.data);
    let mut bridge = Program::start(folder.path(), &["bridge", &url], &[]);
    bridge.say(&modern_call(1, "fine"));
    let discover = upstream.next_exchange().await;
    discover.answer_with_result(&json!({ "supportedVersions": ["2026-07-28"], "capabilities": {} }));
    let _call = upstream.next_exchange().await;
    gateway.signal("KILL");
    let answer = bridge.hear();
    assert_eq!(answer["id"], 1);
    assert!(answer["error"]["message"].as_str().unwrap().contains("may have been run"), "{answer}");
    bridge.end_input();
    assert_eq!(bridge.end().1, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_sent_and_nowhere_else_to_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let service = Recorder::start(|_| Answer::status(401)).await;
    let mut bridge = Program::start(folder.path(), &["bridge", &service.url("/mcp")], &[("TOOLGATE_TOKEN", "CANARY")]);
    let answer = bridge.ask(&modern_call(1, "t"));
    assert!(answer["error"]["message"].as_str().unwrap().contains("TOOLGATE_TOKEN"), "{answer}");
    assert_eq!(service.requests()[0].header("authorization"), Some("Bearer CANARY"));
    bridge.end_input();
    let (code, _, log) = bridge.end();
    assert_eq!(code, Some(0));
    assert!(!log.contains("CANARY") && !answer.to_string().contains("CANARY"), "{log}");
}

#[test]
fn what_cannot_be_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("no.pem"), "no certificate").unwrap();
    for (args, expected) in [
        (&["bridge"][..], "<URL>"),
        (&["bridge", "gateway"], "must be an absolute http or https URL"),
        (&["bridge", "http://user:pass@localhost/mcp/s"], "user information"),
        (&["bridge", "http://gateway.example/mcp/s"], "would cross the network unencrypted"),
        (&["bridge", "https://localhost/mcp/s", "--ca", "no.pem"], "cannot read certificates from `no.pem`"),
        (&["bridge", "https://localhost/mcp/s", "--ca", "none.pem"], "cannot read certificates from `none.pem`"),
    ] {
        let (code, stdout, stderr) = run(toolgate(folder.path(), args).env("TOOLGATE_TOKEN", "t"));
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}
