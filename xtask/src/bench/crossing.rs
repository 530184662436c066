//! What translating between the eras costs: the same call to a server of the client's own era, and to one of the other, in turn.

use std::path::Path;

use super::Plan;
use super::calls::{cpu_per_call, median};
use super::load::{self, Measured};
use super::message::Era;
use super::stage::Binaries;

/// A client of one era; each round has the two ways: direct, translated.
pub(super) struct Crossing {
    pub(super) client: Era,
    rounds: Vec<[Measured; 2]>,
}

pub(super) async fn measure(plan: &Plan, binaries: &Binaries, folder: &Path) -> anyhow::Result<Vec<Crossing>> {
    let [legacy, modern] = ["legacy", "modern"].map(|era| binaries.upstream_with(&["--only", era], folder));
    let (legacy, modern) = (legacy?, modern?);
    let both = [("legacy".to_owned(), &legacy), ("modern".to_owned(), &modern)];
    let toolgate = binaries.toolgate_for(&both, folder)?;
    let (to_legacy, to_modern) = (toolgate.at("/mcp/legacy")?, toolgate.at("/mcp/modern")?);
    let mut crossings = [Era::Modern, Era::Legacy].map(|client| Crossing { client, rounds: Vec::new() });
    for number in 1..=plan.rounds {
        for Crossing { client, rounds } in &mut crossings {
            eprintln!("round {number} of {}, translating for {client}", plan.rounds);
            let (own, other) = match client {
                Era::Modern => (&to_modern, &to_legacy),
                Era::Legacy => (&to_legacy, &to_modern),
            };
            let own = load::run(plan, own, *client, toolgate.pid()).await?;
            rounds.push([own, load::run(plan, other, *client, toolgate.pid()).await?]);
        }
    }
    Ok(crossings.into())
}

impl Crossing {
    /// CPU microseconds a call, directly and translated.
    pub(super) fn cpu(&self) -> [f64; 2] {
        [0, 1].map(|way| median(self.rounds.iter().filter_map(|round| round.get(way)).map(cpu_per_call).collect()))
    }

    pub(super) fn ratio(&self) -> f64 {
        median(self.rounds.iter().map(|[own, other]| cpu_per_call(other) / cpu_per_call(own)).collect())
    }
}
