//! Zero bypass, in process: whatever is accepted of structure-aware mutants, every reader takes for the same message.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    helper::Helper,
    mutation::{SEEDS, mutant},
    reading::{Accepted, Numbers, accept, value_reading},
    rng::{Rng, setting},
};

/// MUTANTS and FUZZ_SEED say how many and which.
#[test]
fn no_mutant_is_read_in_two_ways() {
    let (count, seed) = (setting("MUTANTS", 50_000), setting("FUZZ_SEED", 1));
    let mut rng = Rng::new(seed);
    let mut helpers = Helper::all().lock().unwrap();
    let mut passed = 0;
    let mut tally = BTreeMap::<&str, [usize; 2]>::new();
    let mut left = count as usize;
    while left > 0 {
        let round = left.min(5_000);
        left -= round;
        let mut bodies = Vec::new();
        for _ in 0..round {
            let (revision, body, how) = mutant(&mut rng);
            let accepted = catch_unwind(AssertUnwindSafe(|| accept(&body, revision)))
                .unwrap_or_else(|_| panic!("panic, seed {seed}: {}", String::from_utf8_lossy(&body)))
                .unwrap_or_default();
            passed += u64::from(!accepted.is_empty());
            for name in how {
                tally.entry(name).or_default()[usize::from(accepted.is_empty())] += 1;
            }
            bodies.extend(accepted.into_iter().map(|accepted| (body.clone(), accepted)));
        }
        compare(&bodies, &mut helpers, seed);
    }
    println!("{count} mutants, seed {seed}; [accepted, refused] by mutation: {tally:?}");
    assert!(passed * 6 > count, "only {passed} of {count} pass: mutants that are all refused prove little");
}

/// Fails where a reader sees another message than we do, in the client's bytes or in ours.
pub(crate) fn compare(bodies: &[(Vec<u8>, Accepted)], helpers: &mut [Helper], seed: u64) {
    for (body, accepted) in bodies {
        for (query, expected) in accepted.queries(body, Numbers::Doubles) {
            agrees("serde_json::Value", &value_reading(&query), &expected, query.bytes, seed);
        }
    }
    for helper in helpers {
        let pairs = bodies.iter().flat_map(|(body, accepted)| accepted.queries(body, helper.numbers));
        let (queries, expected): (Vec<_>, Vec<_>) = pairs.unzip();
        for ((query, expected), answer) in queries.iter().zip(expected).zip(helper.ask(&queries)) {
            answer.split('|').for_each(|reading| agrees(helper.name, reading, &expected, query.bytes, seed));
        }
    }
}

#[track_caller]
fn agrees(reader: &str, reading: &str, expected: &str, bytes: &[u8], seed: u64) {
    assert_eq!(reading, expected, "{reader} reads otherwise, seed {seed}: {}", String::from_utf8_lossy(bytes));
}

#[test]
fn every_seed_is_lawful() {
    for (revision, seed) in SEEDS {
        let accepted = accept(seed.as_bytes(), *revision).unwrap();
        assert!(!accepted.is_empty(), "{seed}");
        let bodies: Vec<_> = accepted.into_iter().map(|accepted| (seed.as_bytes().to_vec(), accepted)).collect();
        compare(&bodies, &mut Helper::all().lock().unwrap(), 0);
    }
}
