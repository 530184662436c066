//! `nodes`: four gateways on one Redis and one PostgreSQL, one of them killed each second. Never more than the limit passes within its
//! window, over all of them; whatever passed is on record at one of them, and each record is in PostgreSQL, once.
//! Planted: every node counts for itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::limits::spans;
use super::load::{Load, Plan};
use super::oracle::{self, promised};
use super::stage::{Gateway, LOOK, PATIENCE, Setup, Stage};
use super::upstream::Upstream;
use super::{Played, trail};
use crate::services::{Postgres, Redis};

const NODES: usize = 4;
const CLIENTS: usize = 8;
const PACE: Duration = Duration::from_millis(5);
const POLICY: &str =
    r#"{ "version": "1", "tools": { "t-*": { "limits": [{ "max": 50, "window": "2s", "per": "server" }] } } }"#;
const MAX: usize = 50;
const WINDOW: Duration = Duration::from_secs(2);
const BETWEEN_KILLS: Duration = Duration::from_secs(1);

struct Node {
    name: String,
    folder: PathBuf,
    gateway: Option<Gateway>,
}

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(nodes(stage))
}

async fn nodes(stage: &Stage) -> anyhow::Result<String> {
    let (postgres, redis) = (Postgres::start()?, Redis::start()?);
    let upstream = Upstream::start(Duration::ZERO).await?;
    let mut nodes = Vec::new();
    for number in 1..=NODES {
        nodes.push(node(stage, &upstream, &postgres, &redis, number).await?);
    }
    let addresses = watch::Sender::new(here(&nodes));
    let calls = if stage.planted { 4_000 } else { stage.of(10_000, 100_000) };
    let plan = Plan { pace: PACE, calls: calls / CLIENTS, ..Plan::of(CLIENTS, "t") };
    let (began, mut kills) = (Instant::now(), 0);
    let mut load = pin!(Load::start_at(&addresses, &plan).done());
    let attempts = loop {
        tokio::select! {
            attempts = &mut load => break attempts,
            () = sleep(BETWEEN_KILLS) => {
                let victim = nodes.get_mut(fastrand::usize(..NODES)).context("one of them")?;
                victim.gateway.take().context("it runs")?.kill().await?;
                victim.gateway = Some(stage.start(&victim.folder).await?);
                addresses.send_replace(here(&nodes));
                kills += 1;
            }
        }
    };
    let windows = began.elapsed().as_secs_f64() / WINDOW.as_secs_f64();
    let seen = upstream.seen();
    let most = oracle::most_within(WINDOW, &spans(&attempts, &seen));
    promised(most <= MAX, || format!("{most} calls passed within a window of {WINDOW:?}; the limit is {MAX}"))?;
    // Not by refusing all: an empty Redis grants nothing at first, and a kill spends what it cuts off.
    let least = (windows.floor() * MAX as f64 / 4.0) as usize;
    promised(seen.len() >= least, || format!("only {} calls passed in {windows:.1} windows", seen.len()))?;

    let shipped = shipped(stage, &nodes, &postgres).await?;
    let mut records = Vec::new();
    for Node { folder, gateway, .. } in nodes {
        gateway.context("it runs")?.stop().await?;
        trail::verify(stage, &folder).await?;
        records.extend(trail::decisions(stage, &folder).await?);
    }
    oracle::all_recorded(seen.iter().map(|call| call.tool.as_str()), trail::allowed(&records))?;
    trail::each_once(&records)?;
    oracle::once("calls were seen by the upstream", seen.iter().map(|call| call.tool.as_str()))?;
    Ok(format!(
        "{NODES} nodes, {kills} kills, {} attempts: {} passed, at most {most} within any {WINDOW:?} (limit {MAX}); {shipped} records in PostgreSQL, each once",
        attempts.len(),
        seen.len()
    ))
}

async fn node(
    stage: &Stage,
    upstream: &Upstream,
    postgres: &Postgres,
    redis: &Redis,
    number: usize,
) -> anyhow::Result<Node> {
    let (name, redis, postgres) = (format!("node-{number}"), redis.url(), postgres.url());
    let limits = if stage.planted { "memory".to_owned() } else { redis };
    let more =
        format!("[limits]\nstore = \"{limits}\"\n\n[store]\nurl = \"{postgres}\"\n\n[audit]\nnode = \"{name}\"\n");
    let folder = stage.node(&name, &Setup { upstream: upstream.address, policy: POLICY, more: &more })?;
    let gateway = Some(stage.start(&folder).await?);
    Ok(Node { name, folder, gateway })
}

/// Where those that run are.
fn here(nodes: &[Node]) -> Vec<SocketAddr> {
    nodes.iter().filter_map(|node| Some(node.gateway.as_ref()?.data)).collect()
}

/// Waits until PostgreSQL has all records of all nodes; how many. That none is there twice, its key sees to: what is counted is that none
/// is missing, and none is there that no journal has.
async fn shipped(stage: &Stage, nodes: &[Node], postgres: &Postgres) -> anyhow::Result<u64> {
    let mut all = 0;
    for Node { name, folder, .. } in nodes {
        let last = trail::last(stage, folder).await?;
        let query = format!("SELECT count(*), min(seq), max(seq) FROM tg_audit WHERE node LIKE '{name}.%'");
        let wanted = format!("{last}\t1\t{last}\n");
        let mut found = String::new();
        let looks = async {
            while found != wanted {
                found = postgres.sql("postgres", &query)?;
                sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        let came = timeout(PATIENCE, looks).await;
        promised(came.is_ok(), || {
            format!("of {name}, {last} records are in its journal, and in PostgreSQL (number, first, last): {found}")
        })?;
        came??;
        all += last;
    }
    Ok(all)
}
