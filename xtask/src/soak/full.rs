//! `full`: when the journal's disk is full, calls are denied and readiness says why; when there is room, it goes on by itself.
//! Planted: no journal.

use std::time::Duration;

use tokio::time::Instant;

use super::client::{Client, Said};
use super::load::{Load, Plan};
use super::oracle::{self, promised};
use super::space::Space;
use super::stage::{Gateway, Setup, Stage};
use super::upstream::Upstream;
use super::{Played, trail};

const POLICY: &str = r#"{ "version": "1", "default": "allow" }"#;
const QUIET: &str = "[log]\nlevel = \"error\"\n";
const NO_JOURNAL: &str = "[log]\nlevel = \"error\"\n\n[audit]\ndir = \"\"\n";
/// More than the space has room for.
const MANY: usize = 4_000;
/// Made while it is full.
const PROBES: usize = 40;

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(full(stage))
}

async fn full(stage: &Stage) -> anyhow::Result<String> {
    let upstream = Upstream::start(Duration::ZERO).await?;
    let more = if stage.planted { NO_JOURNAL } else { QUIET };
    let node = stage.node("node", &Setup { upstream: upstream.address, policy: POLICY, more })?;
    let space = Space::small(&node.join("data/audit"))?;
    let mut command = space.confine(stage.serve(&node)?);
    stage.at(&mut command, &node)?;
    let gateway = Gateway::start(command).await?;
    let mut client = Client::new(gateway.data);
    let mut passed = 0;
    while client.call(&format!("before-{passed}")).await == Said::Result {
        passed += 1;
        promised(passed < MANY, || format!("{passed} calls passed where there is no room for their records"))?;
    }
    gateway.until("readiness to say why", |status, said| status == 503 && said.contains("audit journal")).await?;
    let before = upstream.count();
    let attempts = Load::start(gateway.data, &Plan { calls: 1, ..Plan::of(PROBES, "full") }).done().await;
    let refused = attempts.iter().filter(|attempt| matches!(attempt.said, Said::No { .. })).count();
    promised(refused == PROBES, || format!("{refused} of {PROBES} calls were refused without room for their records"))?;
    promised(upstream.count() == before, || "a call left without a record".to_owned())?;

    space.grow(&gateway)?;
    let room = Instant::now();
    gateway.until("readiness", |status, _| status == 200).await?;
    let back = room.elapsed();
    let said = client.call("after").await;
    promised(said == Said::Result, || format!("there is room, and a call is answered with {said:?}"))?;
    gateway.stop().await?;
    trail::verify(stage, &node).await?;
    let (seen, records) = (upstream.seen(), trail::decisions(stage, &node).await?);
    oracle::all_recorded(seen.iter().map(|call| call.tool.as_str()), trail::allowed(&records))?;
    trail::each_once(&records)?;
    Ok(format!(
        "{}: {passed} calls passed, then {refused} of {PROBES} were refused; ready again {} ms after there was room",
        space.kind(),
        back.as_millis()
    ))
}
