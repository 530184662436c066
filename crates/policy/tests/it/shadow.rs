//! What is in shadow refuses nothing, hides nothing, and says what it would have done.

use policy::Subject;

use crate::{ask_with, parse};

#[track_caller]
fn check(members: &str, tool: &str, expected: &str) {
    let policy = parse(&format!(r#"{{ "version": "1", {members} }}"#));
    let shown = ask_with(&policy, tool, r#"{ "n": 5 }"#);
    assert_eq!(shown, expected, "{tool}");
    assert_eq!(
        policy.lists(Subject::Tool(tool)),
        !["denied.r", "denied.de", "hidden"].iter().any(|no| shown.starts_with(no))
    );
    assert_eq!(policy.is_hidden(Subject::Tool(tool)), shown == "hidden (hidden)");
}

#[test]
fn a_document_in_shadow_lets_everything_pass() {
    let policy = r#""mode": "shadow", "hide": ["h*"], "tools": { "ok": {}, "no": { "action": "deny", "reason": "No." }, "ask": "require_approval",
        "big": { "deny_if": [{ "conditions": [{ "path": "args.n", "op": "gt", "value": 4 }] }] },
        "dear": { "limits": [{ "max": 4, "window": 1, "cost": "args.n" }] } }"#;
    check(policy, "ok", "permit /tools/ok");
    check(policy, "no", "permit /tools/no | would be denied.rule /tools/no: No.");
    check(policy, "ask", "permit /tools/ask | would be approval.required /tools/ask");
    check(policy, "big", "permit /tools/big | would be denied.condition /tools/big/deny_if/0");
    check(policy, "h1", "permit (shadow) | would be hidden (hidden)");
    check(policy, "other", "permit (shadow) | would be denied.default (default deny)");
    let dear = "/tools/dear/limits/0 per agent +0: </tools/dear/limits/0 4000000/1s Window>";
    check(policy, "dear", &format!("permit /tools/dear | {dear} | would be limited /tools/dear/limits/0"));
    assert!(!parse(&format!(r#"{{ "version": "1", {policy} }}"#)).hides());
    check(r#""mode": "enforce", "tools": { "no": "deny" }"#, "no", "denied.rule /tools/no");
}

#[test]
fn a_rule_in_shadow_counts_as_one_that_allows() {
    let policy = r#""all_tools": { "mode": "shadow", "rate_limit": "9/minute" }, "tools": {
        "no": { "action": "deny", "mode": "shadow" }, "gone": { "action": "hide", "mode": "shadow" }, "both": { "action": "deny", "mode": "shadow" }, "bo*": "deny",
        "big": { "mode": "shadow", "require": [{ "conditions": [{ "any": [] }] }], "rate_limit": "1/minute" } }"#;
    let all = "/all_tools/rate_limit per agent: </all_tools/rate_limit 9000000/60s Window>";
    check(policy, "no", &format!("permit /tools/no | {all} | would be denied.rule /tools/no"));
    check(policy, "gone", &format!("permit /tools/gone | {all} | would be hidden (hidden)"));
    check(policy, "both", "denied.rule /tools/bo*");
    check(policy, "other", "denied.default (default deny)");
    let own = "/tools/big/rate_limit per agent: </tools/big/rate_limit 1000000/60s Window>";
    check(
        policy,
        "big",
        &format!("permit /tools/big | {all} | {own} | would be denied.condition /tools/big/require/0"),
    );
}
