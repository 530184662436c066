//! Calls per second, latency and CPU time: directly, through the bare proxy, through Toolgate, in turn.

use std::path::Path;
use std::time::Duration;

use super::Plan;
use super::load::{self, Measured};
use super::message::Era;
use super::stage::Binaries;

/// How a call gets to the upstream.
pub(super) const WAYS: [&str; 3] = ["direct", "bare proxy", "toolgate"];

/// All that was measured of one era; each round has one measurement for each way.
pub(super) struct Calls {
    pub(super) era: Era,
    pub(super) rounds: Vec<Vec<Measured>>,
}

pub(super) async fn measure(plan: &Plan, binaries: &Binaries, folder: &Path) -> anyhow::Result<Vec<Calls>> {
    let upstream = binaries.upstream(folder)?;
    let bare = binaries.bare(&upstream, folder)?;
    let toolgate = binaries.toolgate(&upstream, folder)?;
    let mut calls = [Era::Modern, Era::Legacy].map(|era| Calls { era, rounds: Vec::new() });
    for number in 1..=plan.rounds {
        for Calls { era, rounds } in &mut calls {
            eprintln!("round {number} of {}, {era}", plan.rounds);
            let mut round = Vec::new();
            // In alternation, so that what else the machine does weighs on all ways alike.
            for server in [&upstream, &bare, &toolgate] {
                round.push(load::run(plan, &server.url, *era, server.pid()).await?);
            }
            rounds.push(round);
        }
    }
    Ok(calls.into())
}

impl Calls {
    pub(super) fn per_second(&self, way: usize) -> f64 {
        self.median(way, |m| m.calls as f64 / m.span.as_secs_f64())
    }

    /// CPU microseconds a call of the process that is called.
    pub(super) fn cpu(&self, way: usize) -> f64 {
        self.median(way, cpu_per_call)
    }

    /// How a way's CPU time a call compares with another's in the same round.
    pub(super) fn cpu_ratio(&self, way: usize, other: usize) -> f64 {
        let ratio = |round: &Vec<Measured>| Some(cpu_per_call(round.get(way)?) / cpu_per_call(round.get(other)?));
        median(self.rounds.iter().filter_map(ratio).collect())
    }

    /// The latency that this share of all calls kept below.
    pub(super) fn latency(&self, way: usize, share: f64) -> Duration {
        let mut all: Vec<_> = self.of(way).flat_map(|measured| &measured.latencies).copied().collect();
        all.sort_unstable();
        let place = (all.len() as f64 * share) as usize;
        all.get(place).or(all.last()).copied().unwrap_or_default()
    }

    fn median(&self, way: usize, value: impl Fn(&Measured) -> f64) -> f64 {
        median(self.of(way).map(value).collect())
    }

    fn of(&self, way: usize) -> impl Iterator<Item = &Measured> {
        self.rounds.iter().filter_map(move |round| round.get(way))
    }
}

pub(super) fn cpu_per_call(measured: &Measured) -> f64 {
    measured.cpu.as_secs_f64() * 1e6 / measured.calls as f64
}

/// The lower one of the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(calls: usize, cpu_ms: u64, latencies: &[u64]) -> Measured {
        let latencies = latencies.iter().copied().map(Duration::from_micros).collect();
        Measured { calls, span: Duration::from_secs(2), cpu: Duration::from_millis(cpu_ms), latencies }
    }

    #[test]
    fn figures_of_several_rounds() {
        let round = |slow: u64| vec![measured(1000, 10 * slow, &[1, 2]), measured(1000, 15 * slow, &[3, 900])];
        let calls = Calls { era: Era::Modern, rounds: vec![round(1), round(4), round(2)] };
        assert_eq!((calls.per_second(0), calls.cpu(0), calls.cpu(1)), (500.0, 20.0, 30.0));
        assert_eq!(calls.cpu_ratio(1, 0), 1.5, "noise of the machine falls out");
        let latency = |share| calls.latency(1, share).as_micros();
        assert_eq!((latency(0.4), latency(0.5), latency(1.0)), (3, 900, 900));
    }
}
