//! What is told of a decision is what decided.

use policy::{Context, Explanation, Policy, Step, Subject};
use serde_json::value::RawValue;

use crate::generator::{Random, seed};
use crate::{call, parse};

fn explain(policy: &Policy, subject: Subject<'_>, arguments: Option<&str>) -> Explanation {
    let arguments = arguments.map(|text| serde_json::from_str::<&RawValue>(text).unwrap());
    let mut call = call(subject, arguments);
    call.context = Context { agent: Some("alice"), ..call.context };
    policy.explain(call)
}

const SHOP: &str = r#"{
  "version": "1",
  "hide": ["internal_*"],
  "all_tools": { "rate_limit": "60/minute", "deny_if": [{ "conditions": [{ "path": "agent.id", "op": "eq", "value": "mallory" }] }] },
  "tools": {
    "create_refund": {
      "require": [
        { "conditions": [{ "path": "args.items[*].price", "op": "lte", "value": 100 }, { "path": "args.currency", "op": "in", "value": ["EUR"] }],
          "on_deny": "Refunds above 100 are for people." }
      ],
      "approve_if": [{ "conditions": [{ "any": [{ "path": "args.note", "op": "len_gt", "value": 3 }, { "path": "args.n", "op": "gt", "value": 2 }] }] }],
      "limits": [{ "counter": "spend", "max": 500, "window": "1d", "cost": "args.total", "per": "server" }]
    },
    "delete_*": { "action": "deny", "reason": "Deleting needs a ticket.", "except": ["delete_draft"] },
    "get_*": { "mode": "shadow", "action": "deny" }
  }
}"#;

#[test]
fn trees() {
    let policy = parse(SHOP);
    let tree = |tool: &str, arguments| format!("{tool}\n{}\n", explain(&policy, Subject::Tool(tool), arguments));
    let shown = [
        tree("create_refund", Some(r#"{ "items": [{ "price": 5 }, { "price": "7" }], "currency": "EUR" }"#)),
        tree("create_refund", Some(r#"{ "items": [], "currency": "EUR", "note": "none", "total": 12.5 }"#)),
        tree("create_refund", Some(r#"{ "items": [{ "price": 5 }], "currency": "EUR", "n": 1, "total": 12.5 }"#)),
        tree("create_refund", Some(r#"{ "items": [{ "price": 5 }], "currency": "EUR", "n": 1, "total": 501 }"#)),
        tree("delete_draft", None),
        tree("delete_repo", None),
        tree("internal_x", None),
        tree("get_me", None),
    ];
    insta::assert_snapshot!(shown.concat());
}

#[test]
fn json_has_the_same_structure() {
    let told = explain(&parse(SHOP), Subject::Tool("delete_repo"), None).to_json();
    assert_eq!(told["decision"]["code"], "denied.rule");
    assert_eq!(told["decision"]["rule"], "/tools/delete_*");
    assert_eq!(told["decision"]["reason"], "Deleting needs a ticket.");
    assert_eq!(told["steps"][2]["asked"], "denied");
    assert_eq!(told["steps"][2]["because"][0]["asked"], "/tools/delete_*");
}

#[test]
fn the_last_step_is_the_one_that_decided() {
    let seed = seed();
    let mut random = Random::new(seed);
    for _ in 0..2_000 {
        let document = random.document();
        let text = random.write(&document);
        let policy = parse(&text);
        for _ in 0..5 {
            let name = random.name();
            let arguments = random.arguments().map(|arguments| random.write(&arguments));
            let told = explain(&policy, Subject::Tool(&name), arguments.as_deref());
            let last = told.steps.last().unwrap();
            let named = |step: &Step| step.because.iter().any(|why| why.asked == told.verdict.rule.as_str());
            let (step, is_named) = match told.verdict.code {
                "hidden" => ("hidden", true),
                "denied.rule" => ("denied", named(last)),
                "denied.default" => ("listed", true),
                "denied.condition" => ("conditions", named(last)),
                "approval.required" => ("approval", named(last)),
                "permit" | "limited" => ("limits", true),
                other => panic!("{other}"),
            };
            assert!(last.asked == step && is_named, "{name} of {arguments:?} under {text}, seed {seed}:\n{told}");
        }
    }
}
