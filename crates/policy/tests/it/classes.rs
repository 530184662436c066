//! Rules by category and risk, and rules that want a person's consent.

use std::num::NonZeroU32;
use std::time::Duration;

use policy::{Catalogue, Decision, Policy, Subject};

use crate::{ask_with, call, parse};

const CATALOGUE: &str = r#"{ "version": "1", "server": "s", "tools": {
    "get": { "category": "Read", "risk": "Low" }, "drop": { "category": "Destructive", "risk": "Critical" },
    "pay": { "category": "Financial", "risk": "High" }, "list": { "category": "Read", "risk": "Medium" } } }"#;

#[track_caller]
fn check(members: &str, tool: &str, arguments: &str, expected: &str) {
    let catalogue = Catalogue::parse("catalog.json", CATALOGUE).unwrap();
    let policy = Policy::parse_with("policy.json", &format!(r#"{{ "version": "1", {members} }}"#), &catalogue).unwrap();
    assert_eq!(ask_with(&policy, tool, arguments), expected, "{tool}");
}

#[test]
fn a_class_lists_its_tools() {
    check(r#""categories": { "Read": {} }"#, "get", "{}", "permit /categories/Read");
    check(r#""categories": { "Read": {} }"#, "drop", "{}", "denied.default (default deny)");
    check(r#""categories": { "Read": {} }"#, "unknown", "{}", "denied.default (default deny)");
    check(r#""risks": { "Low": {} }"#, "get", "{}", "permit /risks/Low");
    check(r#""categories": { "Read": { "except": ["g*"] } }"#, "get", "{}", "denied.default (default deny)");
}

#[test]
fn rules_on_names_and_on_classes_apply_together() {
    let policy = r#""default": "allow", "categories": { "Destructive": { "action": "deny", "reason": "Ticket." }, "Read": {} },
        "risks": { "High": "require_approval", "Medium": "hide" }, "tools": { "drop": {}, "g*": {}, "pay": {} }"#;
    check(policy, "drop", "{}", "denied.rule /categories/Destructive: Ticket.");
    check(policy, "get", "{}", "permit /tools/g*");
    check(policy, "pay", "{}", "approval.required /risks/High");
    check(policy, "list", "{}", "hidden (hidden)");
    check(policy, "other", "{}", "permit (default allow)");
}

#[test]
fn a_limit_on_a_class_is_one_count_for_all_its_tools() {
    let policy = r#""categories": { "Read": { "rate_limit": "9/minute" } }"#;
    let owed = "/categories/Read/rate_limit per agent: [/categories/Read/rate_limit 9000000/60s Window]";
    for tool in ["get", "list"] {
        check(policy, tool, "{}", &format!("permit /categories/Read | {owed}"));
    }
}

#[test]
fn conditions_ask_for_the_class_of_a_tool() {
    let policy = r#""default": "allow", "all_tools": { "deny_if": [{ "conditions": [
        { "path": "tool.risk", "op": "in", "value": ["High", "Critical"] }, { "path": "tool.category", "op": "neq", "value": "Financial" } ] }] }"#;
    check(policy, "drop", "{}", "denied.condition /all_tools/deny_if/0");
    check(policy, "pay", "{}", "permit (default allow)");
    check(policy, "other", "{}", "permit (default allow)");
}

#[test]
fn the_hash_follows_the_catalogue() {
    let text = r#"{ "version": "1" }"#;
    let by =
        |catalogue: &str| *Policy::parse_with("p", text, &Catalogue::parse("c", catalogue).unwrap()).unwrap().hash();
    assert_ne!(by(CATALOGUE), by(r#"{ "version": "1" }"#));
    assert_ne!(by(CATALOGUE), *parse(text).hash());
    assert_eq!(by(CATALOGUE), by(CATALOGUE));
}

#[test]
fn approve_if_asks_for_consent_after_all_that_denies() {
    let policy = r#""tools": { "t": { "reason": "Big.", "deny_if": [{ "conditions": [{ "path": "args.n", "op": "gt", "value": 100 }] }],
        "approve_if": [{ "conditions": [{ "path": "args.n", "op": "gt", "value": 10 }] }, { "conditions": [{ "path": "args.m", "op": "exists", "value": true }], "on_deny": "Why m?" }] } }"#;
    check(policy, "t", r#"{ "n": 1 }"#, "permit /tools/t");
    check(policy, "t", r#"{ "n": 11 }"#, "approval.required /tools/t/approve_if/0: Big.");
    check(policy, "t", r#"{ "n": "1" }"#, "denied.condition /tools/t/deny_if/0: Big.");
    check(policy, "t", r#"{ "n": 101 }"#, "denied.condition /tools/t/deny_if/0: Big.");
    check(policy, "t", r#"{ "m": null }"#, "approval.required /tools/t/approve_if/1: Why m?");
}

#[test]
fn a_denial_for_want_of_consent_says_who_may_give_it() {
    let policy = parse(
        r#"{ "version": "1", "all_tools": { "approval": { "approvers": ["ops"], "timeout": "1h", "hold": 5 } }, "tools": {
        "a": "require_approval", "b": { "action": "require_approval", "approval": { "approvers": ["x", "y"], "quorum": 2, "self_approval": true } },
        "c": {} } }"#,
    );
    let approval = |tool: &str| match policy.decide(call(Subject::Tool(tool), None)) {
        Decision::Permit(_) => None,
        Decision::Deny(denial) => denial.approval,
    };
    let a = approval("a").unwrap();
    assert_eq!(
        (a.approvers.as_slice(), a.quorum, a.self_approval),
        (["ops".to_owned()].as_slice(), NonZeroU32::MIN, false)
    );
    assert_eq!((a.timeout, a.hold), (Duration::from_secs(3_600), Duration::from_secs(5)));
    let b = approval("b").unwrap();
    assert_eq!((b.approvers.len(), b.quorum.get(), b.self_approval), (2, 2, true));
    assert_eq!((b.timeout, b.hold), (Duration::from_secs(900), Duration::from_secs(45)));
    assert!(approval("c").is_none());
}
