//! Calls that wait, and the commands by which somebody decides about them.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{HttpClient, Recorder, Reply, patiently};

use crate::manage::{Managed, managed_with};

const POLICY: &str = r#"{ "version": "1", "tools": { "pay": {
    "action": "require_approval", "reason": "Money.", "approval": { "hold": "1m", "timeout": "10m" } } } }"#;

struct Desk {
    managed: Managed,
    upstream: Recorder,
}

impl Desk {
    async fn start() -> Self {
        let upstream = Recorder::mcp([r#"{"name":"pay","inputSchema":{"type":"object"}}"#]).await;
        let config = format!("[servers.s]\nurl = \"{}\"\npolicy = \"policy.json\"\n", upstream.url("/mcp"));
        Self { managed: managed_with(&config, POLICY), upstream }
    }

    /// A call that waits on its stream.
    async fn call(&self, arguments: Value) -> Reply {
        let http = HttpClient::new(format!("http://{}/mcp/s", self.managed.gateway.data));
        let http = http.header("mcp-protocol-version", "2026-07-28");
        let http = http.header("mcp-method", "tools/call").header("mcp-name", "pay");
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": "pay", "arguments": arguments, "_meta": meta });
        http.post_streamed(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })).await
    }

    /// The id of the only call that waits, once one does.
    fn waiting(&self) -> String {
        loop {
            let listed = self.managed.says(&["approvals", "list", "--format", "json"]);
            let listed: Value = serde_json::from_str(&listed).unwrap();
            match listed.as_array().unwrap().as_slice() {
                [] => {}
                [one] => return one["id"].as_str().unwrap().to_owned(),
                more => panic!("{more:?}"),
            }
        }
    }

    /// What was called at the upstream.
    fn made(&self) -> Vec<Value> {
        let calls = self.upstream.requests().into_iter().map(|request| request.json());
        calls.filter(|call| call["method"] == "tools/call").map(|call| call["params"]["arguments"].clone()).collect()
    }
}

fn code(answer: &Value) -> &Value {
    &answer["result"]["_meta"]["dev.toolgate/decision"]["code"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_waits_is_seen_as_it_is_and_passes_once_it_is_approved() {
    let desk = Desk::start().await;
    let arguments = json!({ "to": "a\u{202e}b\u{9b}2J\u{1b}]0;x\u{7}\r", "amount": 7 });
    let call = desk.call(arguments.clone()).await;
    let id = desk.waiting();
    for args in
        [&["approvals", "list"][..], &["approvals", "show", &id], &["approvals", "show", &id, "--format", "json"]]
    {
        let shown = desk.managed.says(args);
        assert!(shown.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{shown:?}");
        assert!(shown.contains("202e") && shown.contains("7"), "{shown}");
    }
    let shown = desk.managed.says(&["approvals", "show", &id]);
    for part in
        ["invisible or direction-changing", "control characters", "Money.", "\"amount\": 7", "/tools/pay", "0 of 1"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(desk.made(), Vec::<Value>::new(), "it waits");
    assert!(desk.managed.says(&["approvals", "approve", &id]).starts_with(&id));
    let answer = patiently("the call", call.answer_to(&json!(1))).await;
    assert!(answer["result"]["isError"].is_null() || answer["result"]["isError"] == false, "{answer}");
    assert_eq!(desk.made(), [arguments], "once, and as it was shown");
    let (code, _, stderr) = desk.managed.run(&["approvals", "approve", &id]);
    assert_eq!((code, stderr.contains("was approved by `admin`")), (1, true), "{stderr}");
    assert!(desk.managed.says(&["approvals", "list", "--state", "used"]).contains(&id));
    assert!(!desk.managed.says(&["approvals", "list"]).contains(&id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_tells_the_agent_why() {
    let desk = Desk::start().await;
    let call = desk.call(json!({ "amount": 7 })).await;
    let id = desk.waiting();
    desk.managed.says(&["approvals", "deny", &id, "--reason", "Ask on Monday."]);
    let answer = patiently("the call", call.answer_to(&json!(1))).await;
    assert_eq!(code(&answer), "approval.denied", "{answer}");
    assert!(answer.to_string().contains("Ask on Monday."), "{answer}");
    assert_eq!(desk.made(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_lets_more_like_it_pass_until_it_is_revoked() {
    let desk = Desk::start().await;
    let call = desk.call(json!({ "amount": 7 })).await;
    let id = desk.waiting();
    let small = r#"[{ "conditions": [{ "path": "args.amount", "op": "lte", "value": 10 }] }]"#;
    let large = small.replace("10 }", "5 }");
    let allow = |require: &str| {
        desk.managed.run(&["approvals", "grant", &id, "--require", require, "--uses", "5", "--for", "1h"])
    };
    let (code, _, stderr) = allow(&large);
    assert_eq!((code, stderr.contains("/require/0")), (1, true), "{stderr}");
    assert_eq!(allow("[").0, 2, "no JSON");
    assert_eq!(allow(small).0, 0);
    patiently("the call", call.answer_to(&json!(1))).await;
    patiently("another", desk.call(json!({ "amount": 8 })).await.answer_to(&json!(1))).await;
    assert_eq!(desk.made(), [json!({ "amount": 7 }), json!({ "amount": 8 })]);
    let listed = desk.managed.says(&["approvals", "grants", "--format", "json"]);
    let grants: Value = serde_json::from_str(&listed).unwrap();
    let grant = grants[0]["id"].as_str().unwrap();
    assert!(desk.managed.says(&["approvals", "revoke", grant]).contains("revoked"));
    let more = desk.call(json!({ "amount": 9 })).await;
    desk.managed.says(&["approvals", "deny", &desk.waiting()]);
    let denied = patiently("one more", more.answer_to(&json!(1))).await;
    assert_eq!(denied["result"]["isError"], true, "{denied}");
    assert_eq!(desk.made().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_sees_calls_as_they_come_and_what_becomes_of_them() {
    let desk = Desk::start().await;
    let _first = desk.call(json!({ "amount": 1 })).await;
    let first = desk.waiting();
    let mut watch = desk.managed.command(&["approvals", "watch"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = |told: &str| lines.find(|line| line.contains(told)).unwrap();
    assert!(seen(&first).contains("wants tools/call pay at s"));
    desk.managed.says(&["approvals", "deny", &first]);
    seen(&format!("{first} is denied"));
    let _second = desk.call(json!({ "amount": 2 })).await;
    assert!(seen("\"amount\"").contains("{\"amount\": 2}"));
    let second = desk.waiting();
    desk.managed.says(&["approvals", "approve", &second]);
    seen(&format!("{second} was approved, and the call was made at 2"));
    let pid = watch.id().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}
