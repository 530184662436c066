//! Under load: no call is dropped, and every one is judged and sent by one snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use testkit::Recorder;

use super::managed::{Managed, denied, only};
use crate::gate::{called, tool};

const REFRESHES: usize = 500;
const CALLERS: usize = 4;

/// Server and policy change together: the one that allows `a` is never that of the server where only `b` is allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_dropped_or_judged_by_a_mix() {
    let (of_a, of_b) =
        (Recorder::mcp_modern(["a", "b"].map(tool)).await, Recorder::mcp_modern(["a", "b"].map(tool)).await);
    let managed = Arc::new(Managed::new());
    managed.policy("p-a", &only("a")).await;
    managed.policy("p-b", &only("b")).await;
    managed.put_before("x", &of_a, "p-a").await;
    managed.refresh().await;
    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (managed, done) = (Arc::clone(&managed), Arc::clone(&done));
            tokio::spawn(async move {
                let client = managed.modern("x");
                let mut counts = [0_usize; 2];
                while !done.load(Ordering::Relaxed) {
                    for (allowed, other) in [("a", "b"), ("b", "a")] {
                        match denied(&client.call(allowed, json!({})).await) {
                            None => counts[0] += 1,
                            Some(why) => {
                                assert!(why.contains(&format!("only {other}")), "denied by a mix: {why}");
                                counts[1] += 1;
                            }
                        }
                    }
                }
                counts
            })
        })
        .collect();
    for round in 0..REFRESHES {
        let (upstream, policy) = if round % 2 == 0 { (&of_b, "p-b") } else { (&of_a, "p-a") };
        managed.put_before("x", upstream, policy).await;
        managed.refresh().await;
    }
    done.store(true, Ordering::Relaxed);
    let mut all = [0; 2];
    for caller in callers {
        let counts = caller.await.unwrap();
        all = [all[0] + counts[0], all[1] + counts[1]];
    }
    assert!(all.iter().all(|count| *count > CALLERS), "{all:?}");
    assert!(called(&of_a).iter().all(|tool| tool == "a"), "allowed by one snapshot, sent by another");
    assert!(called(&of_b).iter().all(|tool| tool == "b"), "allowed by one snapshot, sent by another");
    assert_eq!(called(&of_a).len() + called(&of_b).len(), all[0], "every call once");
}

/// Sessions outlive all policies of their server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_live_through_any_number_of_policies() {
    let upstream = Recorder::mcp(["a", "b"].map(tool)).await;
    let managed = Arc::new(Managed::new());
    managed.policy("p", &only("a")).await;
    managed.policy("p", &only("b")).await;
    managed.put_before("x", &upstream, "p").await;
    managed.refresh().await;
    let client = Arc::new(managed.legacy("x").await);
    let done = Arc::new(AtomicBool::new(false));
    let caller = {
        let (client, done) = (Arc::clone(&client), Arc::clone(&done));
        tokio::spawn(async move {
            let mut lists = 0;
            while !done.load(Ordering::Relaxed) {
                let listed = client.list_tools().await;
                assert!(listed == ["a"] || listed == ["b"], "a mix: {listed:?}");
                lists += 1;
            }
            lists
        })
    };
    for round in 0..100 {
        managed.store.activate_policy("p", 1 + round % 2, None).await.unwrap();
        managed.refresh().await;
        let expected = if round % 2 == 0 { "a" } else { "b" };
        assert_eq!(client.list_tools().await, [expected], "in force when `refresh` returns");
    }
    done.store(true, Ordering::Relaxed);
    assert!(caller.await.unwrap() > 0);
}
