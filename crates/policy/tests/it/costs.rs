//! What a call costs, and when nobody can tell.

use crate::{ask_with, parse};

#[track_caller]
fn check(limits: &str, arguments: &str, expected: &str) {
    let policy = parse(&format!(r#"{{ "version": "1", "tools": {{ "t": {{ "limits": [{limits}] }} }} }}"#));
    let shown = ask_with(&policy, "t", arguments);
    let short = shown.strip_prefix("permit /tools/t | ").unwrap_or(&shown);
    assert_eq!(short.split(':').next().unwrap_or_default(), expected, "{limits} of {arguments}");
}

#[test]
fn a_cost_is_read_from_the_arguments_exactly() {
    let spend = r#"{ "counter": "c", "max": 500, "window": "1d", "cost": "args.job.budget" }"#;
    let budget = |budget: &str, expected| check(spend, &format!(r#"{{ "job": {{ "budget": {budget} }} }}"#), expected);
    budget("12.345678", "c per agent +12345678");
    budget("1e2", "c per agent +100000000");
    budget("500.000000", "c per agent +500000000");
    budget("0", "c per agent +0");
    budget("-0.0", "c per agent +0");
    let limited = "limited /tools/t/limits/0";
    budget("500.000001", limited);
    budget("-1", limited);
    budget("0.0000001", limited);
    budget("1e999", limited);
    budget("\"5\"", limited);
    budget("null", limited);
    check(spend, "{}", limited);
    check(spend, r#"{ "job": 5 }"#, limited);
}

/// Only where the rule itself says so does a limit let calls pass that cannot be counted.
#[test]
fn a_limit_fails_closed_unless_its_own_rule_says_otherwise() {
    let policy = parse(
        r#"{ "version": "1", "tools": {
            "a": { "rate_limit": "1/minute", "on_store_failure": "allow" },
            "b": { "rate_limit": "1/minute", "on_store_failure": "deny" },
            "c": { "limits": [{ "max": 1, "window": "1m", "counter": "x" }], "on_store_failure": "allow" },
            "d": { "limits": [{ "max": 2, "window": "1m", "counter": "x" }] } } }"#,
    );
    let limits = policy.counters().iter().flat_map(|counter| &counter.limits);
    let open: Vec<_> = limits.filter(|limit| limit.passes_uncounted).map(|limit| limit.pointer.as_str()).collect();
    assert_eq!(open, ["/tools/a/rate_limit", "/tools/c/limits/0"]);
    let printed = policy::native(
        "p.json",
        r#"{ "version": "1", "tools": { "a": { "rate_limit": "1/minute", "on_store_failure": "allow" } } }"#,
    );
    assert!(printed.unwrap().contains(r#""on_store_failure": "allow""#));
}

#[test]
fn a_cost_may_be_a_constant() {
    check(r#"{ "counter": "c", "max": 50, "window": "1d", "cost": 5 }"#, "{}", "c per agent +5000000");
    check(r#"{ "counter": "c", "max": 50, "window": "1d", "cost": 0.5 }"#, "{}", "c per agent +500000");
    check(r#"{ "counter": "c", "max": 50, "window": "1d" }"#, "{}", "c per agent");
}

#[test]
fn a_call_adds_its_cost_to_a_counter_once() {
    let two = r#"{ "counter": "c", "max": 9, "window": "1h", "cost": "args.n" }, { "counter": "c", "max": 50, "window": "1d", "cost": "args.n" }"#;
    check(two, r#"{ "n": 7 }"#, "c per agent +7000000");
    check(two, r#"{ "n": 10 }"#, "limited /tools/t/limits/0");
    let dearer = r#"{ "counter": "c", "max": 9, "window": "1h", "cost": 3 }, { "counter": "c", "max": 50, "window": "1d", "cost": "args.n" }"#;
    check(dearer, r#"{ "n": 2 }"#, "c per agent +3000000");
    check(dearer, r#"{ "n": 4 }"#, "c per agent +4000000");
}

#[test]
fn all_rules_that_match_say_what_a_call_costs() {
    let policy = parse(
        r#"{ "version": "1", "all_tools": { "limits": [{ "counter": "c", "max": 9, "window": 1, "cost": 2 }] },
        "tools": { "t": { "limits": [{ "counter": "c", "max": 8, "window": 1, "cost": "args.n" }] }, "u": {} } }"#,
    );
    let fed = "(/tools/t/limits/0 8000000/1s Window)";
    let all = "[/all_tools/limits/0 9000000/1s Window]";
    assert_eq!(ask_with(&policy, "u", "{}"), format!("permit /tools/u | c per agent +2000000: {all} {fed}"));
    let own = "[/tools/t/limits/0 8000000/1s Window]";
    assert_eq!(ask_with(&policy, "t", r#"{ "n": 5 }"#), format!("permit /tools/t | c per agent +5000000: {all} {own}"));
    assert_eq!(ask_with(&policy, "t", r#"{ "n": 1 }"#), format!("permit /tools/t | c per agent +2000000: {all} {own}"));
    assert_eq!(ask_with(&policy, "t", "{}"), "limited /tools/t/limits/0");
}
