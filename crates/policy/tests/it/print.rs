//! The native form of a document decides as the document does.

use policy::{Policy, Subject, native};
use serde_json::value::RawValue;

use crate::generator::{Random, seed};
use crate::{call, parse, show};

#[test]
fn every_dialect_in_the_languages_own_keys() {
    let text = r#"
version: "1"
description: Charges
mode: shadow
hide: [h*]
"*": null
"#;
    assert!(native("policy.yaml", text).is_err());
    insta::assert_snapshot!(
        native(
            "policy.yaml",
            r#"
version: "1"
description: Charges
mode: shadow
hide: [h*]
all_tools: { limits: [{ window: minute, max: 60, scope: grant, counter: all }] }
tools:
  create_charge:
    reason: Ask us.
    except: [create_charge_v2]
    rules:
      - conditions:
          - { path: args.amount, op: lte, value: 50000.50 }
          - { path: args.url, op: url_host_in, value: ["*.Example.com", "127.0.0.1"] }
        on_deny: Too much.
      - conditions: [{ path: state.create_charge.spend, op: lt, value: 1000 }]
        state: { counter: spend, window: 86400, increment_from: args.amount }
      - rate_limit: 10/day
  read: { require: [{ conditions: [{ not: { path: 'args["odd key"][*].p', op: path_within, value: ["/srv/./docs", "a/../.."] } }] }] }
  b: deny
  c: require_approval
  d: { approval: { quorum: 2, hold: 90, timeout: 2d, approvers: [x] }, rate_limit: [1/minute, 2/hour] }
  e: { approve_if: [{ conditions: [{ any: [{ path: args.n, op: regex, value: 'a|\d' }, { not: { path: args.n, op: len_lt, value: 3 } }] }] }] }
resources: { "docs://*": {} }
reverse: { roots: allow }
"#,
        )
        .unwrap()
    );
}

#[test]
fn the_native_form_decides_the_same() {
    let seed = seed();
    let mut random = Random::new(seed);
    for _ in 0..2_000 {
        let document = random.document();
        let text = random.write(&document);
        let printed = native("policy.json", &text).unwrap();
        let (before, after) = (parse(&text), parse(&printed));
        assert_eq!(native("policy.json", &printed).unwrap(), printed, "printed twice, seed {seed}");
        for _ in 0..10 {
            let name = random.name();
            let subject = match random.below(4) {
                0 => Subject::Resource(&name),
                1 => Subject::Prompt(&name),
                _ => Subject::Tool(&name),
            };
            let arguments = random.arguments().map(|arguments| random.write(&arguments));
            let raw = arguments.as_ref().map(|text| serde_json::from_str::<&RawValue>(text).unwrap());
            let ask = |policy: &Policy| show(policy, policy.decide(call(subject, raw)));
            assert_eq!(
                ask(&before),
                ask(&after),
                "{subject:?} of {arguments:?} under {text} and {printed}, seed {seed}"
            );
        }
    }
}
