//! What may be written but is hardly meant, as far as values and a server's tools tell.

use policy::{Catalogue, Finding, NoToolList, Policy, ToolList};

use crate::parse;

fn shown(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| format!("{}: {finding}", finding.code().as_str().trim_start_matches("policy::")))
        .collect()
}

/// What is said of conditions on one tool.
#[track_caller]
fn check(conditions: &str, expected: Option<&str>) {
    for key in ["require", "deny_if", "approve_if"] {
        let text =
            format!(r#"{{ "version": "1", "tools": {{ "t": {{ "{key}": [{{ "conditions": [{conditions}] }}] }} }} }}"#);
        let expected = expected.map(|expected| format!("impossible: {expected}"));
        assert_eq!(shown(parse(&text).warnings()), expected.into_iter().collect::<Vec<_>>(), "{conditions}");
    }
}

#[test]
fn what_no_value_meets() {
    let test = |path: &str, op: &str, value: &str| format!(r#"{{ "path": "{path}", "op": "{op}", "value": {value} }}"#);
    let n = |op: &str, value: &str| test("args.n", op, value);
    let no_number = Some("no number is within these bounds of `args.n`");
    check(&[n("lt", "5"), n("gt", "5.0")].join(","), no_number);
    check(&[n("lte", "5"), n("gte", "5.0000001")].join(","), no_number);
    check(&[n("gte", "1e3"), n("lt", "1000")].join(","), no_number);
    check(&[n("lte", "5"), n("gte", "5")].join(","), None);
    check(&[n("lt", "5"), test("args.m", "gt", "5")].join(","), None);
    let no_value = Some("no value of `args.n` meets all of this");
    check(&[n("eq", "\"a\""), n("neq", "\"a\"")].join(","), no_value);
    check(&[n("in", "[1, 2]"), n("gt", "2")].join(","), no_value);
    check(&[n("in", "[1, 2]"), n("gt", "1")].join(","), None);
    check(&[n("eq", "\"a\""), n("starts_with", "\"b\"")].join(","), no_value);
    check(&[n("eq", "5"), n("len_gt", "1")].join(","), no_value);
    check(&n("in", "[]"), Some("`args.n` is never in an empty list"));
    check(&n("not_in", "[]"), None);
    check(&[n("eq", "[1]"), n("len_gt", "5")].join(","), None);
    check(&test("time.hour", "gte", "24"), Some("`time.hour` is never so: it is a number from 0 to 23"));
    check(
        &[test("time.hour", "gte", "22"), test("time.hour", "lt", "6")].join(","),
        Some("`time.hour` is never so: it is a number from 0 to 23"),
    );
    check(
        &test("time.weekday", "eq", "\"Monday\""),
        Some("`time.weekday` is never so: it is a number from 1, Monday, to 7"),
    );
    let no_date = r#"`time.date` is never so: it is a string, such as "2026-11-23""#;
    check(&test("time.date", "gte", "20261123"), Some(no_date));
    check(&test("time.date", "eq", "\"2026-11-23\""), None);
    let no_day = r#"`time.date` is never "2026-1-1": a day is written as "2026-11-23""#;
    check(&test("time.date", "in", r#"["2026-12-25", "2026-1-1"]"#), Some(no_day));
    check(&test("time.date", "not_in", r#"["2026-12-25", "2026-1-1"]"#), Some(no_day));
    check(&test("time.date", "starts_with", "\"2026-\""), None);
    check(&test("agent.id", "eq", "7"), Some("`agent.id` is never so: it is a string"));
    check(&test("agent.id", "neq", "7"), None);
    check(&test("agent.labels.level", "gte", "3"), Some("`agent.labels.level` is never so: it is a string"));
    check(&format!(r#"{{ "any": [{}, {}] }}"#, n("in", "[]"), n("lt", "5")), None);
    check(
        &format!(r#"{{ "any": [{}, {{ "all": [{}, {}] }}] }}"#, n("in", "[]"), n("lt", "5"), n("gt", "6")),
        Some("`args.n` is never in an empty list"),
    );
    check(r#"{ "any": [] }"#, Some("an empty `any` never holds"));
    // One element may be small and another large.
    check(&[test("args.l[*]", "lt", "5"), test("args.l[*]", "gt", "5")].join(","), None);
}

#[test]
fn a_folder_is_no_glob() {
    let policy = |folder: &str| {
        let condition = format!(r#"{{ "path": "args.path", "op": "path_within", "value": {folder} }}"#);
        parse(&format!(
            r#"{{ "version": "1", "tools": {{ "t": {{ "deny_if": [{{ "conditions": [{condition}] }}] }} }} }}"#
        ))
    };
    let said = ["not_a_glob: `*` means nothing but itself in the folder `/etc/*`"];
    assert_eq!(shown(policy(r#"["/srv", "/etc/*"]"#).warnings()), said);
    assert_eq!(shown(policy(r#""/etc/""#).warnings()), [""; 0]);
}

#[test]
fn what_only_tools_have() {
    let policy = |space: &str| {
        parse(&format!(
            r#"{{ "version": "1", "{space}": {{ "x*": {{ "deny_if": [{{ "conditions": [{{ "path": "tool.name", "op": "eq", "value": "xy" }}] }}] }} }} }}"#
        ))
    };
    assert_eq!(shown(policy("tools").warnings()), [""; 0]);
    assert_eq!(
        shown(policy("resources").warnings()),
        ["impossible: a resource has no name, category or risk of a tool"]
    );
    assert_eq!(shown(policy("prompts").warnings()), ["impossible: a prompt has no name, category or risk of a tool"]);
}

#[test]
fn two_stars_list_everything() {
    let said = ["not_a_glob: `**` lists every name, as `*` does not"];
    let policy =
        |pattern: &str| parse(&format!(r#"{{ "version": "1", "tools": {{ "{pattern}": {{}}, "a": {{}} }} }}"#));
    assert_eq!(shown(policy("**").warnings()), said);
    assert_eq!(shown(policy("a**").warnings()), [""; 0]);
}

#[test]
fn critical_tools_ask_something() {
    let catalogue = r#"{ "version": "1", "tools": {
        "wipe": { "category": "Destructive", "risk": "Critical" }, "read": { "category": "Read", "risk": "Low" } } }"#;
    let catalogue = Catalogue::parse("catalog.json", catalogue).unwrap();
    let check = |members: &str, expected: &[&str]| {
        let text = format!(r#"{{ "version": "1", {members} }}"#);
        let policy = Policy::parse_with("policy.json", &text, &catalogue).unwrap();
        assert_eq!(shown(policy.warnings()), expected, "{members}");
    };
    let said = ["allows_critical: `wipe` is of critical risk, and this allows every call of it"];
    check(r#""tools": { "wipe": {} }"#, &said);
    check(r#""tools": { "w*": {}, "read": {} }"#, &said);
    check(r#""tools": { "read": {} }"#, &[]);
    check(r#""tools": { "wipe": "require_approval" }"#, &[]);
    check(r#""tools": { "wipe": {} }, "risks": { "Critical": "deny" }"#, &[]);
    check(
        r#""tools": { "wipe": { "require": [{ "conditions": [{ "path": "args.n", "op": "eq", "value": 1 }] }] } }"#,
        &[],
    );
}

const TOOLS: &str = r#"{ "tools": [
    { "name": "create_refund", "inputSchema": { "type": "object", "required": ["amount"], "properties": {
        "amount": { "type": "number" }, "note": { "type": "string" },
        "items": { "type": "array", "items": { "type": "object", "required": ["price"], "properties": { "price": {} } } } } } },
    { "name": "get_me", "inputSchema": { "type": "object" } },
    { "name": "odd", "inputSchema": { "$ref": "other.json" } }
] }"#;

#[test]
fn tools_and_arguments_that_are_not_there() {
    let list = ToolList::parse(TOOLS).unwrap();
    let check = |members: &str, expected: &[&str]| {
        let text = format!(r#"{{ "version": "1", {members} }}"#);
        parse(&text);
        assert_eq!(shown(&list.lint("policy.json", &text)), expected, "{members}");
    };
    let rule = |tool: &str, key: &str, path: &str, op: &str| {
        format!(
            r#""tools": {{ "{tool}": {{ "{key}": [{{ "conditions": [{{ "path": "{path}", "op": "{op}", "value": 5 }}] }}] }} }}"#
        )
    };
    check(r#""tools": { "create_refund": {}, "get_*": {}, "*": {} }"#, &[]);
    check(r#""tools": { "create_refunds": {} }"#, &["unknown_tool: the server has no tool `create_refunds`"]);
    check(
        r#""tools": { "set_*": {} }, "hide": ["x"]"#,
        &["unknown_tool: the server has no tool that `set_*` matches", "unknown_tool: the server has no tool `x`"],
    );
    check(&rule("create_refund", "require", "args.amount", "lt"), &[]);
    check(
        &rule("create_refund", "require", "args.amont", "lt"),
        &["unknown_argument: the tool has no argument `args.amont`"],
    );
    check(
        &rule("create_refund", "require", "args.items[*].cost", "lt"),
        &["unknown_argument: the tool has no argument `args.items[*].cost`"],
    );
    check(&rule("create_refund", "require", "args.items[*].price", "lt"), &[]);
    check(&rule("create_refund", "deny_if", "args.amount", "gt"), &[]);
    check(
        &rule("create_refund", "deny_if", "args.note", "eq"),
        &["optional_argument: a call may leave `args.note` out, and then this does not hold"],
    );
    check(&rule("create_refund", "deny_if", "args.note", "neq"), &[]);
    check(
        &rule("create_refund", "approve_if", "args.items[*].price", "gt"),
        &["optional_argument: a call may leave `args.items[*].price` out, and then this does not hold"],
    );
    check(
        &rule("create_refund", "require", "args.note", "lt"),
        &["impossible: the tool takes string at `args.note`, and this asks of number or integer"],
    );
    check(&rule("create_refund", "require", "args.items[*].price", "gt"), &[]);
    check(
        &rule("create_refund", "require", "args.amount", "len_lt"),
        &["impossible: the tool takes number at `args.amount`, and this asks of string or array or object"],
    );
    check(&rule("get_me", "deny_if", "args.anything", "eq"), &[]);
    check(&rule("odd", "deny_if", "args.anything", "eq"), &[]);
    check(&rule("*", "require", "args.amount", "lt"), &[]);
    check(
        r#""tools": { "create_refund": { "limits": [{ "max": 5, "window": 1, "cost": "args.price" }] } }"#,
        &["unknown_argument: the tool has no argument `args.price`"],
    );
}

#[test]
fn lists_of_tools() {
    for text in [r#"[{ "name": "a" }]"#, r#"{ "jsonrpc": "2.0", "id": 1, "result": { "tools": [{ "name": "a" }] } }"#] {
        let list = ToolList::parse(text).unwrap();
        assert_eq!(shown(&list.lint("p.json", r#"{ "version": "1", "tools": { "a": {} } }"#)), [""; 0]);
        assert!(list.lint("p.json", "no policy").is_empty());
    }
    assert_eq!(ToolList::parse("{}").unwrap_err(), NoToolList::Shape);
    assert_eq!(ToolList::parse(r#"{ "tools": [{}] }"#).unwrap_err(), NoToolList::Shape);
    assert!(matches!(ToolList::parse("{"), Err(NoToolList::Syntax(_))));
}
