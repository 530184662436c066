//! Limits counted in Redis: one count for all gateways; while it does not answer, no call passes whose rules do not say so.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{McpClient, Recorder, Redis};
use tokio::time::Instant;

use crate::gate::{Gate, Plan, called, tool};

fn decision(answer: &Value) -> &Value {
    &answer["result"]["_meta"]["dev.toolgate/decision"]
}

fn gate(redis: &Redis, upstream: &Recorder, policy: &std::path::Path) -> Gate {
    let plan = Plan::default().server("s", upstream.url("/mcp"), policy.to_str().unwrap());
    plan.set("limits.store", &redis.url()).start()
}

/// The first call on a store that nobody knew waits a moment.
async fn first(client: &McpClient, tool: &str) {
    testkit::patiently("the store to be known", async {
        while !decision(&client.call(tool, json!({})).await).is_null() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn gateways_share_one_count() {
    let Some(redis) = Redis::start("limits_redis: shared", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    std::fs::write(&policy, r#"{ "version": "1", "tools": { "a": { "rate_limit": "9/hour" } } }"#).unwrap();
    let gates = [gate(&redis, &upstream, &policy), gate(&redis, &upstream, &policy)];
    let clients = [gates[0].modern(), gates[1].modern()];
    first(&clients[0], "a").await;
    let mut passed = 1;
    for call in 0..30 {
        let answer = clients[call % 2].call("a", json!({})).await;
        match decision(&answer)["code"].as_str() {
            None => passed += 1,
            Some(code) => assert_eq!(code, "limited", "{answer}"),
        }
    }
    assert_eq!((passed, called(&upstream).len()), (9, 9));
    assert!(gates[0].ready().await.contains("ready\n"));
}

/// Nodes have the same configuration, and not always in a folder of the same name.
#[tokio::test]
async fn what_a_policy_is_called_in_the_configuration_is_what_its_limits_are_shared_by() {
    let Some(redis) = Redis::start("limits_redis: names", &[]).await else { return };
    let upstream = Recorder::mcp(["a"].map(tool)).await;
    let once = r#"{ "version": "1", "tools": { "a": { "rate_limit": "2/hour" } } }"#;
    let node = |policy: &str| {
        let plan = Plan::default().server("s", upstream.url("/mcp"), policy).policy(policy, once);
        plan.set("limits.store", &redis.url()).start()
    };
    let (one, two, other) = (node("p.json"), node("p.json"), node("q.json"));
    first(&one.modern(), "a").await;
    assert!(decision(&two.modern().call("a", json!({})).await).is_null());
    for gate in [&one, &two] {
        assert_eq!(decision(&gate.modern().call("a", json!({})).await)["code"], "limited");
    }
    first(&other.modern(), "a").await;
}

const POLICY: &str = r#"{ "version": "1", "tools": {
    "strict": { "rate_limit": "5/hour" },
    "open": { "rate_limit": "5/hour", "on_store_failure": "allow" },
    "free": {} },
    "all_tools": { "limits": [{ "max": 100, "window": "1h", "counter": "x" }], "on_store_failure": "allow" } }"#;

#[tokio::test]
async fn while_it_is_down_only_those_pass_whose_rules_say_so() {
    let Some(mut redis) = Redis::start("limits_redis: down", &[]).await else { return };
    let upstream = Recorder::mcp(["strict", "open", "free"].map(tool)).await;
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    std::fs::write(&policy, POLICY).unwrap();
    let gate = gate(&redis, &upstream, &policy);
    let client = gate.modern();
    first(&client, "strict").await;
    redis.kill();
    let before = called(&upstream).len();
    let began = Instant::now();
    let answer = client.call("strict", json!({})).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let denial = decision(&answer);
    assert_eq!(
        (&denial["outcome"], &denial["code"], &denial["rule"], &denial["retry_after_ms"]),
        (&json!("denied"), &json!("unavailable.limits"), &json!("/tools/strict/rate_limit"), &json!(1000))
    );
    let told = "toolgate: the limits of `strict` cannot be counted now, since their store does not answer, so it is refused. Rule: \
                /tools/strict/rate_limit. Retry after 1 s.";
    assert_eq!(answer["result"]["content"][0]["text"], told);
    for open in ["open", "free"] {
        assert!(decision(&client.call(open, json!({})).await).is_null(), "{open}");
    }
    assert_eq!(called(&upstream).len() - before, 2);
    let unready = gate.until(|ready| ready.starts_with("limits cannot be counted: ")).await;
    assert!(unready.contains("limits refused "), "{unready}");
    assert_eq!(gate.admin("/readyz").await.status, 503);
    let records: String = std::fs::read_dir(gate.folder.path().join("data/audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(records.matches(r#""uncounted":true"#).count(), 2, "{records}");

    redis.restart().await; // empty: what was counted is lost
    let lost = testkit::patiently("the loss to be noticed", async {
        loop {
            let answer = client.call("strict", json!({})).await;
            match decision(&answer)["code"].as_str() {
                Some("limits.lost") => return answer,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    let wait = decision(&lost)["retry_after_ms"].as_u64().unwrap();
    assert!((3_500_000..3_700_000).contains(&wait), "{wait}");
    assert!(lost["result"]["content"][0]["text"].as_str().unwrap().contains("were lost"), "{lost}");
    assert_eq!(decision(&client.call("open", json!({})).await)["code"], "limits.lost", "the store is there again");
    gate.until(|ready| ready.starts_with("ready\n")).await;
}
