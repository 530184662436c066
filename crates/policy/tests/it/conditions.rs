//! Conditions, one case a line: what `require` and `deny_if` make of an argument that is right, wrong, missing or odd.

use std::time::{Duration, UNIX_EPOCH};

use policy::{Context, Subject};
use serde_json::value::RawValue;

use crate::{call, parse, show};

/// `require` permits, `deny_if` denies?
#[track_caller] // the one place that calls `decide`
fn check(condition: &str, arguments: &str, [required, denied]: [bool; 2]) {
    let arguments = serde_json::from_str::<Option<&RawValue>>(arguments).unwrap();
    for (key, expected) in [("require", required), ("deny_if", !denied)] {
        let rule = format!(r#"{{ "{key}": [{{ "conditions": [{condition}] }}] }}"#);
        let policy = parse(&format!(r#"{{ "version": "1", "tools": {{ "t": {rule} }} }}"#));
        let shown = show(&policy, policy.decide(call(Subject::Tool("t"), arguments)));
        let refused = format!("denied.condition /tools/t/{key}/0");
        let expected = if expected { "permit /tools/t" } else { &refused };
        assert_eq!(shown, expected, "{key} {condition} of {arguments:?}");
        assert!(policy.lists(Subject::Tool("t")));
    }
}

const YES: [bool; 2] = [true, true];
const NO: [bool; 2] = [false, false];
/// The safe answer to what cannot be asked: not enough for `require`, enough for `deny_if`.
const UNSURE: [bool; 2] = [false, true];

/// `args.a` under an operator.
#[track_caller]
fn op(op: &str, value: &str, argument: &str, expected: [bool; 2]) {
    let condition = format!(r#"{{ "path": "args.a", "op": "{op}", "value": {value} }}"#);
    let arguments = if argument.is_empty() { "{}".to_owned() } else { format!(r#"{{ "a": {argument} }}"#) };
    check(&condition, &arguments, expected);
}

#[test]
fn equality_goes_by_value() {
    op("eq", "1", "1.0", YES);
    op("eq", "1", "\"1\"", NO);
    op("eq", "9007199254740993", "9007199254740992", NO);
    op("eq", "9007199254740993", "9007199254740993.0", YES);
    op("eq", "0.1", "1e-1", YES);
    op("eq", "1e400", "1e400", YES);
    op("eq", "\"é\"", r#""\u00e9""#, YES);
    op("eq", "\"é\"", r#""e\u0301""#, NO);
    op("eq", "null", "null", YES);
    op("eq", "null", "false", NO);
    op("eq", r#"[1, {"b": [], "c": null}]"#, r#"[1.0,{ "c" : null, "\u0062":[] }]"#, YES);
    op("eq", "[1, 2]", "[1]", NO);
    op("eq", "[1]", "[1, 2]", NO);
    op("eq", r#"{"b": 1}"#, r#"{"b": 1, "c": 2}"#, NO);
    op("eq", r#"{"b": 1, "c": 2}"#, r#"{"b": 1}"#, NO);
    op("eq", "{}", "[]", NO);
    op("eq", "1", "", NO);
    op("neq", "1", "2", YES);
    op("neq", "1", "1e0", NO);
    op("neq", "1", "\"1\"", YES);
    op("neq", "1", "", UNSURE);
    op("eq", "\"a\"", r#""\ud800""#, UNSURE);
    op("in", r#"["a", 2, null]"#, "2.0", YES);
    op("in", r#"["a", 2, null]"#, "3", NO);
    op("in", "[]", "3", NO);
    op("in", "[1]", "", NO);
    op("not_in", r#"["a", 2]"#, "\"b\"", YES);
    op("not_in", r#"["a", 2]"#, "\"a\"", NO);
    op("not_in", "[1]", "", UNSURE);
}

#[test]
fn numbers_are_compared_exactly() {
    op("lt", "100", "99.99999999999999999999999999", YES);
    op("lt", "100", "100", NO);
    op("lte", "100", "1e2", YES);
    op("lte", "100", "100.00000000000000000000000001", NO);
    op("gt", "-1", "-0.5", YES);
    op("gt", "9007199254740992", "9007199254740993", YES);
    op("gte", "0", "-0", YES);
    op("gte", "5", "1e99999999999999999999", YES);
    op("gte", "5", "-1e99999999999999999999", NO);
    op("lte", "100", "\"5\"", UNSURE);
    op("gt", "100", "null", UNSURE);
    op("lt", "100", "", NO);
    op("gt", "100", "", NO);
}

#[test]
fn existence() {
    op("exists", "true", "null", YES);
    op("exists", "true", "", NO);
    op("exists", "false", "", YES);
    op("exists", "false", "null", NO);
    check(r#"{ "path": "args.a", "op": "exists", "value": false }"#, "null", YES);
    check(r#"{ "path": "args.a.b", "op": "exists", "value": false }"#, r#"{ "a": 1 }"#, UNSURE);
}

#[test]
fn text() {
    op("contains", "\"prod\"", "\"my-prod-1\"", YES);
    op("contains", "\"prod\"", "\"my-Prod-1\"", NO);
    op("contains", "\"prod\"", r#""pr\u006fd""#, YES);
    op("contains", "\"prod\"", r#"["prod"]"#, YES);
    op("contains", "\"prod\"", r#"["production"]"#, NO);
    op("contains", "1", "[2, 1.0]", YES);
    op("contains", "[1]", "[[1]]", YES);
    op("contains", "1", "\"1\"", UNSURE);
    op("contains", "1", "1", UNSURE);
    op("contains", "\"b\"", r#"{ "b": 1 }"#, UNSURE);
    op("contains", "\"b\"", "", NO);
    op("starts_with", "\"a\\n\"", r#""a\nb""#, YES);
    op("starts_with", "\"a\"", "\"ca\"", NO);
    op("starts_with", "\"a\"", "[\"a\"]", UNSURE);
    op("ends_with", "\"\"", "\"\"", YES);
    op("ends_with", "\"b\"", "\"a\"", NO);
    op("ends_with", "\"b\"", "", NO);
    op("glob", "\"*.??\"", "\"a/b.rs\"", YES);
    op("glob", "\"*.??\"", "\"a/b.\u{e9}\u{1f600}\"", YES);
    op("glob", "\"*.??\"", "\"a/b.txt\"", NO);
    op("glob", "\"\"", "\"\"", YES);
    op("glob", "\"*\"", "3", UNSURE);
}

#[test]
fn a_regex_matches_the_whole_string() {
    op("regex", r#""[a-z]+""#, "\"abc\"", YES);
    op("regex", r#""[a-z]+""#, "\"abc1\"", NO);
    op("regex", r#""[a-z]+""#, r#""abc\n""#, NO);
    op("regex", r#""a|ab""#, "\"ab\"", YES);
    op("regex", r#""a|b""#, "\"ac\"", NO);
    op("regex", r#""(?m)^a$""#, r#""b\na\nb""#, NO);
    op("regex", r#""(?i)é""#, "\"É\"", YES);
    op("regex", r#""""#, "\"\"", YES);
    op("regex", r#"".*""#, "1", UNSURE);
    op("regex", r#"".*""#, "", NO);
}

#[test]
fn paths_and_urls() {
    op("path_within", "\"/srv/docs\"", "\"/srv/docs/a\"", YES);
    op("path_within", "\"/srv/docs\"", "\"/srv/docs/%2e%2e/x\"", NO);
    op("path_within", r#"["/srv", "/tmp"]"#, "\"/tmp/x\"", YES);
    op("path_within", "[]", "\"/tmp/x\"", NO);
    op("path_within", "\"/\"", "1", UNSURE);
    op("path_within", "\"/\"", "", NO);
    op("url_host_in", r#"["*.example.com", "b.test"]"#, "\"https://A.Example.com/\"", YES);
    op("url_host_in", r#"["*.example.com", "b.test"]"#, "\"https://b.test.\"", YES);
    op("url_host_in", r#"["*.example.com"]"#, "\"https://example.com/\"", NO);
    op("url_host_in", r#"["example.com"]"#, "\"example.com\"", UNSURE);
    op("url_host_in", r#"["example.com"]"#, "1", UNSURE);
    op("url_host_in", r#"["example.com"]"#, "", NO);
}

#[test]
fn types_and_lengths() {
    let values = ["\"a\"", "1", "1.5", "true", "{}", "[]", "null"];
    for (kind, of) in [
        ("string", &[0][..]),
        ("number", &[1, 2]),
        ("integer", &[1]),
        ("boolean", &[3]),
        ("object", &[4]),
        ("array", &[5]),
        ("null", &[6]),
    ] {
        for (number, value) in values.iter().enumerate() {
            op("type", &format!("\"{kind}\""), value, if of.contains(&number) { YES } else { NO });
        }
        op("type", &format!("\"{kind}\""), "", NO);
    }
    op("type", "\"integer\"", "1e2", YES);
    op("type", "\"integer\"", "1.0", YES);
    op("len_lt", "3", "\"\u{1f600}\u{e9}\"", YES);
    op("len_lt", "2", r#""\ud83d\ude00a""#, NO);
    op("len_lte", "2", "[1, [2, 3]]", YES);
    op("len_gt", "1", r#"{ "x": 1, "y": {} }"#, YES);
    op("len_gte", "1.0", "[]", NO);
    op("len_gte", "0", "5", UNSURE);
    op("len_gte", "0", "", NO);
}

#[test]
fn not_turns_an_operator_into_its_complement() {
    let not = |test: &str, argument: &str, expected| {
        let arguments = if argument.is_empty() { "{}".to_owned() } else { format!(r#"{{ "a": {argument} }}"#) };
        check(&format!(r#"{{ "not": {{ "path": "args.a", {test} }} }}"#), &arguments, expected);
    };
    not(r#""op": "eq", "value": 1"#, "", UNSURE);
    not(r#""op": "neq", "value": 1"#, "", NO);
    not(r#""op": "neq", "value": 1"#, "1", YES);
    not(r#""op": "in", "value": [1]"#, "", UNSURE);
    not(r#""op": "lt", "value": 1"#, "1", YES);
    not(r#""op": "lt", "value": 1"#, "", NO);
    not(r#""op": "lt", "value": 1"#, "\"1\"", UNSURE);
    not(r#""op": "exists", "value": true"#, "", YES);
    not(r#""op": "exists", "value": false"#, "", NO);
    not(r#""op": "contains", "value": "a""#, "\"b\"", YES);
    not(r#""op": "contains", "value": "a""#, "1", UNSURE);
    not(r#""op": "contains", "value": "a""#, "", UNSURE);
    not(r#""op": "len_gt", "value": 1"#, "\"a\"", YES);
    let twice = r#"{ "not": { "not": { "path": "args.a", "op": "eq", "value": 1 } } }"#;
    check(twice, r#"{ "a": 1 }"#, YES);
    check(twice, "{}", NO);
}

#[test]
fn conditions_nest() {
    let a = r#"{ "path": "args.a", "op": "eq", "value": 1 }"#;
    let b = r#"{ "path": "args.b", "op": "lt", "value": 2 }"#;
    check("", "{}", YES);
    check(r#"{ "all": [] }"#, "{}", YES);
    check(r#"{ "any": [] }"#, "{}", NO);
    check(r#"{ "not": { "any": [] } }"#, "{}", YES);
    check(&format!("{a}, {b}"), r#"{ "a": 1, "b": 1 }"#, YES);
    check(&format!("{a}, {b}"), r#"{ "a": 1, "b": 2 }"#, NO);
    check(&format!(r#"{{ "any": [{a}, {b}] }}"#), r#"{ "a": 1 }"#, YES);
    check(&format!(r#"{{ "any": [{a}, {b}] }}"#), r#"{ "b": "x" }"#, UNSURE);
    check(&format!(r#"{{ "not": {{ "all": [{a}, {b}] }} }}"#), r#"{ "a": 1, "b": 2 }"#, YES);
    check(&format!(r#"{{ "not": {{ "any": [{a}, {b}] }} }}"#), r#"{ "a": 1, "b": 2 }"#, NO);
    check(&format!(r#"{{ "all": [{a}, {{ "any": [{b}, {a}] }}] }}"#), r#"{ "a": 1 }"#, YES);
}

#[test]
fn every_element_is_asked_by_require_any_by_deny_if() {
    let price = r#"{ "path": "args.items[*].price", "op": "lt", "value": 10 }"#;
    check(price, r#"{ "items": [{ "price": 1 }, { "price": 2 }] }"#, YES);
    check(price, r#"{ "items": [{ "price": 1 }, { "price": 20 }] }"#, [false, true]);
    check(price, r#"{ "items": [{ "price": 20 }] }"#, NO);
    check(price, r#"{ "items": [] }"#, [true, false]);
    check(price, r#"{ "items": [{}] }"#, NO);
    check(price, r#"{ "items": [1] }"#, UNSURE);
    check(price, r#"{ "items": { "price": 1 } }"#, UNSURE);
    check(price, "{}", NO);
    let not = format!(r#"{{ "not": {price} }}"#);
    check(&not, r#"{ "items": [{ "price": 1 }, { "price": 20 }] }"#, [false, true]);
    check(&not, r#"{ "items": [{ "price": 10 }, { "price": 20 }] }"#, YES);
    check(&not, r#"{ "items": [] }"#, [true, false]);
    let nested = r#"{ "path": "args[\"a.b\"][*][*]", "op": "type", "value": "integer" }"#;
    check(nested, r#"{ "a.b": [[1], [], [2, 3]] }"#, YES);
    check(nested, r#"{ "a.b": [[1], 2] }"#, UNSURE);
}

#[test]
fn a_step_into_what_is_no_object_is_a_wrong_type() {
    let deep = r#"{ "path": "args.a.b", "op": "eq", "value": 1 }"#;
    check(deep, r#"{ "a": { "b": 1 } }"#, YES);
    check(deep, r#"{ "a": {} }"#, NO);
    check(deep, "{}", NO);
    check(deep, "null", NO);
    for inner in ["\"b\"", "[1]", "null", "1"] {
        check(deep, &format!(r#"{{ "a": {inner} }}"#), UNSURE);
    }
}

#[track_caller]
fn in_context(condition: &str, expected: [bool; 2]) {
    let labels = [("team".into(), "search".into()), ("a.b".into(), "x".into())];
    let time = UNIX_EPOCH + Duration::from_secs(1_795_426_200);
    let context = Context { agent: Some("alice"), labels: &labels, server: "github", time };
    for (key, expected) in [("require", expected[0]), ("deny_if", !expected[1])] {
        let rule = format!(r#"{{ "{key}": [{{ "conditions": [{condition}] }}] }}"#);
        let policy = parse(&format!(r#"{{ "version": "1", "tools": {{ "t": {rule} }} }}"#));
        let shown = show(&policy, policy.decide(policy::Call { context, ..call(Subject::Tool("t"), None) }));
        assert_eq!(shown.starts_with("permit"), expected, "{key} {condition}");
    }
}

#[test]
fn conditions_ask_who_where_and_when() {
    in_context(r#"{ "path": "agent.id", "op": "eq", "value": "alice" }"#, YES);
    in_context(r#"{ "path": "agent.labels.team", "op": "in", "value": ["search"] }"#, YES);
    in_context(r#"{ "path": "agent.labels[\"a.b\"]", "op": "eq", "value": "x" }"#, YES);
    in_context(r#"{ "path": "agent.labels.none", "op": "neq", "value": "x" }"#, UNSURE);
    in_context(r#"{ "path": "server.id", "op": "glob", "value": "git*" }"#, YES);
    in_context(r#"{ "path": "tool.name", "op": "eq", "value": "t" }"#, YES);
    in_context(
        r#"{ "path": "time.hour", "op": "gte", "value": 9 }, { "path": "time.hour", "op": "lt", "value": 10 }"#,
        YES,
    );
    in_context(r#"{ "path": "time.weekday", "op": "in", "value": [6, 7] }"#, NO);
    in_context(r#"{ "path": "time.date", "op": "eq", "value": "2026-11-23" }"#, YES);
    in_context(r#"{ "path": "time(\"UTC\").weekday", "op": "eq", "value": 1 }"#, YES);
    check(r#"{ "path": "agent.id", "op": "eq", "value": "alice" }"#, "{}", NO);
    check(r#"{ "path": "agent.id", "op": "exists", "value": false }"#, "{}", YES);
}

#[track_caller]
fn decides(members: &str, name: &str, arguments: &str, expected: &str) {
    let policy = parse(&format!(r#"{{ "version": "1", {members} }}"#));
    let arguments = serde_json::from_str::<&RawValue>(arguments).unwrap();
    assert_eq!(show(&policy, policy.decide(call(Subject::Tool(name), Some(arguments)))), expected);
}

#[test]
fn conditions_come_after_what_the_name_decides_and_before_approval() {
    let low = r#"{ "conditions": [{ "path": "args.n", "op": "lt", "value": 5 }], "on_deny": "Too many." }"#;
    let all = format!(
        r#""hide": ["h"], "all_tools": {{ "reason": "All.", "deny_if": [{{ "conditions": [{{ "path": "args.n", "op": "eq", "value": 3 }}] }}] }},
        "tools": {{ "a*": {{ "require": [{low}] }}, "ab": {{ "action": "require_approval" }}, "ad": "deny", "h": {{}},
            "ac": {{ "reason": "Mine.", "require": [{{ "conditions": [] }}, {{ "conditions": [{{ "any": [] }}] }}] }} }}"#
    );
    decides(&all, "a", r#"{ "n": 1 }"#, "permit /tools/a*");
    decides(&all, "a", r#"{ "n": 9 }"#, "denied.condition /tools/a*/require/0: Too many.");
    decides(&all, "a", r#"{ "n": 3 }"#, "denied.condition /all_tools/deny_if/0: All.");
    decides(&all, "ab", r#"{ "n": 1 }"#, "approval.required /tools/ab");
    decides(&all, "ab", r#"{ "n": 9 }"#, "denied.condition /tools/a*/require/0: Too many.");
    decides(&all, "ac", r#"{ "n": 9 }"#, "denied.condition /tools/ac/require/1: Mine.");
    decides(&all, "ad", r#"{ "n": 9 }"#, "denied.rule /tools/ad");
    decides(&all, "h", r#"{ "n": 9 }"#, "hidden (hidden)");
    decides(&all, "x", r#"{ "n": 3 }"#, "denied.default (default deny)");
    // What `all_tools` asks is asked of unlisted tools, too, where the default lets them through.
    let open = format!(r#""default": "allow", "all_tools": {{ "require": [{low}] }}"#);
    decides(&open, "x", r#"{ "n": 9 }"#, "denied.condition /all_tools/require/0: Too many.");
    decides(&open, "x", r#"{ "n": 1 }"#, "permit (default allow)");
}
