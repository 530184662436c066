//! `kills`: a gateway that is killed at any instant has on record whatever it let through, once, and its chain goes on.
//! Planted: calls that go around the gateway.

use std::time::Duration;

use super::client::Client;
use super::load::{Load, Plan};
use super::oracle;
use super::stage::{Gateway, Setup, Stage};
use super::upstream::Upstream;
use super::{Played, trail};

const POLICY: &str = r#"{ "version": "1", "default": "allow", "tools": { "no-*": { "action": "deny" } } }"#;
const CLIENTS: usize = 8;
/// From the round's first call to the kill, at most.
const LIFE: Duration = Duration::from_millis(150);
/// One in so many is killed before it is ready.
const EARLY: usize = 10;
const BIRTH: Duration = Duration::from_millis(40);

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(kills(stage))
}

async fn kills(stage: &Stage) -> anyhow::Result<String> {
    let kills = stage.rounds(50, 1_000);
    let upstream = Upstream::start(Duration::ZERO).await?;
    let node = stage.node("node", &Setup { upstream: upstream.address, policy: POLICY, more: "" })?;
    let mut results = Vec::new();
    for kill in 0..kills {
        if fastrand::usize(..EARLY) == 0 {
            // Whatever it was doing; the next one must find its way.
            let mut early = stage.serve(&node)?.spawn()?;
            tokio::time::sleep(some_of(BIRTH)).await;
            // Until it is gone: the journal is locked as long as it is not.
            early.kill().await?;
        }
        let gateway = stage.start(&node).await?;
        if kill > 0 {
            trail::verify(stage, &node).await?;
        }
        results.extend(life(stage, gateway, &upstream, kill).await?);
    }
    stage.start(&node).await?.stop().await?;
    trail::verify(stage, &node).await?;

    let (seen, records) = (upstream.seen(), trail::decisions(stage, &node).await?);
    let seen: Vec<&str> = seen.iter().map(|call| call.tool.as_str()).collect();
    oracle::all_recorded(seen.iter().copied(), trail::allowed(&records))?;
    trail::each_once(&records)?;
    oracle::once("calls were seen by the upstream", seen.iter().copied())?;
    Ok(format!(
        "{kills} kills, {} calls seen by the upstream, {} answered, {} decisions on record, each once; the chain verified after each start",
        seen.len(),
        results.len(),
        records.len()
    ))
}

/// Load until it is killed; the calls that were answered.
async fn life(stage: &Stage, gateway: Gateway, upstream: &Upstream, kill: usize) -> anyhow::Result<Vec<String>> {
    let before = upstream.count();
    let plan = Plan { prefixes: vec![format!("t-{kill}"), format!("no-{kill}")], ..Plan::of(CLIENTS, "") };
    let load = Load::start(gateway.data, &plan);
    upstream.reaches(before + 1).await;
    tokio::time::sleep(some_of(LIFE)).await;
    if stage.planted {
        Client::new(upstream.address).call(&format!("around-{kill}")).await;
    }
    gateway.kill().await?;
    let attempts = load.stop().await;
    Ok(attempts
        .into_iter()
        .filter(|attempt| attempt.said == super::client::Said::Result)
        .map(|attempt| attempt.tool)
        .collect())
}

/// Any part of a span.
fn some_of(span: Duration) -> Duration {
    span.mul_f64(fastrand::f64())
}
