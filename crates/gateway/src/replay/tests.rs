//! Records, replayed.

use serde_json::{Value, json};

use super::*;

const NEW: &str = r#"{ "version": "1", "hide": ["secret"], "tools": {
    "get": {}, "drop": { "action": "deny", "reason": "No." }, "pay": "require_approval",
    "look": { "require": [{ "conditions": [{ "path": "args.id", "op": "type", "value": "integer" }] }] },
    "mine": { "deny_if": [{ "conditions": [{ "path": "agent.id", "op": "eq", "value": "mallory" }] }] },
    "team": { "require": [{ "conditions": [{ "path": "agent.labels.team", "op": "eq", "value": "ml" }] }] },
    "here": { "require": [{ "conditions": [{ "path": "server.id", "op": "eq", "value": "github" }] }] },
    "night": { "require": [{ "conditions": [{ "path": "time.hour", "op": "lt", "value": 6 }] }] },
    "few": { "rate_limit": "2/minute" }, "costly": { "limits": [{ "max": 9, "window": "1m", "cost": "args.n", "per": "gateway" }] },
    "closed": { "action": "deny", "require": [{ "conditions": [{ "path": "args.id", "op": "exists", "value": true }] }] } },
    "resources": { "docs://*": {} }, "prompts": { "review": {} } }"#;

fn stage(text: &str) -> Stage {
    Stage::new(policies::bind(Path::new("policy.json"), text, None).unwrap())
}

fn replay(old: Option<&str>, only: Only, lines: &str) -> Summary {
    Replay { new: stage(NEW), old: old.map(stage), only }.play(lines.as_bytes()).unwrap()
}

/// A record with these members, at this second.
fn record(second: u64, more: &str) -> String {
    let (minutes, seconds) = (second / 60, second % 60);
    format!("{{ \"time\": \"2026-11-23T09:{minutes:02}:{seconds:02}Z\", {more} }}\n")
}

fn tool(name: &str, more: &str) -> String {
    let agent = if more.contains("\"agent\"") { "" } else { "\"agent\": \"alice\", " };
    record(0, &format!(r#"{agent}"method": "tools/call", "subject": "{name}" {more}"#))
}

/// What becomes of one call, held against what was recorded: the change, or `unchanged`, or why it is unknown.
#[track_caller]
fn check(line: &str, expected: &str) {
    let summary = replay(None, Only::default(), line).json();
    let unknown = summary["unknown"].as_object().unwrap().keys().next().cloned();
    let change = summary["changes"].get(0).map(|group| {
        let text = |key: &str| group[key].as_str().unwrap().to_owned();
        format!("{}: {} -> {} by {}", text("change"), text("old"), text("new"), text("rule"))
    });
    let bad = summary["unreadable"]["lines"].get(0).map(|bad| bad["why"].as_str().unwrap().to_owned());
    let other = (summary["others"] == 1).then(|| "passed over".to_owned());
    let got = unknown.or(change).or(bad).or(other).unwrap_or_else(|| "unchanged".to_owned());
    assert_eq!(got, expected, "{line}");
}

const ALLOWED: &str = r#", "outcome": "allowed", "code": "allowed""#;
const DENIED: &str = r#", "outcome": "denied", "code": "denied.default", "rule": "(default deny)""#;

#[test]
fn a_call_changes_or_not() {
    check(&tool("get", ALLOWED), "unchanged");
    check(&tool("get", DENIED), "newly_permitted: denied.default -> allowed by /tools/get");
    check(&tool("drop", ALLOWED), "newly_denied: allowed -> denied.rule by /tools/drop");
    check(&tool("drop", DENIED), "unchanged");
    check(&tool("pay", ALLOWED), "newly_approval: allowed -> approval.required by /tools/pay");
    check(&tool("pay", r#", "outcome": "denied", "code": "approval.required""#), "unchanged");
    check(
        &tool("get", r#", "outcome": "denied", "code": "approval.expired""#),
        "newly_permitted: approval.expired -> allowed by /tools/get",
    );
    let approved = r#", "outcome": "allowed", "code": "allowed", "approval": "a1", "approved_by": ["boss"]"#;
    check(&tool("pay", approved), "unchanged");
    check(&tool("pay", &approved.replace("approval", "grant")), "unchanged");
    check(&tool("pay", r#", "outcome": "held", "code": "approval.required", "approval": "a1""#), "unchanged");
    check(&tool("get", approved), "newly_permitted: approval.required -> allowed by /tools/get");
    check(&tool("secret", DENIED), "disguise: denied.default -> hidden by (hidden)");
    check(&tool("secret", r#", "outcome": "denied", "code": "hidden""#), "unchanged");
    check(&tool("none", ALLOWED), "newly_denied: allowed -> denied.default by (default deny)");
    let on =
        |method: &str, subject: &str| record(0, &format!(r#""method": "{method}", "subject": "{subject}" {DENIED}"#));
    check(&on("resources/read", "docs://a"), "newly_permitted: denied.default -> allowed by /resources/docs:~1~1*");
    check(
        &on("resources/subscribe", "docs://a"),
        "newly_permitted: denied.default -> allowed by /resources/docs:~1~1*",
    );
    check(&on("prompts/get", "review"), "newly_permitted: denied.default -> allowed by /prompts/review");
    check(&record(0, &format!(r#""tool": "get" {ALLOWED}"#)), "unchanged");
    check(&tool("night", ALLOWED), "newly_denied: allowed -> denied.condition by /tools/night/require/0");
    check(&tool("night", ALLOWED).replace("T09", "T05"), "unchanged");
}

#[test]
fn what_was_not_recorded_is_not_guessed() {
    check(&tool("look", ALLOWED), "arguments");
    check(&tool("look", &format!(r#", "arguments": {{ "id": 7 }} {ALLOWED}"#)), "unchanged");
    check(
        &tool("look", &format!(r#", "arguments": null {ALLOWED}"#)),
        "newly_denied: allowed -> denied.condition by /tools/look/require/0",
    );
    check(&tool("costly", ALLOWED), "arguments");
    check(&tool("closed", DENIED), "unchanged"); // denied by name, whatever the arguments
    let mine = |agent: &str| record(0, &format!(r#"{agent} "tool": "mine" {ALLOWED}"#));
    check(&mine(""), "agent");
    check(&mine(r#""agent": null,"#), "unchanged");
    check(&mine(r#""agent": "anonymous@127.0.0.1","#), "unchanged");
    check(&mine(r#""agent": "anonymous","#), "unchanged");
    let named = NEW.replace("mallory", "anonymous-mallory");
    let by = Replay { new: stage(&named), old: None, only: Only::default() };
    assert!(by.play(mine(r#""agent": "anonymous-mallory","#).as_bytes()).unwrap().narrows());
    check(&mine(r#""agent": "mallory","#), "newly_denied: allowed -> denied.condition by /tools/mine/deny_if/0");
    check(&record(0, &format!(r#""tool": "few" {ALLOWED}"#)), "agent"); // who would be counted?
    check(&tool("team", ALLOWED), "labels");
    check(&tool("team", &format!(r#", "labels": {{ "team": "ml" }} {ALLOWED}"#)), "unchanged");
    check(&tool("here", ALLOWED), "server");
    check(&tool("here", &format!(r#", "server": "github" {ALLOWED}"#)), "unchanged");
    check(&tool("get", ""), "outcome");
    // The log cuts and masks names.
    let logged = |name: &str| tool(name, &format!(r#", "target": "toolgate::decision" {DENIED}"#));
    check(&logged(&"x".repeat(127)), "unchanged");
    check(&logged(&"x".repeat(128)), "name");
    check(&logged("a://***@b"), "name");
    check(&tool(&"x".repeat(128), DENIED), "unchanged");
}

#[test]
fn lines_of_the_log_are_records_too() {
    let fields = r#""server": "github", "agent": "anonymous@127.0.0.1", "method": "tools/call", "subject": "drop", "outcome": "allowed", "code": "allowed", "shadow": null"#;
    let expected = "newly_denied: allowed -> denied.rule by /tools/drop";
    let head = r#""timestamp": "2026-11-23T09:00:00.123456Z", "level": "INFO", "target": "toolgate::decision""#;
    check(&format!("{{ {head}, {fields} }}"), expected);
    check(&format!("{{ {head}, \"fields\": {{ {fields} }} }}"), expected);
    check(&format!("{{ {head}, {fields} }}").replace("decision", "upstream"), "passed over");
    check(&format!("{{ {head}, {fields} }}").replace("tools/call", "tools/list"), "passed over");
    check(
        &format!("{{ {head}, {fields} }}").replace(r#""outcome": "allowed""#, r#""outcome": "refused""#),
        "passed over",
    );
    check(
        &format!("{{ {head}, {fields} }}").replace(r#""outcome": "allowed""#, r#""outcome": "odd""#),
        "an unknown `outcome`",
    );
}

#[test]
fn lines_that_cannot_be_read_are_named() {
    check("[]", "not a JSON object with distinct keys");
    check(r#"{ "tool": "a", "tool": "b" }"#, "not a JSON object with distinct keys");
    check("{}", "no `method` and no `tool`");
    check(r#"{ "method": "tools/call" }"#, "no `subject`");
    check(r#"{ "tool": 7 }"#, "`tool` is not text");
    check(r#"{ "tool": "get" }"#, "no `time`");
    check(r#"{ "tool": "get", "time": 5 }"#, "`time` is not a time such as 2026-11-23T09:00:00Z");
    check(r#"{ "tool": "get", "time": "yesterday" }"#, "`time` is not a time such as 2026-11-23T09:00:00Z");
    check(&tool("get", r#", "arguments": []"#), "`arguments` are no object");
    check(&tool("get", r#", "arguments": { "a": 1, "a": 2 }"#), "`arguments` are no object");
    check(&tool("get", r#", "labels": { "a": 1 }"#), "`labels` are no object of texts");
    let lines = format!("{}\n\nx\n{}{}", tool("get", ALLOWED), "y\n".repeat(30), tool("get", DENIED));
    let summary = replay(None, Only::default(), &lines).json();
    assert_eq!((&summary["calls"], &summary["unreadable"]["count"]), (&json!(2), &json!(31)));
    assert_eq!(summary["unreadable"]["lines"][0], json!({ "line": 4, "why": "not a JSON object with distinct keys" }));
    assert_eq!(summary["unreadable"]["lines"].as_array().unwrap().len(), 20);
    assert_eq!(summary["changes"][0]["line"], 35);
}

/// How many calls become what: changes first, then unknowns.
fn counts(summary: &Value) -> [u64; 4] {
    let count = |key: &str| summary[key].as_u64().unwrap();
    let unknown = summary["unknown"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    [count("unchanged"), count("newly_denied"), count("newly_permitted"), unknown]
}

#[test]
fn limits_count_by_the_times_of_the_records() {
    let few = |second, agent: &str, more: &str| record(second, &format!(r#""agent": "{agent}", "tool": "few" {more}"#));
    let check = |lines: &[String], expected| {
        assert_eq!(counts(&replay(None, Only::default(), &lines.concat()).json()), expected, "{lines:?}");
    };
    let allowed = |second| few(second, "alice", ALLOWED);
    let limited = |second| few(second, "alice", r#", "outcome": "denied", "code": "limited""#);
    check(&[allowed(0), allowed(1), allowed(59), allowed(60)], [3, 1, 0, 0]);
    check(&[allowed(0), allowed(1), few(2, "bob", ALLOWED)], [3, 0, 0, 0]);
    // Out of order by a little: time stands still for whom it ran back, and for nobody else.
    check(&[allowed(5), allowed(3), allowed(4), allowed(64)], [2, 2, 0, 0]);
    let bob = |second| few(second, "bob", ALLOWED);
    check(&[allowed(0), allowed(59), bob(1), bob(2), bob(61)], [5, 0, 0, 0]);
    // Why it was limited may lie before the file, until a whole window is within it.
    check(&[limited(0), limited(59), limited(60)], [0, 0, 1, 2]);
    check(&[allowed(0), allowed(1), limited(2)], [3, 0, 0, 0]);
}

#[test]
fn two_policies_are_held_against_each_other() {
    let old =
        r#"{ "version": "1", "tools": { "drop": {}, "get": {}, "few": { "rate_limit": "3/minute" }, "look": {} } }"#;
    let few = (0..4).map(|second| record(second, r#""agent": "alice", "tool": "few""#)).collect::<String>();
    let summary = |lines: &str| counts(&replay(Some(old), Only::default(), lines).json());
    assert_eq!(summary(&few), [3, 1, 0, 0]);
    assert_eq!(summary(&tool("drop", "")), [0, 1, 0, 0]);
    assert_eq!(summary(&tool("get", DENIED)), [1, 0, 0, 0]); // what was recorded does not count
    assert_eq!(summary(&tool("look", "")), [0, 0, 0, 1]); // the new policy needs the arguments, though the old does not
}

#[test]
fn a_server_and_a_time_can_be_picked() {
    let on = |second, server: &str| {
        record(second, &format!(r#""agent": "alice", "server": "{server}", "tool": "few" {ALLOWED}"#))
    };
    let lines = [on(0, "a"), on(1, "a"), on(2, "b"), on(3, "a")].concat();
    let only = |server: Option<&str>, since: Option<&str>| {
        let only = Only { server: server.map(str::to_owned), since: since.map(|text| time(text).unwrap()) };
        replay(None, only, &lines).json()
    };
    assert_eq!(counts(&only(None, None)), [2, 2, 0, 0]);
    assert_eq!(counts(&only(Some("b"), None)), [1, 0, 0, 0]);
    // Those before fill the counts.
    let since = only(Some("a"), Some("2026-11-23T09:00:03Z"));
    assert_eq!((counts(&since), &since["before"], &since["others"]), ([0, 1, 0, 0], &json!(2), &json!(1)));
}

#[test]
fn widening_is_told_from_narrowing() {
    let check = |line: &str, expected: [bool; 3]| {
        let summary = replay(None, Only::default(), line);
        assert_eq!([summary.changed(), summary.widens(), summary.narrows()], expected, "{line}");
    };
    check(&tool("get", ALLOWED), [false, false, false]);
    check(&tool("get", DENIED), [true, true, false]);
    check(&tool("drop", ALLOWED), [true, false, true]);
    check(&tool("pay", ALLOWED), [true, false, true]);
    check(&tool("pay", DENIED), [true, true, false]);
    check(&tool("secret", DENIED), [true, false, false]);
}

#[test]
fn a_summary_for_people() {
    let lines = [
        tool("drop", ALLOWED),
        tool("get", &format!(r#", "server": "a" {DENIED}"#)),
        tool("drop", ALLOWED),
        tool("look", &format!(r#", "server": "b" {ALLOWED}"#)),
        "{ \"target\": \"hyper\" }\nbroken\n".to_owned(),
        record(0, &format!(r#""method": "resources/read", "subject": "x://\u001b[2J" {ALLOWED}"#)),
    ];
    let expected = "\
5 calls: 0 unchanged, 3 newly denied, 1 newly permitted, 0 newly awaiting approval, 1 unknown
  1 unknown: rules look at arguments, which were not recorded
  limits do not count what is unknown
  1 line passed over: no calls that a policy decides, or of another server
  these are calls of several servers (a, b): --server picks one
  1 line not readable:
    line 6: not a JSON object with distinct keys

  count  call                    old             new             rule            first
      2  drop                    allowed         denied.rule     /tools/drop     line 1
      1  get                     denied.default  allowed         /tools/get      line 2
      1  resource x://\\u{1b}[2J  allowed         denied.default  (default deny)  line 7
";
    let shown = replay(None, Only::default(), &lines.concat()).human().to_string();
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn memory_is_bounded_however_many_names_there_are() {
    let lines: String = (0..10_005).map(|number| tool(&format!("t{number}"), ALLOWED)).collect();
    let summary = replay(None, Only::default(), &lines).json();
    assert_eq!((&summary["newly_denied"], &summary["crowded"]), (&json!(10_005), &json!(5)));
}
