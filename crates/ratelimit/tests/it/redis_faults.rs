//! A Redis that is flushed, stopped, killed, set back, full, read-only: nothing passes uncounted, nobody waits long, and it heals.

use super::*;
use ratelimit::{Refused, Remote, Settings};
use redis_link::Address;
use std::time::Instant;
use testkit::{Redis, patiently};

/// What one refusal may take: the deadline of 200 ms, and what a busy machine adds.
const SOON: Duration = Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 250 });
const RECOVERY: Duration = Duration::from_secs(4);

fn settings(redis: &Redis) -> Settings {
    Settings {
        address: redis.url().parse::<Address>().unwrap(),
        prefix: "faults".parse().unwrap(),
        timeout: Duration::from_millis(200),
        settle: Duration::ZERO,
    }
}

/// One process, as far as the store can tell.
async fn node(settings: Settings) -> Arc<Remote> {
    let remote = Arc::new(Remote::new(settings).unwrap());
    let kept = Arc::clone(&remote);
    tokio::spawn(async move { kept.keep().await });
    up(&remote).await;
    remote
}

async fn up(remote: &Remote) {
    patiently("the store to be reached", async {
        while remote.status().trouble.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn trouble(remote: &Remote) -> Arc<str> {
    patiently("the trouble to be noticed", async {
        loop {
            match remote.status().trouble {
                Some(why) => return why,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    })
    .await
}

async fn call(remote: &Arc<Remote>, meter: &Arc<Meter>) -> Result<(), Refused> {
    remote.reserve(&[demand("a", meter, 1)]).await.map(|reservation| reservation.spend())
}

/// Until calls pass again; how long that took.
async fn recovery(remote: &Arc<Remote>, meter: &Arc<Meter>) -> Duration {
    let began = Instant::now();
    patiently("calls to pass again", async {
        while call(remote, meter).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    began.elapsed()
}

/// 200 calls at once, all refused; how long the 99th percentile and the slowest took.
async fn all_refused(remote: &Arc<Remote>, meter: &Arc<Meter>) -> (Duration, Duration) {
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let (remote, meter) = (Arc::clone(remote), Arc::clone(meter));
            tokio::spawn(async move {
                let began = Instant::now();
                let refused = call(&remote, &meter).await;
                assert!(matches!(refused, Err(Refused::Unavailable { .. })), "{refused:?}");
                began.elapsed()
            })
        })
        .collect();
    let mut took = Vec::new();
    for call in calls {
        took.push(call.await.unwrap());
    }
    took.sort();
    (took[197], took[199])
}

#[tokio::test]
async fn a_flush_is_noticed_and_denies_for_one_window() {
    let Some(redis) = Redis::start("redis_faults: flush", &[]).await else { return };
    let (one, other) = (node(settings(&redis)).await, node(settings(&redis)).await);
    let (short, long) = (meter([window(3, 2 * SECOND)]), meter([window(3, HOUR)]));
    for _ in 0..3 {
        call(&one, &short).await.unwrap();
    }
    let flushed = Instant::now();
    redis.ask(&["FLUSHALL"]).await;
    for remote in [&other, &one] {
        for (meter, window) in [(&short, 2 * SECOND), (&long, HOUR)] {
            match call(remote, meter).await {
                Err(Refused::Limited(Limited::Lost { demand: 0, quota: 0, retry_after })) => {
                    assert!(retry_after <= window + window / 100 && retry_after > window / 2, "{retry_after:?}");
                }
                passed => panic!("{passed:?}"),
            }
        }
    }
    recovery(&other, &short).await;
    assert!(flushed.elapsed() >= 2 * SECOND);
    assert!(matches!(call(&other, &long).await, Err(Refused::Limited(Limited::Lost { .. }))));
}

/// A process that never saw the store as it was waits until those that did could say so.
#[tokio::test]
async fn a_newcomer_after_a_flush_grants_nothing_before_others_could_object() {
    let Some(redis) = Redis::start("redis_faults: newcomer", &[]).await else { return };
    let meter = meter([window(3, HOUR)]);
    let settling = Settings { settle: 3 * SECOND, ..settings(&redis) };
    let known = node(settings(&redis)).await;
    call(&known, &meter).await.unwrap();
    redis.ask(&["FLUSHALL"]).await;
    let newcomer = node(settling).await;
    patiently("the old one to object", async {
        loop {
            match call(&newcomer, &meter).await {
                Err(Refused::Limited(Limited::Lost { retry_after, .. })) if retry_after > MINUTE => break,
                Err(Refused::Limited(Limited::Lost { .. })) => tokio::time::sleep(Duration::from_millis(5)).await,
                passed => panic!("{passed:?}"),
            }
        }
    })
    .await;
}

/// A restart from an old dump, or a failover to a replica that lagged behind.
#[tokio::test]
async fn an_earlier_state_is_noticed() {
    let Some(mut redis) = Redis::start("redis_faults: earlier state", &[]).await else { return };
    let node = node(settings(&redis)).await;
    let meter = meter([window(3, HOUR)]);
    call(&node, &meter).await.unwrap();
    assert!(redis.ask(&["SAVE"]).await.contains("OK"));
    call(&node, &meter).await.unwrap();
    redis.restart().await;
    up_again(&node).await;
    assert!(matches!(call(&node, &meter).await, Err(Refused::Limited(Limited::Lost { .. }))));
}

async fn up_again(remote: &Remote) {
    trouble(remote).await;
    up(remote).await;
}

#[tokio::test]
async fn a_store_that_stops_is_refused_soon_and_heals_soon() {
    let Some(redis) = Redis::start("redis_faults: stop", &[]).await else { return };
    let node = node(settings(&redis)).await;
    let meter = meter([window(10_000, HOUR)]);
    call(&node, &meter).await.unwrap();
    redis.freeze();
    let (first, first_max) = all_refused(&node, &meter).await;
    assert!(first < SOON, "{first:?} {first_max:?}");
    trouble(&node).await;
    let (then, then_max) = all_refused(&node, &meter).await;
    assert!(then < Duration::from_millis(100), "nobody waits any more: {then:?} {then_max:?}");
    tokio::time::sleep(2 * SECOND).await; // the keeper tries, and fails
    redis.thaw();
    let healed = recovery(&node, &meter).await;
    assert!(healed < RECOVERY, "{healed:?}");
    eprintln!(
        "SIGSTOP: refused within {first:?} (p99), {first_max:?} (most); then {then:?} (p99); healed after {healed:?}"
    );
    // What was asked while it stood still was not counted when it went on, except what it took within twice the deadline.
    let left = node.reserve(&[demand("a", &meter, 0)]).await.unwrap().remaining(0).unwrap().units;
    assert_eq!(left, 10_000 - 2);
}

#[tokio::test]
async fn a_store_that_is_killed_is_refused_at_once_and_heals_soon() {
    let Some(mut redis) = Redis::start("redis_faults: kill", &[]).await else { return };
    let node = node(settings(&redis)).await;
    let meter = meter([window(10_000, SECOND)]);
    call(&node, &meter).await.unwrap();
    redis.kill();
    let (p99, most) = all_refused(&node, &meter).await;
    assert!(p99 < SOON, "{p99:?} {most:?}");
    redis.restart().await;
    let healed = recovery(&node, &meter).await;
    eprintln!(
        "kill: refused within {p99:?} (p99), {most:?} (most); healed after {healed:?}, of which a window of 1 s for what was lost"
    );
    assert!(healed < RECOVERY, "{healed:?}");
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let Some(redis) = Redis::start("redis_faults: script flush", &[]).await else { return };
    let node = node(settings(&redis)).await;
    let meter = meter([window(5, HOUR)]);
    for _ in 0..5 {
        redis.ask(&["SCRIPT", "FLUSH"]).await;
        call(&node, &meter).await.unwrap();
    }
    assert!(matches!(call(&node, &meter).await, Err(Refused::Limited(Limited::Exhausted { .. }))));
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_no_store() {
    let Some(redis) = Redis::start("redis_faults: no writes", &[]).await else { return };
    let node = node(settings(&redis)).await;
    let meter = meter([window(10_000, SECOND)]);
    call(&node, &meter).await.unwrap();
    let faults: [(&[&str], &[&str], &str); 3] = [
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "read"),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "OOM"),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "NOREPLICAS",
        ),
    ];
    for (fault, cure, says) in faults {
        redis.ask(fault).await;
        let (p99, most) = all_refused(&node, &meter).await;
        assert!(p99 < SOON, "{fault:?}: {p99:?} {most:?}");
        let why = trouble(&node).await;
        assert!(why.to_lowercase().contains(&says.to_lowercase()), "{why}");
        redis.ask(cure).await;
        let healed = recovery(&node, &meter).await;
        assert!(healed < RECOVERY, "{fault:?}: {healed:?}");
        eprintln!("{fault:?}: refused within {p99:?} (p99), {most:?} (most); healed after {healed:?}");
    }
}

#[tokio::test]
async fn a_store_that_evicts_keys_is_not_used() {
    let Some(redis) =
        Redis::start("redis_faults: eviction", &["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"]).await
    else {
        return;
    };
    let remote = Arc::new(Remote::new(settings(&redis)).unwrap());
    let kept = Arc::clone(&remote);
    tokio::spawn(async move { kept.keep().await });
    patiently("it to be told", async {
        while !remote.status().trouble.is_some_and(|why| why.contains("noeviction")) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let refused = call(&remote, &meter([window(1, HOUR)])).await;
    assert!(matches!(refused, Err(Refused::Unavailable { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_node_of_a_cluster_without_our_slot_is_refused() {
    let Some(redis) = Redis::start("redis_faults: cluster", &["--cluster-enabled", "yes"]).await else { return };
    let remote = Arc::new(Remote::new(settings(&redis)).unwrap());
    let kept = Arc::clone(&remote);
    tokio::spawn(async move { kept.keep().await });
    let why = patiently("it to be told", async {
        loop {
            match remote.status().trouble {
                Some(why) if why.to_lowercase().contains("cluster") => return why,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    })
    .await;
    assert!(call(&remote, &meter([window(1, HOUR)])).await.is_err(), "{why}");
}

#[tokio::test]
async fn a_password_opens_the_door_and_a_wrong_one_does_not() {
    let Some(redis) = Redis::start("redis_faults: password", &["--requirepass", "s3cret"]).await else { return };
    let with = |credentials: &str| {
        let address = redis.url().replace("redis://", &format!("redis://{credentials}")).parse().unwrap();
        Settings { address, ..settings(&redis) }
    };
    let node = node(Settings { ..with(":s3cret@") }).await;
    call(&node, &meter([window(1, HOUR)])).await.unwrap();
    let wrong = Arc::new(Remote::new(with("default:w0rd@")).unwrap());
    let kept = Arc::clone(&wrong);
    tokio::spawn(async move { kept.keep().await });
    let refused = call(&wrong, &meter([window(1, HOUR)])).await;
    assert!(refused.is_err());
    let told = format!("{refused:?} {wrong:?} {:?}", wrong.status());
    assert!(!told.contains("w0rd"), "{told}");
}

/// Several processes, as far as the store can tell, and 100,000 attempts: exactly the limit passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_limit_passes_through_four_clients() {
    let Some(redis) = Redis::start("redis_faults: exact", &[]).await else { return };
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(node(Settings { timeout: 5 * SECOND, ..settings(&redis) }).await);
    }
    for (key, limit, attempts) in [("one", 1, 10_000_u64), ("seven", 7, 10_000), ("thousand", 1000, 100_000)] {
        let (meter, began) = (meter([window(limit, HOUR), window(2 * limit, 2 * HOUR)]), Instant::now());
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let (remote, meter) = (Arc::clone(&nodes[task % 4]), Arc::clone(&meter));
                tokio::spawn(async move {
                    let mut passed = 0;
                    for _ in 0..attempts / 64 {
                        match remote.reserve(&[demand(key, &meter, 1)]).await {
                            Ok(reservation) => {
                                reservation.spend();
                                passed += 1;
                            }
                            Err(Refused::Limited(Limited::Exhausted { .. })) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                    passed
                })
            })
            .collect();
        let mut passed = 0;
        for task in tasks {
            passed += task.await.unwrap();
        }
        eprintln!(
            "{attempts} attempts at a limit of {limit}: {:.0} a second",
            attempts as f64 / began.elapsed().as_secs_f64()
        );
        assert_eq!(passed, limit);
    }
}
