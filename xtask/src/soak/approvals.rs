//! `approvals`: whatever many clients do at once, and whenever the gateway is killed, an approval lets one call through, once; a call
//! without one does not pass; and what is decided leaves at once. Planted: a call that goes around the gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::approver::{Approver, Decided};
use super::client::{Client, Said};
use super::oracle::promised;
use super::stage::{Gateway, LOOK, PATIENCE, Setup, Stage};
use super::upstream::{PAY, Upstream};
use super::{Played, trail};
use crate::services::Postgres;

/// Held long enough for everybody to be there before anybody decides, and repeated by the client after that.
const POLICY: &str = r#"{ "version": "1", "tools": { "pay": { "action": "require_approval", "approval": { "approvers": ["admin"], "hold": "60s" } } } }"#;

/// All racers are one agent, and no two of its calls are alike but by their number.
const SETTINGS: &str = "[approvals]\nasks_per_hour = 1000000\npending_per_agent = 1000\npending_per_server = 10000\n";

/// From a decision to the call's arrival, on one node.
const PROMPT: Duration = Duration::from_millis(50);

const NODES: usize = 3;

/// Rounds after which a long run says how far it is.
const TOLD: usize = 50;

/// Clients that pay while the gateway is killed.
const PAYERS: u64 = 6;
/// From readiness to the kill, at most.
const LIFE: Duration = Duration::from_millis(400);

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(async {
        let (alone, took) = alone(stage).await?;
        let (together, killed) = (together(stage).await?, kills(stage).await?);
        promised(took <= PROMPT, || {
            format!("from the decision to the call's arrival p99 {took:?}, and not {PROMPT:?}")
        })?;
        Ok(format!("{alone}, left {} ms (p99) after its decision; {together}; {killed}", took.as_millis()))
    })
}

/// On one node, whose store is a file.
async fn alone(stage: &Stage) -> anyhow::Result<(String, Duration)> {
    let upstream = Upstream::start(Duration::ZERO).await?;
    let node = stage.node("alone", &Setup { upstream: upstream.address, policy: POLICY, more: SETTINGS })?;
    let gateway = stage.start(&node).await?;
    let mut approver = Approver::sign_in(&gateway).await?;
    let (rounds, racers) = (stage.rounds(10, 1_000), stage.of(200, 1_000));
    races(stage, &upstream, &[&gateway], &mut approver, (0, rounds, racers)).await?;
    // As it is nearly always: one waits.
    let took = races(stage, &upstream, &[&gateway], &mut approver, (rounds, stage.rounds(300, 2_000), 1)).await?;
    gateway.stop().await?;
    trail::verify(stage, &node).await?;
    Ok((format!("{rounds} rounds of {racers} racers, one call each"), took))
}

/// On several nodes, with one PostgreSQL.
async fn together(stage: &Stage) -> anyhow::Result<String> {
    let postgres = Postgres::start()?;
    let upstream = Upstream::start(Duration::ZERO).await?;
    let mut gateways = Vec::new();
    for number in 1..=NODES {
        let more = format!("[store]\nurl = \"{}\"\n\n{SETTINGS}", postgres.url());
        let node = stage
            .node(&format!("node-{number}"), &Setup { upstream: upstream.address, policy: POLICY, more: &more })?;
        gateways.push(stage.start(&node).await?);
    }
    let mut approver = Approver::sign_in(gateways.first().context("there are some")?).await?;
    let (rounds, racers) = (stage.rounds(5, 200), stage.of(100, 500));
    let nodes: Vec<&Gateway> = gateways.iter().collect();
    let took = races(stage, &upstream, &nodes, &mut approver, (0, rounds, racers)).await?;
    for gateway in gateways {
        gateway.stop().await?;
    }
    Ok(format!("{rounds} of {racers} on {NODES} nodes, {} ms (p99)", took.as_millis()))
}

/// Many wait for one approval: one call passes. How long the call took from the decision to the upstream, of a hundred the 99th.
async fn races(
    stage: &Stage,
    upstream: &Upstream,
    gateways: &[&Gateway],
    approver: &mut Approver,
    (first, rounds, racers): (usize, usize, u32),
) -> anyhow::Result<Duration> {
    let mut took = Vec::new();
    for round in (first..first + rounds).map(|round| round as u64) {
        let (mut race, held) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        for gateway in gateways.iter().cycle().take(racers as usize) {
            race.spawn(pay(gateway.data, round, Arc::clone(&held)));
        }
        // A call that waits is answered with the head of a stream.
        drop(timeout(PATIENCE, held.acquire_many(racers)).await.context("not everybody is held")??);
        let ticket = approver.waiting("").await?;
        let decided = Instant::now();
        anyhow::ensure!(approver.approve(&ticket).await? == Decided::Done, "the approval was decided by somebody else");
        if stage.planted {
            Client::new(upstream.address).call_with(PAY, &json!({ "round": round })).await;
        }
        upstream.reaches(upstream_count(round, stage.planted)).await;
        took.push(decided.elapsed());
        // The others ask anew, and are told no.
        if racers > 1 {
            let again = approver.waiting(&ticket).await?;
            approver.deny(&again).await?;
        }
        let mut passed = 0;
        while let Some(said) = race.join_next().await {
            passed += usize::from(said? == Said::Result);
        }
        let seen = upstream.paid(round);
        promised(seen == 1, || format!("{seen} calls reached the upstream by one approval, of {racers}"))?;
        promised(passed == 1, || format!("{passed} of {racers} were answered"))?;
        if took.len().is_multiple_of(TOLD) && racers > 1 {
            eprintln!("approvals: {} rounds of {racers} racers on {} nodes, one call each", took.len(), gateways.len());
        }
    }
    took.sort_unstable();
    Ok(took.get((took.len() * 99).div_ceil(100).saturating_sub(1)).or(took.last()).copied().unwrap_or_default())
}

/// What the upstream has seen when the round's call is there; with the planted one.
fn upstream_count(round: u64, planted: bool) -> usize {
    (round as usize + 1) * (1 + usize::from(planted))
}

/// The gateway is killed while calls wait, between a decision and the call, and after it.
async fn kills(stage: &Stage) -> anyhow::Result<String> {
    let kills = stage.rounds(15, 500);
    let upstream = Upstream::start(Duration::ZERO).await?;
    let node = stage.node("kills", &Setup { upstream: upstream.address, policy: POLICY, more: SETTINGS })?;
    let mut gateway = stage.start(&node).await?;
    let token = Approver::sign_in(&gateway).await?.token();
    let mut decided: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for kill in 0..kills as u64 {
        let (stop, addresses) = (watch::Sender::new(false), gateway.data);
        let mut payers = JoinSet::new();
        for payer in 0..PAYERS {
            // Half of the numbers were asked for by the gateway before: what it decided and did not use is there.
            let number = kill * PAYERS / 2 + payer;
            payers.spawn(repeat(addresses, number, stop.subscribe()));
        }
        let approving = Approver::with(gateway.admin, token.clone());
        let approvals = tokio::spawn(approving.approve_all(stop.subscribe()));
        sleep(LIFE.mul_f64(fastrand::f64())).await;
        if stage.planted {
            Client::new(upstream.address).call_with(PAY, &json!({ "round": kill + 1_000_000 })).await;
        }
        gateway.kill().await?;
        stop.send_replace(true);
        payers.join_all().await;
        for (id, number) in approvals.await? {
            decided.entry(number).or_default().insert(id);
        }
        gateway = stage.start(&node).await?;
    }
    gateway.stop().await?;
    trail::verify(stage, &node).await?;
    let seen = upstream.all_paid();
    for (number, count) in &seen {
        let most = decided.get(number).map_or(0, BTreeSet::len);
        promised(*count <= most, || {
            format!("call {number} was approved {most} times at most, and passed {count} times")
        })?;
    }
    let total: usize = seen.values().sum();
    let allowed = trail::decisions(stage, &node).await?.iter().filter(|record| record.is_allowed()).count();
    promised(total <= allowed, || format!("{total} calls passed, and {allowed} are on record"))?;
    promised(total >= kills / 2, || format!("only {total} calls passed in {kills} lives"))?;
    Ok(format!("{kills} kills, {total} approved calls passed, none twice and none without its approval"))
}

async fn pay(gateway: SocketAddr, round: u64, held: Arc<Semaphore>) -> Said {
    Client::new(gateway).call_heard(PAY, &json!({ "round": round }), || held.add_permits(1)).await
}

/// The identical call again and again, until it passes.
async fn repeat(gateway: SocketAddr, number: u64, mut stop: watch::Receiver<bool>) {
    let mut client = Client::new(gateway);
    loop {
        let arguments = json!({ "round": number });
        tokio::select! {
            said = client.call_with(PAY, &arguments) => match said {
                Said::Result => return,
                Said::No { .. } | Said::Cut => sleep(LOOK).await,
            },
            _ = stop.changed() => return,
        }
    }
}
