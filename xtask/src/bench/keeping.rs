//! What keeping costs: the gateway with nothing kept, with the audit journal, with its copy in the store (as it comes), and with limits counted
//! in a Redis beside it, in turn with the bare proxy. Each in a folder of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::Plan;
use super::calls::Calls;
use super::load::{self, Connection};
use super::message::Era;
use super::stage::{Binaries, Server};
use crate::services::Redis;

/// What is kept. The bare proxy comes before them.
const WAYS: [&str; 4] = [
    "toolgate, no journal",
    "toolgate, journal, not copied to the store",
    "toolgate, journal",
    "toolgate, journal, limits in Redis",
];

/// How a configuration says so.
fn settings(redis: &Redis) -> [String; WAYS.len()] {
    [
        "[audit]\ndir = \"\"\n".to_owned(),
        "[audit]\nindex = false\n".to_owned(),
        String::new(),
        format!("[limits]\nstore = \"{}\"\n", redis.url()),
    ]
}

/// A Redis that nobody knows yet grants nothing for some seconds.
const KNOWN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

pub(super) const BARE: usize = 0;

/// The same rounds under two loads: of as many clients as elsewhere, for the CPU time, and of one, for how long a call takes when none waits.
pub(super) struct Keeping {
    pub(super) busy: Calls,
    pub(super) alone: Calls,
}

pub(super) async fn measure(plan: &Plan, binaries: &Binaries, folder: &Path) -> anyhow::Result<Keeping> {
    let upstream = binaries.upstream(folder)?;
    let redis = Redis::start()?;
    let mut servers = vec![binaries.bare(&upstream, folder)?];
    for (number, settings) in settings(&redis).iter().enumerate() {
        let own = folder.join(format!("keeping-{number}"));
        std::fs::create_dir_all(&own)?;
        servers.push(binaries.toolgate_with(settings, &upstream, &own)?);
    }
    for server in &servers {
        tokio::time::timeout(KNOWN, counts(server)).await.context("calls are refused")??;
    }
    let calls = || Calls { era: Era::Modern, rounds: Vec::new() };
    let mut keeping = Keeping { busy: calls(), alone: calls() };
    for number in 1..=plan.rounds {
        eprintln!("round {number} of {}, what keeping costs", plan.rounds);
        for (connections, calls) in [(plan.connections, &mut keeping.busy), (1, &mut keeping.alone)] {
            let mut round = Vec::new();
            for server in &servers {
                round.push(load::run_with(plan, connections, &server.url, Era::Modern, server.pid()).await?);
            }
            calls.rounds.push(round);
        }
    }
    Ok(keeping)
}

/// Waits until a call passes.
async fn counts(server: &Server) -> anyhow::Result<()> {
    let mut connection = Connection::open(&server.url, Era::Modern).await?;
    while connection.call().await.is_err() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

impl Keeping {
    /// Names, the bare proxy's first.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once("bare proxy").chain(WAYS)
    }

    /// What a call takes longer than through the bare proxy, at this share of all calls. One client, so none waits for another.
    pub(super) fn added(&self, way: usize, share: f64) -> Duration {
        self.alone.latency(way, share).saturating_sub(self.alone.latency(BARE, share))
    }
}
