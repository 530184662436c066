//! A policy file that changes while the gateway runs: however it is written, a good one is taken whole and a bad one not at all.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use testkit::{HttpClient, McpClient, Recorder};

use crate::gate::{Gate, Plan, tool};

/// Only `a`, or only `b`; the other is denied with a reason that names this policy.
fn policy(allowed: &str) -> String {
    let denied = if allowed == "a" { "b" } else { "a" };
    format!(
        r#"{{ "version": "1", "tools": {{ "{allowed}": {{}}, "{denied}": {{ "action": "deny", "reason": "only {allowed}" }} }} }}"#
    )
}

async fn upstream() -> Recorder {
    Recorder::mcp(["a", "b"].map(tool)).await
}

async fn allows(gate: &Gate, expected: &str) {
    assert_eq!(gate.modern().list_tools().await, [expected]);
}

/// Waits until only this tool is allowed.
async fn comes_to_allow(gate: &Gate, expected: &str) {
    testkit::patiently("the policy to be taken", async { while gate.modern().list_tools().await != [expected] {} })
        .await;
}

#[tokio::test]
async fn however_it_is_written() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, &policy("a"));
    let file = gate.policy_file();
    allows(&gate, "a").await;
    gate.reload(&policy("b")).await; // renamed into place, as editors do
    allows(&gate, "b").await;
    std::fs::write(&file, policy("a")).unwrap(); // truncated and written
    comes_to_allow(&gate, "a").await;
    std::fs::remove_file(&file).unwrap();
    gate.until(|ready| ready.contains("was not reloaded: cannot read policy")).await;
    allows(&gate, "a").await;
    std::fs::write(&file, policy("b")).unwrap();
    comes_to_allow(&gate, "b").await;
    assert!(!gate.ready().await.contains("not reloaded"));
}

/// As Kubernetes does it: the file is a link to a link to a directory, and the middle one is swapped.
#[tokio::test]
async fn a_link_that_is_swapped() {
    let upstream = upstream().await;
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    for (version, allowed) in [("v1", "a"), ("v2", "b")] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("policy.json"), policy(allowed)).unwrap();
    }
    symlink("v1", at("..data")).unwrap();
    symlink("..data/policy.json", at("policy.json")).unwrap();
    let gate = Plan::default().server("s", upstream.url("/mcp"), at("policy.json").to_str().unwrap()).start();
    allows(&gate, "a").await;
    symlink("v2", at("..new")).unwrap();
    std::fs::rename(at("..new"), at("..data")).unwrap();
    comes_to_allow(&gate, "b").await;
}

/// Vectors 96 and 98: a bad file changes nothing, and says so to whoever asks.
#[tokio::test]
async fn a_bad_file_never_replaces_a_good_one() {
    let upstream = upstream().await;
    let gate = Gate::before(&upstream, &policy("a"));
    for (bad, said) in [
        ("", "is not valid"),
        ("{", "is not valid"),
        ("{}", "version"),
        (r#"{ "version": "2" }"#, "version"),
        (r#"{ "version": "1", "tool": {} }"#, "tool"),
        (r#"{ "version": "1", "default": "allow", "default": "deny" }"#, "default"),
        (r#"{ "version": "1", "tools": { "a": { "rate_limit": "0/minute" } } }"#, "rate_limit"),
        ("\u{feff}\u{0}", "is not valid"),
    ] {
        std::fs::write(gate.policy_file(), bad).unwrap();
        let ready = gate.until(|ready| ready.contains("was not reloaded")).await;
        assert!(ready.contains(said) || ready.contains("is not valid"), "{bad:?}: {ready}");
        assert!(ready.starts_with("ready\n"), "calls are still judged: {ready}");
        assert_eq!(gate.admin("/readyz").await.status, 200);
        allows(&gate, "a").await;
        // Back to what is in force: the trouble is over, and nothing was reloaded in between.
        std::fs::write(gate.policy_file(), policy("a")).unwrap();
        gate.until(|ready| !ready.contains("not reloaded")).await;
    }
    gate.reload(&policy("b")).await;
    allows(&gate, "b").await;
}

#[tokio::test]
async fn a_policy_of_two_servers_changes_for_both() {
    let upstream = upstream().await;
    let gate = Plan::default()
        .server("s", upstream.url("/mcp"), "policy.json")
        .server("t", upstream.url("/mcp"), "policy.json")
        .server("u", upstream.url("/mcp"), "other.json")
        .policy("policy.json", &policy("a"))
        .policy("other.json", &policy("a"))
        .start();
    gate.reload(&policy("b")).await;
    for (server, expected) in [("s", "b"), ("t", "b"), ("u", "a")] {
        assert_eq!(McpClient::modern(HttpClient::new(gate.url(server))).list_tools().await, [expected], "{server}");
    }
}

/// Vector 97: under load, every call is judged by one policy, the old or the new, and none is dropped.
#[tokio::test]
async fn no_call_is_dropped_or_judged_by_a_mix() {
    let upstream = upstream().await;
    let gate = Arc::new(Gate::before(&upstream, &policy("a")));
    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|n| {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            tokio::spawn(async move {
                let client = if n % 2 == 0 { gate.modern() } else { gate.legacy().await };
                let mut calls = [0; 2];
                while !done.load(Ordering::Relaxed) {
                    let listed = client.list_tools().await;
                    assert!(listed == ["a"] || listed == ["b"], "a mix: {listed:?}");
                    for (n, tool) in ["a", "b"].into_iter().enumerate() {
                        let answer = client.call(tool, json!({})).await;
                        let text =
                            answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
                        let other = ["only b", "only a"][n];
                        match answer["result"]["isError"].is_null() {
                            true => calls[n] += 1,
                            false => assert!(text.contains(other), "denied by a mix: {text}"),
                        }
                    }
                }
                calls
            })
        })
        .collect();
    for round in 0..10 {
        gate.reload(&policy(if round % 2 == 0 { "b" } else { "a" })).await;
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap().iter().sum::<i32>() > 0);
    }
}
