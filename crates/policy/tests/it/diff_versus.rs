//! The comparison of two policies against calls at random: whatever a call shows, the comparison tells, or says that it
//! does not know.

use std::time::{Duration, UNIX_EPOCH};

use policy::diff::{Kind, Verdict, What};
use policy::{Call, Context, Diff, Policy, Subject, diff};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::diff::{confirm, shown};
use crate::generator::{Random, seed};
use crate::{call, parse, show};

/// How often differences that calls showed were told, and how often they were unknown.
#[derive(Default)]
struct Tally {
    told: usize,
    unknown: usize,
    exact: usize,
    pairs: usize,
    unconfirmed: usize,
}

impl Tally {
    /// Compares two policies, and tries as many calls.
    fn pair(&mut self, random: &mut Random, documents: [&Value; 2], name: Option<&str>, calls: usize) {
        let [old, new] = documents.map(|document| parse(&random.write(document)));
        let found = diff(&old, &new);
        confirm(&old, &new, &found);
        self.pairs += 1;
        self.exact += usize::from(found.unknown.is_empty());
        let unconfirmed = |reason: &String| reason.contains("not confirmed");
        self.unconfirmed += found.unknown.iter().filter(|unknown| unknown.reasons.iter().any(unconfirmed)).count();
        for _ in 0..calls {
            self.call(random, [&old, &new], name, &found);
        }
    }

    fn call(&mut self, random: &mut Random, policies: [&Policy; 2], name: Option<&str>, found: &Diff) {
        let name = name.map_or_else(|| random.name(), str::to_owned);
        let (kind, subject) = match random.below(4) {
            0 => (Kind::Resource, Subject::Resource(&name)),
            1 => (Kind::Prompt, Subject::Prompt(&name)),
            _ => (Kind::Tool, Subject::Tool(&name)),
        };
        let text = random.arguments().map(|arguments| random.write(&arguments));
        let raw = text.as_ref().map(|text| serde_json::from_str::<&RawValue>(text).unwrap());
        let agent = random.chance(70).then(|| random.pick(&["a", "ab", "é"]));
        let team = random.chance(70).then(|| random.pick(&["a", "é"]));
        let labels = team.map(|team| ("team".into(), team.into()));
        let time = UNIX_EPOCH + Duration::from_secs(1_795_426_200 + random.below(200) as u64 * 3_600);
        let context = Context { agent, labels: labels.as_slice(), time, ..call(subject, None).context };
        let answers = policies.map(|policy| show(policy, policy.decide(Call { subject, arguments: raw, context })));
        let [before, after] = answers.each_ref().map(|answer| match answer.split(' ').next() {
            Some("permit") => Verdict::Permitted,
            Some("approval.required") => Verdict::NeedsApproval,
            _ => Verdict::Refused,
        });
        if before == after {
            return;
        }
        let is_told = found.changes.iter().any(|change| {
            let What::Calls { names, old, new, .. } = &change.what else { return false };
            names.contains(kind, &name) && (old.verdict, new.verdict) == (before, after)
        });
        let is_unknown = found.unknown.iter().any(|unknown| {
            let named = unknown.names.as_ref().is_none_or(|names| names.contains(kind, &name));
            named && unknown.kind == kind && (unknown.old, unknown.new) == (before, after)
        });
        assert!(is_told || is_unknown, "{subject:?} of {text:?} at {time:?}: {answers:?}\n{:?}", shown(found));
        self.told += usize::from(is_told);
        self.unknown += usize::from(!is_told);
    }

    #[track_caller]
    fn finish(self) {
        let Self { told, unknown, exact, pairs, unconfirmed } = self;
        println!("{told} differences told, {unknown} unknown; {exact} of {pairs} pairs decided in full");
        assert_eq!(unconfirmed, 0);
        assert!(told > 1_000 && unknown * 20 < told && exact * 4 > pairs * 3, "{told}, {unknown}, {exact} of {pairs}");
    }
}

/// Mostly one policy and a change of it: two that have nothing to do with each other differ everywhere.
#[test]
fn whole_policies() {
    let mut random = Random::new(seed());
    let mut tally = Tally::default();
    for _ in 0..300 {
        let (document, fresh) = (random.document(), random.document());
        let mut other = document.clone();
        for key in ["tools", "resources", "prompts", "all_tools", "default", "hide"] {
            if random.chance(40)
                && let Some(value) = fresh.get(key)
            {
                other[key] = value.clone();
            }
        }
        tally.pair(&mut random, [&document, &other], None, 50);
    }
    tally.finish();
}

/// One name, and conditions upon conditions.
#[test]
fn conditions() {
    let mut random = Random::new(seed());
    let mut tally = Tally::default();
    let rule = |random: &mut Random| loop {
        let mut rule = random.rule();
        let asks = ["require", "deny_if", "approve_if"]
            .iter()
            .any(|key| rule[*key].as_array().is_some_and(|all| !all.is_empty()));
        if asks {
            rule.as_object_mut().unwrap().retain(|key, _| !["action", "except", "mode"].contains(&key.as_str()));
            return rule;
        }
    };
    for _ in 0..600 {
        let [one, two, three] = [0; 3].map(|_| rule(&mut random));
        let old = json!({ "version": "1", "tools": { "ab": one, "a*": two } });
        let new = if random.chance(50) {
            json!({ "version": "1", "tools": { "ab": one, "a*": three } })
        } else {
            json!({ "version": "1", "tools": { "ab": three, "a*": two } })
        };
        tally.pair(&mut random, [&old, &new], Some("ab"), 60);
    }
    tally.finish();
}

#[test]
fn a_policy_is_the_same_as_itself_in_any_order() {
    let mut random = Random::new(seed());
    for _ in 0..300 {
        let document = random.document();
        let [one, other] = [0, 1].map(|_| parse(&random.write(&document)));
        assert!(diff(&one, &other).is_empty(), "{document}: {:?}", shown(&diff(&one, &other)));
    }
}
