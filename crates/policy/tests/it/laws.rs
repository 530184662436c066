//! What holds for every policy, whatever is in it.

use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use policy::{Decision, DenyCode, Policy, RulePointer, Subject};

use crate::{ask, call, parse};

fn any_name() -> impl Strategy<Value = String> {
    string_regex("[ab_]{1,4}").unwrap()
}

fn any_pattern() -> impl Strategy<Value = String> {
    prop_oneof![any_name(), string_regex("[ab_*?]{1,4}").unwrap()]
}

fn any_limits() -> impl Strategy<Value = Value> {
    let counter = prop_oneof![Just(None), Just(Some("c")), Just(Some("d"))];
    let limit = (counter, 1..9_u8).prop_map(|(counter, max)| match counter {
        Some(counter) => json!({ "counter": counter, "max": max, "window": "1m" }),
        None => json!({ "max": max, "window": "1h" }),
    });
    prop::collection::vec(limit, 0..3).prop_map(Value::from)
}

/// All on the one argument that `code` gives, which is 2.
fn any_predicates() -> impl Strategy<Value = Value> {
    let ops = prop_oneof![Just("eq"), Just("neq"), Just("lt"), Just("gte"), Just("exists"), Just("regex")];
    let condition =
        (ops, 0..5_u8, prop_oneof![Just("args.n"), Just("args.m")]).prop_map(|(op, value, path)| match op {
            "exists" => json!({ "path": path, "op": op, "value": value > 2 }),
            "regex" => json!({ "path": path, "op": op, "value": "2" }),
            _ => json!({ "path": path, "op": op, "value": value }),
        });
    let predicate = prop::collection::vec(condition, 0..3).prop_map(|conditions| json!({ "conditions": conditions }));
    prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(predicate, 0..2)].prop_map(Value::from)
}

fn any_rule() -> impl Strategy<Value = Value> {
    let action = prop_oneof![4 => Just("allow"), 1 => Just("deny"), 1 => Just("require_approval"), 1 => Just("hide")];
    let except = prop::collection::vec(any_pattern(), 0..2);
    let mode = prop_oneof![7 => Just(None), 1 => Just(Some("shadow"))];
    (action, except, any_limits(), any_predicates(), any_predicates(), mode).prop_map(
        |(action, except, limits, require, deny_if, mode)| {
            let mut rule =
                json!({ "action": action, "except": except, "limits": limits, "require": require, "deny_if": deny_if });
            if let Some(mode) = mode {
                rule["mode"] = json!(mode);
            }
            rule
        },
    )
}

fn any_rules() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(any_pattern(), any_rule(), 0..5)
        .prop_map(|rules| rules.into_iter().collect::<Map<_, _>>().into())
}

fn any_policy() -> impl Strategy<Value = Value> {
    let default = prop_oneof![Just("allow"), Just("deny")];
    let hide = prop::collection::vec(any_pattern(), 0..2);
    (default, hide, prop::option::of(any_rule()), any_rules()).prop_map(|(default, hide, all_tools, tools)| {
        let mut document = json!({ "version": "1", "default": default, "hide": hide, "tools": tools });
        if let Some(rule) = all_tools {
            document["all_tools"] = rule;
        }
        document
    })
}

fn loaded(document: &Value) -> Policy {
    parse(&document.to_string())
}

/// The document with a rule more, unless it has one on that pattern already.
fn with_rule(document: &Value, pattern: &str, rule: &Value) -> Option<Value> {
    let mut more = document.clone();
    let before = more["tools"].as_object_mut().unwrap().insert(pattern.to_owned(), rule.clone());
    before.is_none().then_some(more)
}

/// With the arguments that `any_predicates` asks about.
fn decide<'a>(policy: &'a Policy, name: &'a str) -> Decision<'a> {
    let arguments = serde_json::from_str::<&RawValue>(r#"{ "n": 2 }"#).unwrap();
    policy.decide(call(Subject::Tool(name), Some(arguments)))
}

fn code(policy: &Policy, name: &str) -> Option<DenyCode> {
    match decide(policy, name) {
        Decision::Permit(_) => None,
        Decision::Deny(denial) => Some(denial.code),
    }
}

/// The pointers of all limits that must hold for a call.
fn enforced(policy: &Policy, name: &str) -> Vec<RulePointer> {
    let Decision::Permit(permitted) = decide(policy, name) else {
        return Vec::new();
    };
    let limits = permitted.owed().iter().flat_map(|owed| {
        let counter = &policy.counters()[owed.counter];
        owed.enforced.iter().map(|&limit| counter.limits[limit].pointer.clone())
    });
    limits.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn adding_a_rule_to_a_listed_tool_never_permits_more(
        document in any_policy(), pattern in any_pattern(), rule in any_rule(), asked in any_name(),
    ) {
        let before = loaded(&document);
        let Some(more) = with_rule(&document, &pattern, &rule) else { return Ok(()) };
        let after = loaded(&more);
        let unlisted = code(&before, &asked) == Some(DenyCode::Default);
        prop_assert!(unlisted || code(&before, &asked).is_none() || code(&after, &asked).is_some());
        if code(&after, &asked).is_none() {
            let owed = enforced(&after, &asked);
            prop_assert!(enforced(&before, &asked).iter().all(|limit| owed.contains(limit)));
        }
    }

    /// A consent takes the place of approval, and of nothing else.
    #[test]
    fn consent_changes_nothing_but_what_asks_for_it(document in any_policy(), asked in any_name()) {
        let policy = loaded(&document);
        let arguments = serde_json::from_str::<&RawValue>(r#"{ "n": 2 }"#).unwrap();
        let asked = || call(Subject::Tool(&asked), Some(arguments));
        let consented = crate::show(&policy, policy.decide_consented(asked()));
        let alone = crate::show(&policy, policy.decide(asked()));
        match alone.starts_with("approval.required") {
            true => prop_assert!(["permit", "limited"].iter().any(|start| consented.starts_with(start)), "{consented}"),
            false => prop_assert_eq!(alone, consented),
        }
    }

    #[test]
    fn a_name_is_listed_exactly_when_it_can_be_called_or_approved(document in any_policy(), asked in any_name()) {
        let policy = loaded(&document);
        // Other arguments might do.
        let hopeless = matches!(code(&policy, &asked), Some(DenyCode::Hidden | DenyCode::Rule | DenyCode::Default));
        prop_assert_eq!(policy.lists(Subject::Tool(&asked)), !hopeless);
    }

    #[test]
    fn a_deny_wins_over_every_rule_but_hiding(document in any_policy(), asked in any_name()) {
        let Some(more) = with_rule(&document, &asked, &json!("deny")) else { return Ok(()) };
        let hidden = code(&loaded(&document), &asked) == Some(DenyCode::Hidden);
        let expected = if hidden { DenyCode::Hidden } else { DenyCode::Rule };
        prop_assert_eq!(code(&loaded(&more), &asked), Some(expected));
    }

    #[test]
    fn the_order_of_keys_never_matters(document in any_policy(), asked in any_name(), seed in any::<u64>()) {
        let mut random = crate::generator::Random::new(seed);
        let [one, other] = [0, 1].map(|_| parse(&random.write(&document)));
        prop_assert_eq!(ask(&one, Subject::Tool(&asked)), ask(&other, Subject::Tool(&asked)));
        prop_assert_eq!(format!("{:?}", one.counters()), format!("{:?}", other.counters()));
    }

    #[test]
    fn hidden_names_cannot_be_told_apart(document in any_policy(), asked in any_name(), rule in any_rule()) {
        let mut document = document;
        document["hide"].as_array_mut().unwrap().push(json!(asked));
        let Some(more) = with_rule(&document, &asked, &rule) else { return Ok(()) };
        let policy = loaded(&more);
        prop_assert!(!policy.lists(Subject::Tool(&asked)));
        prop_assert!(policy.hides() && policy.is_hidden(Subject::Tool(&asked)));
        let Decision::Deny(denial) = policy.decide(call(Subject::Tool(&asked), None)) else {
            return Err(TestCaseError::fail("permitted"));
        };
        prop_assert_eq!((denial.code, denial.rule, denial.reason), (DenyCode::Hidden, RulePointer::HIDDEN, None));
    }

    #[test]
    fn every_owed_index_is_there_and_stands_once(document in any_policy(), asked in any_name()) {
        let policy = loaded(&document);
        let Decision::Permit(permitted) = policy.decide(call(Subject::Tool(&asked), None)) else {
            return Ok(());
        };
        prop_assert!(permitted.owed().is_sorted_by(|a, b| a.counter < b.counter));
        for owed in permitted.owed() {
            let limits = &policy.counters()[owed.counter].limits;
            prop_assert!(owed.enforced.is_sorted_by(|a, b| a < b) && owed.enforced.iter().all(|&limit| limit < limits.len()));
        }
    }
}
