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
    let cases = cases().map(|case| (engines(&case), case));
    let mut questions = Vec::new();
    for (engines, case) in &cases {
        for call in &case.calls {
            for (from, way) in [(From::Text, "text"), (From::Ready, "ready")] {
                let decides = engines.each_ref().map(|engine| engine.decide(call, from));
                questions.push(Question::new(format!("{}\t{}\t{way}", case.name, call.name), decides));
            }
        }
    }
    // All questions in each round: a bad minute weighs on all of them alike.
    for round in 0..rounds {
        questions.iter_mut().for_each(|question| question.measure(round));
    }
    for Question { name, times, ratios, .. } in questions {
        let ([toolgate, cedar, regorus], [_, to_cedar, to_regorus]) = (times.map(median), ratios.map(median));
        println!("{name}\t{toolgate:.1}\t{cedar:.1}\t{regorus:.1}\t{to_cedar:.2}\t{to_regorus:.2}");
    }
}

struct Question<'e> {
    name: String,
    decides: [Decide<'e>; 3],
    batches: [u32; 3],
    times: [Vec<f64>; 3],
    /// To the first.
    ratios: [Vec<f64>; 3],
}

impl<'e> Question<'e> {
    fn new(name: String, mut decides: [Decide<'e>; 3]) -> Self {
        let batches = decides.each_mut().map(|decide| {
            time(decide, 10);
            (BATCH_NANOSECONDS / time(decide, 10)).clamp(4.0, 500.0) as u32
        });
        Self { name, decides, batches, times: [const { Vec::new() }; 3], ratios: [const { Vec::new() }; 3] }
    }

    fn measure(&mut self, round: usize) {
        let mut took = [0.0; 3];
        // Who comes first changes too.
        for place in 0..3 {
            let engine = (place + round) % 3;
            took[engine] = time(&mut self.decides[engine], self.batches[engine]);
        }
        for (engine, time) in took.into_iter().enumerate() {
            self.times[engine].push(time);
            self.ratios[engine].push(time / took[0]);
        }
    }
}

/// Nanoseconds of one decision.
fn time(decide: &mut Decide<'_>, batch: u32) -> f64 {
    // What others left in the caches is not this engine's cost.
    black_box(decide());
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
