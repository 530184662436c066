//! How the engines compare: short batches of each in turn, on a machine that may be doing other things. One line a question,
//! between tabs: the policy, the call, from what, the nanoseconds of one decision by each engine, and how the second and the
//! third compare with the first; each the median of the rounds. `-- --quick` is over within a second.

use std::hint::black_box;
use std::time::Instant;

use policy_benches::{Decide, From, cases, engines};

/// So short that the processor is rarely taken away within one batch, and those fall out of the median.
const BATCH_NANOSECONDS: f64 = 20_000.0;

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 50 } else { 3_000 };
    for case in cases() {
        let engines = engines(&case);
        for call in &case.calls {
            for (from, way) in [(From::Text, "text"), (From::Ready, "ready")] {
                let decides = engines.each_ref().map(|engine| engine.decide(call, from));
                let [figures, ratios] = measure(decides, rounds);
                let [toolgate, cedar, regorus] = figures;
                let [_, to_cedar, to_regorus] = ratios;
                let (policy, call) = (&case.name, call.name);
                println!(
                    "{policy}\t{call}\t{way}\t{toolgate:.1}\t{cedar:.1}\t{regorus:.1}\t{to_cedar:.2}\t{to_regorus:.2}"
                );
            }
        }
    }
}

/// The times of each, and their ratios to the first.
fn measure(mut decides: [Decide<'_>; 3], rounds: usize) -> [[f64; 3]; 2] {
    let batches = decides.each_mut().map(|decide| {
        time(decide, 10);
        (BATCH_NANOSECONDS / time(decide, 10)).clamp(1.0, 500.0) as u32
    });
    let (mut times, mut ratios) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for round in 0..rounds {
        let mut took = [0.0; 3];
        // Who comes first changes too.
        for place in 0..3 {
            let engine = (place + round) % 3;
            took[engine] = time(&mut decides[engine], batches[engine]);
        }
        for engine in 0..3 {
            times[engine].push(took[engine]);
            ratios[engine].push(took[engine] / took[0]);
        }
    }
    [times.map(median), ratios.map(median)]
}

/// Nanoseconds of one decision.
fn time(decide: &mut Decide<'_>, batch: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..batch {
        black_box(decide());
    }
    start.elapsed().as_nanos() as f64 / f64::from(batch)
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
