//! `limits`: kill -9 loses no count. Limits in memory are rebuilt from the journal, so that never more than the limit passes within its
//! window, however often the gateway is killed. Planted: no journal.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Played;
use super::load::{Attempt, Load, Plan};
use super::oracle::{self, promised};
use super::stage::{Setup, Stage};
use super::upstream::{Seen, Upstream};

const POLICY: &str =
    r#"{ "version": "1", "tools": { "t-*": { "limits": [{ "max": 20, "window": "3s", "per": "server" }] } } }"#;
const MAX: usize = 20;
const WINDOW: Duration = Duration::from_secs(3);
const NO_JOURNAL: &str = "[audit]\ndir = \"\"\n";
const CLIENTS: usize = 4;
const PACE: Duration = Duration::from_millis(10);
/// At most, from readiness to the kill.
const LIFE: Duration = Duration::from_millis(800);

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(limits(stage))
}

async fn limits(stage: &Stage) -> anyhow::Result<String> {
    let kills = stage.rounds(40, 1_000);
    let upstream = Upstream::start(Duration::ZERO).await?;
    let more = if stage.planted { NO_JOURNAL } else { "" };
    let node = stage.node("node", &Setup { upstream: upstream.address, policy: POLICY, more })?;
    let (began, mut attempts) = (Instant::now(), Vec::new());
    for kill in 0..kills {
        let gateway = stage.start(&node).await?;
        let load = Load::start(gateway.data, &Plan { pace: PACE, ..Plan::of(CLIENTS, format!("t-{kill}")) });
        tokio::time::sleep(LIFE.mul_f64(fastrand::f64())).await;
        gateway.kill().await?;
        attempts.extend(load.stop().await);
    }
    let (seen, windows) = (upstream.seen(), began.elapsed().as_secs_f64() / WINDOW.as_secs_f64());
    let most = oracle::most_within(WINDOW, &spans(&attempts, &seen));
    promised(most <= MAX, || format!("{most} calls passed within a window of {WINDOW:?}; the limit is {MAX}"))?;
    // Not by refusing all: of each window at least half was there to be used, though some is spent by calls that a kill cut off.
    let least = (windows.floor() * MAX as f64 / 2.0) as usize;
    promised(seen.len() >= least, || format!("only {} calls passed in {windows:.1} windows", seen.len()))?;
    Ok(format!(
        "{kills} kills, {} attempts: {} passed, at most {most} within any {WINDOW:?} (limit {MAX})",
        attempts.len(),
        seen.len()
    ))
}

/// When each call that was seen was asked for, and when it was seen.
pub(super) fn spans(attempts: &[Attempt], seen: &[Seen]) -> Vec<(Instant, Instant)> {
    let asked: BTreeMap<&str, Instant> =
        attempts.iter().map(|attempt| (attempt.tool.as_str(), attempt.asked)).collect();
    seen.iter().filter_map(|call| Some((*asked.get(call.tool.as_str())?, call.at))).collect()
}
