//! The lists of `rules` that YAML proxies have: what they mean here, and that it is what they mean there.

use std::collections::BTreeMap;

use policy::{Decision, ONE, Policy, Subject};
use serde_json::{Value, json, value::RawValue};

use crate::generator::{Random, seed};
use crate::messages::render;
use crate::plain::{Asking, all_hold};
use crate::{ask_with, call};

const STRIPE: &str = r#"
version: "1"
description: Stripe
default: deny
hide: [delete_customer]
tools:
  create_charge:
    rules:
      - name: max single charge
        conditions:
          - { path: args.amount, op: lte, value: 50000 }
        on_deny: A single charge is at most $500.
      - name: daily spend cap
        conditions:
          - { path: state.create_charge.daily_spend, op: lt, value: 1000000 }
          - { path: args.currency, op: in, value: [usd, eur] }
        on_deny: Not in this currency.
        state: { counter: daily_spend, window: day, increment_from: args.amount }
  create_refund:
    rules:
      - rate_limit: 10/day
  create_payout:
    rules:
      - action: deny
        on_deny: Payouts are for people.
  list_customers:
    rules: []
  "*":
    rules:
      - rate_limit: 60/minute
        on_deny: Too fast.
"#;

fn parse(text: &str) -> Policy {
    Policy::parse("policy.yaml", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

#[test]
fn rules_become_conditions_and_limits() {
    let policy = parse(STRIPE);
    let check = |tool: &str, arguments: &str, expected: &str| assert_eq!(ask_with(&policy, tool, arguments), expected);
    let all = "/tools/*/rules/0/rate_limit per server: [/tools/*/rules/0/rate_limit 60000000/60s Window]";
    check(
        "create_charge",
        r#"{ "amount": 100, "currency": "usd" }"#,
        &format!(
            "permit /tools/create_charge | {all} | create_charge.daily_spend per server +100000000: \
             [/tools/create_charge/rules/1/conditions/0 999999999999/86400s Window]"
        ),
    );
    let denied = "denied.condition /tools/create_charge/rules/";
    check(
        "create_charge",
        r#"{ "amount": 50001, "currency": "usd" }"#,
        &format!("{denied}0: A single charge is at most $500."),
    );
    check("create_charge", r#"{ "amount": 1, "currency": "chf" }"#, &format!("{denied}1: Not in this currency."));
    check("create_charge", r#"{ "currency": "usd" }"#, &format!("{denied}0: A single charge is at most $500."));
    check(
        "create_refund",
        "{}",
        &format!(
            "permit /tools/create_refund | {all} | /tools/create_refund/rules/0/rate_limit per server: \
             [/tools/create_refund/rules/0/rate_limit 10000000/86400s Window]"
        ),
    );
    check("create_payout", "{}", "denied.rule /tools/create_payout: Payouts are for people.");
    check("list_customers", "{}", &format!("permit /tools/list_customers | {all}"));
    check("delete_customer", "{}", "hidden (hidden)");
    check("other", "{}", "denied.default (default deny)");
}

#[test]
fn what_is_a_little_different_is_said() {
    let notes = parse(STRIPE).warnings().iter().map(|note| render(note)).collect::<String>();
    insta::assert_snapshot!(notes);
}

#[test]
fn what_is_hidden_stays_hidden() {
    let policy =
        parse("{ version: '1', tools: { t: { action: hide, rules: [{ action: deny, on_deny: No. }] }, u: {} } }");
    assert_eq!(ask_with(&policy, "t", "{}"), "hidden (hidden)");
}

#[test]
fn a_condition_on_a_count_has_no_other_keys() {
    let text = "{ version: '1', tools: { t: { rules: [{ conditions: [{ path: state.t.n, op: lte, value: 5, vale: 1 }], state: { counter: n, window: day } }] } } }";
    let errors = Policy::parse("policy.yaml", text).unwrap_err();
    let shown = errors.iter().map(|error| error.message()).collect::<Vec<_>>();
    assert_eq!(shown, ["unknown key `vale` in a condition"]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let errors = Policy::parse(
        "policy.yaml",
        r#"
version: "1"
tools:
  a:
    rules:
      - { action: deny, conditions: [{ path: args.n, op: lt, value: 1 }] }
      - { conditions: [{ path: state.b.calls, op: lte, value: 1 }] }
      - { conditions: [{ path: state.a.cals, op: lte, value: 1 }] }
      - { conditions: [{ path: state.a.calls, op: gte, value: 1 }], state: { counter: calls, window: day } }
      - { state: { counter: calls, window: day, increment: 2 } }
      - { state: { counter: c, increment: 2, increment_from: args.n } }
      - { conditions: [{ path: state.a.calls, op: lt, value: 0.000001 }], if: x }
      - { rate_limit: 5 per minute, on_deny: 7 }
      - deny
"#,
    )
    .unwrap_err();
    insta::assert_snapshot!(errors.iter().map(|error| render(error)).collect::<String>());
}

#[test]
fn what_is_counted_and_never_asked_is_a_warning() {
    let policy = parse("{ version: '1', tools: { a: { rules: [{ state: { counter: c, window: 60 } }] } } }");
    assert_eq!(policy.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(), ["nothing limits `c`"]);
    assert_eq!(ask_with(&policy, "a", "{}"), "permit /tools/a");
}

/// Reads the rules as a proxy of that kind does: one after the other, with a table of counts.
struct Proxy<'d> {
    document: &'d Value,
    counts: BTreeMap<String, u64>,
}

impl Proxy<'_> {
    /// Whether the call passes; if it does, it is counted. Everything happens within one window.
    fn call(&mut self, tool: &str, arguments: &Value) -> bool {
        let rules = |key: &str| self.document["tools"][key]["rules"].as_array().cloned();
        let Some(own) = rules(tool).or((self.document["default"] == "allow").then(Vec::new)) else {
            return false;
        };
        let mut after = self.counts.clone();
        let lists = [(tool, own), ("*", rules("*").unwrap_or_default())];
        for (key, rules) in &lists {
            for (number, rule) in rules.iter().enumerate() {
                if rule["rate_limit"].is_string() {
                    *after.entry(format!("{key} {number}")).or_default() += ONE;
                }
                let Some(state) = rule["state"].as_object() else { continue };
                let amount = match state.get("increment_from").and_then(Value::as_str) {
                    Some(path) => match arguments[path.trim_start_matches("args.")].as_u64() {
                        Some(amount) => amount,
                        None => return false,
                    },
                    None => state.get("increment").map_or(1, |increment| increment.as_u64().unwrap()),
                };
                *after.entry(format!("{key}.{}", state["counter"].as_str().unwrap())).or_default() += amount * ONE;
            }
        }
        for (key, rules) in &lists {
            for (number, rule) in rules.iter().enumerate() {
                let rate =
                    rule["rate_limit"].as_str().map(|rate| rate.split_once('/').unwrap().0.parse::<u64>().unwrap());
                if rule["action"] == "deny" || rate.is_some_and(|most| after[&format!("{key} {number}")] > most * ONE) {
                    return false;
                }
                for condition in rule["conditions"].as_array().into_iter().flatten() {
                    let path = condition["path"].as_str().unwrap();
                    let holds = match path.strip_prefix("state.") {
                        Some(counter) => {
                            let bound = condition["value"].as_u64().unwrap() * ONE;
                            let count = after[&counter.replace("_global", "*")];
                            if condition["op"] == "lt" { count < bound } else { count <= bound }
                        }
                        None => {
                            let asking = Asking {
                                arguments: Some(arguments),
                                agent: None,
                                team: None,
                                tool: None,
                                moment: &crate::plain::MOMENTS[0],
                            };
                            all_hold(&json!([condition]), &asking, true)
                        }
                    };
                    if !holds {
                        return false;
                    }
                }
            }
        }
        self.counts = after;
        true
    }
}

/// Asks the engine, and keeps the counts as plainly as a limiter can.
fn passes(policy: &Policy, counts: &mut BTreeMap<usize, u64>, tool: &str, arguments: &str) -> bool {
    let arguments = serde_json::from_str::<&RawValue>(arguments).unwrap();
    let Decision::Permit(permitted) = policy.decide(call(Subject::Tool(tool), Some(arguments))) else {
        return false;
    };
    let mut after = counts.clone();
    for owed in permitted.owed() {
        let count = after.entry(owed.counter).or_default();
        *count += owed.cost;
        let limits = &policy.counters()[owed.counter].limits;
        if owed.enforced.iter().any(|limit| *count > limits[*limit].max) {
            return false;
        }
    }
    *counts = after;
    true
}

pub(crate) fn document(random: &mut Random) -> Value {
    let mut document = json!({ "version": "1", "default": random.pick(&["allow", "deny"]), "tools": {} });
    for tool in ["a", "b", "*"] {
        if random.chance(75) {
            document["tools"][tool]["rules"] = (0..random.below(4)).map(|number| rule(random, tool, number)).collect();
        }
    }
    document
}

fn rule(random: &mut Random, tool: &str, number: usize) -> Value {
    if random.chance(8) {
        return json!({ "action": "deny", "on_deny": "No." });
    }
    let mut rule = json!({ "name": "r", "action": random.pick(&["evaluate", "evaluate"]) });
    if random.chance(30) {
        rule["rate_limit"] = json!(format!("{}/{}", 1 + random.below(6), random.pick(&["minute", "hour", "day"])));
    }
    let mut conditions = Vec::new();
    if random.chance(50) {
        conditions.push(json!({ "path": random.pick(&["args.n", "args.m"]), "op": random.pick(&["lte", "gt", "eq", "neq", "exists"]), "value": 2 }));
        if conditions[0]["op"] == "exists" {
            conditions[0]["value"] = json!(random.chance(50));
        }
    }
    if random.chance(50) {
        let counter = format!("c{number}");
        let mut state = json!({ "counter": counter, "window": random.pick(&["minute", "day"]) });
        match random.below(3) {
            0 => state["increment_from"] = json!(random.pick(&["args.n", "args.m"])),
            1 => state["increment"] = json!(1 + random.below(3)),
            _ => {}
        }
        rule["state"] = state;
        let of = if tool == "*" { random.pick(&["*", "_global"]) } else { tool };
        conditions.push(json!({ "path": format!("state.{of}.{counter}"), "op": random.pick(&["lt", "lte"]), "value": 4 + random.below(9) }));
    }
    if !conditions.is_empty() || random.chance(20) {
        rule["conditions"] = json!(conditions);
    }
    rule
}

#[test]
fn a_proxy_of_that_kind_and_the_engine_let_the_same_calls_pass() {
    let seed = seed();
    let mut random = Random::new(seed);
    let mut passed = [0, 0];
    for _ in 0..3_000 {
        let document = document(&mut random);
        let policy =
            Policy::parse("policy.json", &document.to_string()).unwrap_or_else(|errors| panic!("{errors}\n{document}"));
        let mut proxy = Proxy { document: &document, counts: BTreeMap::new() };
        let mut counts = BTreeMap::new();
        for number in 0..12 {
            let tool = random.pick(&["a", "b", "z"]);
            let mut arguments = json!({});
            for key in ["n", "m"] {
                if random.chance(80) {
                    arguments[key] = random.pick(&[json!(1), json!(2), json!(3), json!("x")].each_ref()).clone();
                }
            }
            let engine = passes(&policy, &mut counts, tool, &arguments.to_string());
            let plain = proxy.call(tool, &arguments);
            assert_eq!(engine, plain, "call {number} of {tool} with {arguments} under {document}, seed {seed}");
            passed[usize::from(plain)] += 1;
        }
    }
    assert!(passed.iter().all(|times| *times > 5_000), "{passed:?}");
}
