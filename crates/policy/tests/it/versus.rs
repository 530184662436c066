//! The engine against the reference: the same answer, 100,000 times a run, and 1,000,000 times a night (`cargo xtask nightly`).

use std::time::{Duration, UNIX_EPOCH};

use policy::{Call, Context, Subject};
use serde_json::value::RawValue;

use crate::generator::{Random, seed};
use crate::plain::{Asking, MOMENTS};
use crate::{call, parse, reference, show};

const POLICIES: usize = 5_000;
const CALLS: usize = 20;

/// `TOOLGATE_TEST_SCALE=10` tries ten times as much.
fn scale() -> usize {
    std::env::var("TOOLGATE_TEST_SCALE").map_or(1, |scale| scale.parse().unwrap())
}

#[test]
fn engine_and_reference_agree() {
    let seed = seed();
    let mut random = Random::new(seed);
    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..POLICIES * scale() {
        let document = random.document();
        let policy = parse(&random.write(&document));
        for _ in 0..CALLS {
            let name = random.name();
            let (space, subject) = match random.below(4) {
                0 => ("resources", Subject::Resource(&name)),
                1 => ("prompts", Subject::Prompt(&name)),
                _ => ("tools", Subject::Tool(&name)),
            };
            let arguments = random.arguments();
            let text = arguments.as_ref().map(|arguments| random.write(arguments));
            let raw = text.as_ref().map(|text| serde_json::from_str::<&RawValue>(text).unwrap());
            let agent = random.chance(70).then(|| random.pick(&["a", "ab", "é"]));
            let team = random.chance(70).then(|| random.pick(&["a", "é"]));
            let labels = team.map(|team| ("team".into(), team.into()));
            let moment = random.pick(&MOMENTS.each_ref());
            let time = UNIX_EPOCH + Duration::from_secs(moment.seconds);
            let context = Context { agent, labels: labels.as_slice(), time, ..call(subject, None).context };
            let tool = (space == "tools").then_some(name.as_str());
            let asking = Asking { arguments: arguments.as_ref(), agent, team, tool, moment };
            let engine = show(&policy, policy.decide(Call { subject, arguments: raw, context }));
            let plain = reference::decide(&document, space, &name, &asking);
            assert_eq!(engine, plain, "{subject:?} of {text:?} under {document}, seed {seed}");
            let kind = engine.split(' ').next().unwrap_or_default();
            let kind = match () {
                () if engine.contains(" | would be") => "would be",
                () if engine.contains('[') && kind == "permit" => "permit, owing",
                () => kind,
            };
            *outcomes.entry(kind.to_owned()).or_default() += 1;
        }
    }
    println!("{outcomes:?}");
    // Every outcome often enough to mean something.
    assert!(outcomes.len() == 9 && outcomes.values().all(|times| times * 100 > POLICIES * CALLS), "{outcomes:?}");
}
