//! What keeping costs: the gateway with nothing kept, and with the audit journal, in turn with the bare proxy. Each in a folder of its own.

use std::path::Path;
use std::time::Duration;

use super::Plan;
use super::calls::Calls;
use super::load;
use super::message::Era;
use super::stage::Binaries;

/// What is kept, and how a configuration says so. The bare proxy comes before them.
pub(super) const WAYS: [(&str, &str); 2] =
    [("toolgate, no journal", "[audit]\ndir = \"\"\n"), ("toolgate, journal", "")];

pub(super) const BARE: usize = 0;

/// The same rounds under two loads: of as many clients as elsewhere, for the CPU time, and of one, for how long a call takes when none waits.
pub(super) struct Keeping {
    pub(super) busy: Calls,
    pub(super) alone: Calls,
}

pub(super) async fn measure(plan: &Plan, binaries: &Binaries, folder: &Path) -> anyhow::Result<Keeping> {
    let upstream = binaries.upstream(folder)?;
    let mut servers = vec![binaries.bare(&upstream, folder)?];
    for (number, (_, settings)) in WAYS.iter().enumerate() {
        let own = folder.join(format!("keeping-{number}"));
        std::fs::create_dir_all(&own)?;
        servers.push(binaries.toolgate_with(settings, &upstream, &own)?);
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

impl Keeping {
    /// Names, the bare proxy's first.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once("bare proxy").chain(WAYS.into_iter().map(|(name, _)| name))
    }

    /// What a call takes longer than through the bare proxy, at this share of all calls. One client, so none waits for another.
    pub(super) fn added(&self, way: usize, share: f64) -> Duration {
        self.alone.latency(way, share).saturating_sub(self.alone.latency(BARE, share))
    }
}
