//! The engine against the reference: the same answer, 100,000 times a run.

use policy::Subject;

use crate::generator::{Random, seed};
use crate::{ask, parse, reference};

const POLICIES: usize = 5_000;
const CALLS: usize = 20;

#[test]
fn engine_and_reference_agree() {
    let seed = seed();
    let mut random = Random::new(seed);
    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..POLICIES {
        let document = random.document();
        let policy = parse(&random.write(&document));
        for _ in 0..CALLS {
            let name = random.name();
            let (space, subject) = match random.below(4) {
                0 => ("resources", Subject::Resource(&name)),
                1 => ("prompts", Subject::Prompt(&name)),
                _ => ("tools", Subject::Tool(&name)),
            };
            let (engine, plain) = (ask(&policy, subject), reference::decide(&document, space, &name));
            assert_eq!(engine, plain, "{subject:?} under {document}, seed {seed}");
            let kind = engine.split(' ').next().unwrap_or_default();
            let kind = if engine.contains('[') { "permit, owing" } else { kind };
            *outcomes.entry(kind.to_owned()).or_default() += 1;
        }
    }
    println!("{outcomes:?}");
    // Every outcome often enough to mean something.
    assert!(outcomes.len() == 6 && outcomes.values().all(|times| times * 100 > POLICIES * CALLS), "{outcomes:?}");
}
