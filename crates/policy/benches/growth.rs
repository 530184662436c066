//! Whether a decision costs more under many rules than under few: short batches of both in turn, on a machine that may be
//! doing other things. One line a case, between tabs: its name, the nanoseconds of one decision under few rules, under
//! many, and their ratio, each the median of the rounds. `-- --quick` is over within a second.

use std::hint::black_box;
use std::time::{Duration, Instant};

use policy::{Call, Policy};

mod stand;

use stand::Case;

const FEW: usize = 10;
const MANY: usize = 10_000;

/// Some ten microseconds: so short that the processor is rarely taken away within one, and those fall out of the median.
const BATCH: u32 = 50;

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 1_000 } else { 50_000 };
    let policies = [stand::policy(FEW), stand::policy(MANY)];
    let case = |case: &Case| Measured {
        name: case.name,
        calls: policies.each_ref().map(|policy| (policy, case.call(policy))),
        times: [const { Vec::new() }; 2],
        ratios: Vec::new(),
    };
    let mut cases = stand::CASES.each_ref().map(case);
    // All cases in each round: a bad minute weighs on all of them alike.
    for round in 0..rounds {
        cases.iter_mut().for_each(|case| case.measure(round));
    }
    for Measured { name, times, ratios, .. } in cases {
        let [few, many] = times.map(median);
        println!("{name}\t{few:.1}\t{many:.1}\t{:.3}", median(ratios));
    }
}

struct Measured<'p> {
    name: &'static str,
    /// Under few rules, and under many.
    calls: [(&'p Policy, Call<'p>); 2],
    times: [Vec<f64>; 2],
    ratios: Vec<f64>,
}

impl Measured<'_> {
    fn measure(&mut self, round: usize) {
        let [few, many] = self.calls;
        // Who comes first changes too.
        let (few, many) = if round.is_multiple_of(2) {
            let few = time(few);
            (few, time(many))
        } else {
            let many = time(many);
            (time(few), many)
        };
        self.times[0].push(few);
        self.times[1].push(many);
        self.ratios.push(many / few);
    }
}

/// Nanoseconds of one decision.
fn time((policy, call): (&Policy, Call<'_>)) -> f64 {
    let start = now();
    for _ in 0..BATCH {
        black_box(policy.decide(black_box(call)));
    }
    let took: Duration = now() - start;
    took.as_nanos() as f64 / f64::from(BATCH)
}

#[expect(clippy::disallowed_methods, reason = "a bench is about the real clock")]
fn now() -> Instant {
    Instant::now()
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
