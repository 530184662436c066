//! Limits over a kill -9: what was let through before counts after.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{HttpClient, McpClient, Recorder};

use crate::program::Gateway;

const LIMIT: usize = 60;

fn gateway(folder: &Path, upstream: &Recorder) -> Gateway {
    let policy = format!(r#"{{ "version": "1", "tools": {{ "t": {{ "rate_limit": "{LIMIT}/hour" }} }} }}"#);
    std::fs::write(folder.join("policy.json"), policy).unwrap();
    let url = format!("servers.s.url={}", upstream.url("/mcp"));
    Gateway::start(folder, &["--set", &url, "--set", "servers.s.policy=policy.json"])
}

fn client(gateway: &Gateway) -> McpClient {
    McpClient::modern(HttpClient::new(format!("http://{}/mcp/s", gateway.data)))
}

fn calls(upstream: &Recorder) -> usize {
    upstream.requests().iter().filter(|request| request.json()["method"] == "tools/call").count()
}

fn is_limited(answer: &Value) -> bool {
    answer["result"]["_meta"]["dev.toolgate/decision"]["code"] == "limited"
}

#[tokio::test]
async fn a_limit_holds_over_kills_in_the_middle_of_load() {
    const CLIENTS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::mcp([r#"{"name":"t","inputSchema":{"type":"object"}}"#]).await;
    for kill in 1..=6 {
        let mut gateway = gateway(folder.path(), &upstream);
        let load: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let client = client(&gateway);
                tokio::spawn(async move {
                    loop {
                        client.call("t", json!({})).await;
                    }
                })
            })
            .collect();
        testkit::patiently("calls", async {
            while calls(&upstream) < 8 * kill {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gateway.signal("KILL");
        gateway.end();
        load.iter().for_each(tokio::task::JoinHandle::abort);
    }
    let gateway = gateway(folder.path(), &upstream);
    let client = client(&gateway);
    while !is_limited(&client.call("t", json!({})).await) {}
    let passed = calls(&upstream);
    assert!(passed <= LIMIT, "{passed}");
    assert!(passed + 6 * CLIENTS >= LIMIT, "no more is lost than what was under way: {passed}");
    assert!(gateway.log().contains("limits rebuilt from the journal"), "{}", gateway.log());
}

/// An upstream that cannot be reached has seen nothing: such calls count neither before a restart nor after.
#[tokio::test]
async fn what_never_left_is_not_counted_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::mcp([r#"{"name":"t","inputSchema":{"type":"object"}}"#]).await;
    let mut gone = gateway(folder.path(), &upstream);
    client(&gone).list_tools().await; // the era is known
    drop(upstream);
    for _ in 0..10 {
        let answer = client(&gone).call("t", json!({})).await;
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
    }
    gone.signal("TERM");
    gone.end();
    let upstream = Recorder::mcp([r#"{"name":"t","inputSchema":{"type":"object"}}"#]).await;
    let gateway = gateway(folder.path(), &upstream);
    let client = client(&gateway);
    while !is_limited(&client.call("t", json!({})).await) {}
    // The first of them may have left by a connection that was just about to close: nobody can know, so it counts.
    let passed = calls(&upstream);
    assert!((LIMIT - 1..=LIMIT).contains(&passed), "{passed}");
}
