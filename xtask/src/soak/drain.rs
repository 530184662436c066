//! `drain`: what is under way at a SIGTERM is answered, and the program has ended one second after the drain time at the latest, even if an
//! upstream never answers. Planted: SIGKILL.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::Played;
use super::client::{Client, Said};
use super::load::{Load, Plan};
use super::oracle::promised;
use super::stage::{Setup, Stage};
use super::upstream::{HELD, Upstream};

const POLICY: &str = r#"{ "version": "1", "default": "allow" }"#;
const CLIENTS: usize = 16;
const DRAIN: Duration = Duration::from_secs(1);
const SETTINGS: &str = "[bounds]\ndrain = \"1s\"\n";
/// What the upstream takes for an answer: so some are always under way.
const TAKES: Duration = Duration::from_millis(30);
/// From a round's first call to the signal, at most.
const LIFE: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_secs(1);

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(drain(stage))
}

async fn drain(stage: &Stage) -> anyhow::Result<String> {
    let rounds = stage.rounds(20, 500);
    let upstream = Upstream::start(TAKES).await?;
    let node = stage.node("node", &Setup { upstream: upstream.address, policy: POLICY, more: SETTINGS })?;
    let (mut answered, mut longest) = (0, Duration::ZERO);
    for round in 0..rounds {
        let mut gateway = stage.start(&node).await?;
        let before = upstream.count();
        let load = Load::start(gateway.data, &Plan::of(CLIENTS, format!("t-{round}")));
        let mut held = Client::new(gateway.data);
        // In every other round there is one that never ends.
        let held = (round % 2 == 1).then(|| tokio::spawn(async move { held.call(&format!("{HELD}-{round}")).await }));
        upstream.reaches(before + 1 + usize::from(held.is_some())).await;
        tokio::time::sleep(LIFE.mul_f64(fastrand::f64())).await;
        let told = Instant::now();
        gateway.tell(if stage.planted { Signal::KILL } else { Signal::TERM })?;
        let status = gateway.end().await?;
        longest = longest.max(told.elapsed());
        promised(told.elapsed() <= DRAIN + GRACE, || format!("the end took {:?}", told.elapsed()))?;
        let attempts = load.stop().await;
        let seen = upstream.seen();
        let seen: BTreeSet<&str> = seen.iter().map(|call| call.tool.as_str()).collect();
        let lost = attempts.iter().find(|attempt| attempt.said == Said::Cut && seen.contains(attempt.tool.as_str()));
        promised(lost.is_none(), || format!("a call under way was lost: {lost:?}"))?;
        promised(status.success(), || format!("the program ended with {status}"))?;
        answered += attempts.iter().filter(|attempt| attempt.said == Said::Result).count();
        if let Some(held) = held {
            promised(held.await? != Said::Result, || "nobody answered this call".to_owned())?;
        }
    }
    Ok(format!(
        "{rounds} signals, {answered} calls answered, none lost; the longest end took {} ms",
        longest.as_millis()
    ))
}
