//! Two policies by meaning: what is told is what the engine says, and nothing that the engine says goes untold.

use policy::diff::{Change, Diff, Direction, NameClass, Unknown, What};
use policy::{Catalogue, Policy, diff};
use serde_json::json;

use crate::parse;

fn policy(members: &str) -> Policy {
    parse(&format!(r#"{{ "version": "1", {members} }}"#))
}

/// A line for each difference.
pub(crate) fn shown(diff: &Diff) -> Vec<String> {
    let all = |names: &[NameClass]| names.iter().map(NameClass::to_string).collect::<Vec<_>>().join("; ");
    let change = |change: &Change| {
        let text = change.to_string();
        let (sign, rest) = text.trim().split_at(1);
        let (_, rest) = rest.split_once(": ").unwrap();
        match &change.what {
            What::Calls { names, old, new, witness } => {
                let shown = witness.to_string();
                let context = shown.split_once(" with ").map(|(_, context)| format!(" with {context}"));
                let (given, context) = (witness.arguments().unwrap_or("nothing"), context.unwrap_or_default());
                format!("{sign} {names}: {} -> {} {given}{context}", old.as_str(), new.as_str())
            }
            What::Limit { names, .. } | What::Approval { names, .. } => format!("{sign} {}: {rest}", all(names)),
            What::Reverse { .. } | What::Mode { .. } => format!("{sign} {rest}"),
        }
    };
    let unknown = |unknown: &Unknown| {
        let names = unknown.names.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("? {names}: {:?} -> {:?}: {}", unknown.old, unknown.new, unknown.reasons.join("; "))
    };
    diff.changes.iter().map(change).chain(diff.unknown.iter().map(unknown)).collect()
}

#[track_caller] // the one place that compares
fn check(old: &str, new: &str, expected: &[&str]) {
    let (old, new) = (policy(old), policy(new));
    assert_eq!(shown(&diff(&old, &new)), expected);
    confirm(&old, &new, &diff(&old, &new));
    // The other way round, everything turns round.
    let (forth, back) = (diff(&old, &new), diff(&new, &old));
    assert_eq!(forth.widens(), back.changes.iter().any(|change| change.direction == Direction::Narrowed));
    assert_eq!((forth.changes.len(), forth.unknown.len()), (back.changes.len(), back.unknown.len()));
}

/// Every witness is what it says.
#[track_caller]
pub(crate) fn confirm(old: &Policy, new: &Policy, diff: &Diff) {
    for change in &diff.changes {
        if let What::Calls { names, old: before, new: after, witness } = &change.what {
            assert_eq!((&witness.ask(old), &witness.ask(new)), (before, after));
            assert!(names.contains(names.kind(), witness.name()));
            assert_eq!(change.direction == Direction::Widened, after.verdict > before.verdict);
            assert_ne!(after.verdict, before.verdict);
        }
    }
}

/// A tool `t` with these conditions required, before and after.
#[track_caller]
fn required(old: &str, new: &str, expected: &[&str]) {
    let tool =
        |conditions: &str| format!(r#""tools": {{ "t": {{ "require": [{{ "conditions": [{conditions}] }}] }} }}"#);
    check(&tool(old), &tool(new), expected);
}

#[test]
fn names() {
    check(r#""tools": {}"#, r#""tools": {}"#, &[]);
    check(r#""tools": {}"#, r#""tools": { "a": {} }"#, &["+ tool `a`: denied.default -> permitted {}"]);
    check(
        r#""tools": { "a": {} }"#,
        r#""tools": { "a": "require_approval" }"#,
        &["- tool `a`: permitted -> approval.required {}"],
    );
    check(r#""tools": { "a": "hide" }"#, r#""tools": { "a": "deny" }"#, &[]);
    check(r#""tools": { "a": {}, "b": {} }"#, r#""tools": { "b": {}, "a": "allow" }"#, &[]);
    check(
        r#""default": "deny""#,
        r#""default": "allow""#,
        &[
            "+ any other tool, such as `x`: denied.default -> permitted {}",
            "+ any other resource, such as `x`: denied.default -> permitted {}",
            "+ any other prompt, such as `x`: denied.default -> permitted {}",
        ],
    );
    check(
        r#""tools": { "list_*": {} }"#,
        r#""tools": { "list_*": { "except": ["*_all"] } }"#,
        &["- any tool on `*_all` and `list_*`, such as `list_all`: permitted -> denied.default {}"],
    );
    // Only `ab` matches both, and it has a rule of its own.
    check(r#""tools": { "ab*": {}, "?b": "deny" }"#, r#""tools": { "ab*": {}, "?b": "deny", "ab": {} }"#, &[]);
    check(
        r#""tools": { "a?": {}, "*": {} }"#,
        r#""tools": { "a?": {} }, "hide": ["é*", "ab"]"#,
        &["- tool `ab`: permitted -> hidden {}"],
    );
    check(
        r#""resources": { "docs://*": {} }, "prompts": { "p": {} }"#,
        r#""resources": { "docs://a/*": {} }, "prompts": {}"#,
        &[
            "- any resource on `docs://*`, such as `docs://`: permitted -> denied.default {}",
            "- prompt `p`: permitted -> denied.default {}",
        ],
    );
    check(
        r#""mode": "enforce""#,
        r#""mode": "shadow", "tools": { "a": "deny" }"#,
        &[
            "+ mode enforce -> shadow",
            "+ tool `a`: denied.default -> permitted {}",
            "+ any other tool, such as `x`: denied.default -> permitted {}",
            "+ any other resource, such as `x`: denied.default -> permitted {}",
            "+ any other prompt, such as `x`: denied.default -> permitted {}",
        ],
    );
}

#[test]
fn the_same_said_otherwise_is_the_same() {
    let same = |old: &str, new: &str| required(old, new, &[]);
    let n = |op: &str, value: &str| format!(r#"{{ "path": "args.n", "op": "{op}", "value": {value} }}"#);
    same(&n("in", "[1, 2]"), &format!(r#"{{ "any": [{}, {}] }}"#, n("eq", "2.0"), n("eq", "10e-1")));
    same(&n("lte", "5"), &format!(r#"{{ "not": {} }}"#, n("gt", "5")));
    same(&n("eq", "5"), &format!("{}, {}", n("lte", "5"), n("gte", "5")));
    same(&n("regex", r#""(a|b)*""#), &n("regex", r#""[ab]*""#));
    same(
        &n("regex", r#""a.*""#),
        &format!(r#"{}, {{ "not": {} }}"#, n("starts_with", r#""a""#), n("contains", r#""\n""#)),
    );
    same(&n("glob", r#""a*""#), &n("starts_with", r#""a""#));
    same(&n("len_lt", "3"), &n("len_lte", "2"));
    same(&n("path_within", r#"["/srv", "/srv/docs"]"#), &n("path_within", r#""/srv/""#));
    same(&n("url_host_in", r#"["*.example.com", "a.example.com"]"#), &n("url_host_in", r#"["*.EXAMPLE.com."]"#));
    same(
        &n("type", r#""number""#),
        &format!(r#"{{ "any": [{}, {}] }}"#, n("type", r#""integer""#), n("type", r#""number""#)),
    );
    let tool = |keys: &str| format!(r#""tools": {{ "t": {{ {keys} }} }}"#);
    let [low, high] = [n("gte", "1"), n("lt", "9")].map(|condition| format!(r#"{{ "conditions": [{condition}] }}"#));
    check(&tool(&format!(r#""require": [{low}, {high}]"#)), &tool(&format!(r#""require": [{high}, {low}]"#)), &[]);
    let both = format!(r#"{{ "conditions": [{}, {}] }}"#, n("gte", "1"), n("lt", "9"));
    check(&tool(&format!(r#""require": [{low}, {high}]"#)), &tool(&format!(r#""require": [{both}]"#)), &[]);
}

#[test]
fn arguments() {
    let n = |op: &str, value: &str| format!(r#"{{ "path": "args.n", "op": "{op}", "value": {value} }}"#);
    let widened = |arguments: &str| format!("+ tool `t`: denied.condition -> permitted {arguments}");
    let narrowed = |arguments: &str| format!("- tool `t`: permitted -> denied.condition {arguments}");
    let narrower = |old: &str, new: &str, arguments: &str| required(old, new, &[&narrowed(arguments)]);
    let wider = |old: &str, new: &str, arguments: &str| required(old, new, &[&widened(arguments)]);
    wider(&n("lt", "5"), &n("lte", "5"), r#"{"n":5}"#);
    wider(&n("lt", "5"), &n("lt", "6"), r#"{"n":5}"#);
    wider(&n("lt", "5"), &n("lt", "5.00000000000000000001"), r#"{"n":5}"#);
    wider(&format!("{}, {}", n("lt", "5"), n("type", r#""integer""#)), &n("lt", "5"), r#"{"n":0.1}"#);
    wider(&n("in", r#"["a"]"#), &n("in", r#"["a", "b"]"#), r#"{"n":"b"}"#);
    wider(&n("regex", r#""[a-f]+""#), &n("regex", r#""[a-g]+""#), r#"{"n":"g"}"#);
    wider(
        &n("regex", r#""[a-f]{3,40}""#),
        &n("regex", r#""[a-f]{3,41}""#),
        &format!(r#"{{"n":"{}"}}"#, "a".repeat(41)),
    );
    wider(&n("path_within", r#""/srv/docs""#), &n("path_within", r#""/srv""#), r#"{"n":"/srv/x"}"#);
    wider(&n("url_host_in", r#"["a.test"]"#), &n("url_host_in", r#"["*.test"]"#), r#"{"n":"https://x.test/x"}"#);
    wider(&n("len_lt", "3"), &n("len_lt", "4"), r#"{"n":"xxx"}"#);
    wider(&n("exists", "true"), "", r#"{}"#);
    wider(&n("eq", r#"{ "a": 1 }"#), r#"{ "path": "args.n.a", "op": "eq", "value": 1 }"#, r#"{"n":{"a":1,"x1":0}}"#);
    narrower(
        &format!("{}, {}", n("gt", "5"), n("lt", "5.0000001")),
        &format!("{}, {}, {}", n("gt", "5"), n("lt", "5.0000001"), n("eq", "5.00000005")),
        r#"{"n":5.000000001}"#,
    );
    // What is asked for inside a whole must be told apart inside it.
    let (array, inside) = (n("type", r#""array""#), r#"{ "path": "args.n.a", "op": "gt", "value": 0 }"#);
    narrower(&array, &format!("{array}, {}", n("contains", r#""b""#)), r#"{"n":[]}"#);
    let contains = format!("{array}, {}", n("contains", r#""b""#));
    wider(&format!("{contains}, {}", n("len_gt", "2")), &contains, r#"{"n":["b"]}"#);
    let unknown = "? tool `t`: Permitted -> Refused: args.n: a list is asked for as a whole, and by its elements";
    required(&format!("{array}, {}", n("eq", r#"["b"]"#)), &contains, &[&widened(r#"{"n":["b","b"]}"#), unknown]);
    let but_one = format!(r#"{}, {inside}, {}"#, n("len_lte", "1"), n("neq", r#"{ "a": 1 }"#));
    narrower(&but_one, &format!("{but_one}, {}", n("type", r#""array""#)), r#"{"n":{"a":2}}"#);
    let each = |op: &str, value: &str| format!(r#"{{ "path": "args.n[*].p", "op": "{op}", "value": {value} }}"#);
    wider(&each("lt", "5"), &each("lt", "6"), r#"{"n":[{"p":5}]}"#);
    wider(&format!("{}, {}", n("len_gt", "2"), each("lt", "5")), &each("lt", "5"), r#"{"n":[]}"#);
    required(
        &n("starts_with", r#""a""#),
        &n("ends_with", r#""b""#),
        &[&widened(r#"{"n":"b"}"#), &narrowed(r#"{"n":"a"}"#)],
    );
    // `1` is no text, so each is unsure of it in its own way.
    let (no_a, no_b) = (n("neq", r#""a""#), format!(r#"{{ "not": {} }}"#, n("glob", r#""a""#)));
    required(&no_a, &no_b, &[&narrowed(r#"{"n":0}"#)]);
}

#[test]
fn lists_show_what_their_elements_show_together() {
    let list = r#""require": [{ "conditions": [{ "path": "args.n", "op": "type", "value": "array" },
        { "path": "args.n[*]", "op": "type", "value": "number" }] }]"#;
    let both = |one: &str, two: &str| {
        let each = |value: &str| format!(r#"{{ "path": "args.n[*]", "op": "eq", "value": {value} }}"#);
        let deny_if = format!(r#""deny_if": [{{ "conditions": [{}, {}] }}]"#, each(one), each(two));
        format!(r#""tools": {{ "t": {{ {list}, {deny_if} }} }}"#)
    };
    let open = format!(r#""tools": {{ "t": {{ {list} }} }}"#);
    check(&both("1", "2"), &open, &[r#"+ tool `t`: denied.condition -> permitted {"n":[1,2]}"#]);
    check(&both("1", "2"), &both("2", "1"), &[]);
}

#[test]
fn who_where_and_when() {
    let widened = |rest: &str| format!("+ tool `t`: denied.condition -> permitted {{}}{rest}");
    let on = |path: &str, op: &str, value: &str| format!(r#"{{ "path": "{path}", "op": "{op}", "value": {value} }}"#);
    required(
        &on("agent.id", "eq", r#""a""#),
        &on("agent.id", "in", r#"["a", "b"]"#),
        &[&widened(r#" with agent.id "b""#)],
    );
    required(
        &on("server.id", "eq", r#""a""#),
        &on("server.id", "exists", "true"),
        &[&widened(r#" with server.id "x""#)],
    );
    required(
        &on("agent.labels.team", "glob", r#""a*""#),
        &on("agent.labels.team", "glob", r#""*""#),
        &[&widened(r#" with agent.labels.team "x""#)],
    );
    required(&on("time.hour", "lt", "9"), &on("time.hour", "lte", "8.5"), &[]);
    required(&on("time.hour", "lt", "9"), &on("time.hour", "lt", "10"), &[&widened(" with time 2026-01-01T09:00:00Z")]);
    // Two elements, one for each question: one that is no text answers both, but is not contained.
    let both = |rest: &str| {
        let asked = r#""approve_if": [{ "conditions": [{ "path": "args.l[*]", "op": "gt", "value": 2 }] }]"#;
        format!(r#""tools": {{ "t": {{ {asked}, {rest} }} }}"#)
    };
    let contains = format!(r#""require": [{{ "conditions": [{}] }}]"#, on("args.l", "contains", "1"));
    let changes = diff(&policy(&both(&contains)), &policy(&both(r#""action": "deny""#))).changes;
    assert_eq!(changes.len(), 2, "{changes:?}");
    // In one zone, hours and weekdays are decided; dates or several zones are tried, and what is not found is unknown.
    let zurich = |part: &str, op: &str, value: &str| on(&format!("time(\\\"Europe/Zurich\\\").{part}"), op, value);
    required(&zurich("hour", "lt", "9"), &zurich("hour", "lte", "8.5"), &[]);
    required(&zurich("hour", "lt", "9"), &zurich("hour", "lt", "10"), &[&widened(" with time 2026-01-01T08:00:00Z")]);
    required(&zurich("weekday", "lt", "6"), &zurich("weekday", "lte", "5"), &[]);
    required(&on("time.hour", "gte", "24"), &on("time.hour", "lt", "0"), &[]);
    required(&on("time.weekday", "in", "[6, 7]"), &on("time.weekday", "gt", "5"), &[]);
    let friday = format!("{}, {}", on("time.date", "eq", r#""2026-11-27""#), on("time.weekday", "eq", "5"));
    let widened_on = |day: &str| widened(&format!(" with time {day}T00:00:00Z"));
    required(
        &on("time.date", "eq", r#""2026-02-03""#),
        &on("time.date", "glob", r#""2026-02-0?""#),
        &[&widened_on("2026-02-01")],
    );
    required(&friday, &on("time.date", "eq", r#""2026-11-27""#), &[]);
    required(&on("tool.name", "glob", r#""t*""#), &on("tool.name", "eq", r#""t""#), &[]);
}

#[test]
fn much_that_is_the_same_does_not_hide_what_is_not() {
    let on = |key: usize, max: usize| format!(r#"{{ "path": "args.k{key}", "op": "lt", "value": {max} }}"#);
    let same = (0..40).map(|key| on(key, 5)).collect::<Vec<_>>().join(", ");
    required(&same, &format!("{same}, {}", on(7, 6)), &[]);
    let more = format!("{same}, {}", on(7, 4));
    let found = diff(&policy(&tool(&same)), &policy(&tool(&more)));
    assert!(found.unknown.is_empty() && found.changes.len() == 1, "{found:?}");
}

fn tool(conditions: &str) -> String {
    format!(r#""tools": {{ "t": {{ "require": [{{ "conditions": [{conditions}] }}] }} }}"#)
}

/// Their overlaps are not worked out, and what changed is still looked at.
#[test]
fn more_patterns_than_can_be_sorted_are_unknown() {
    let rules = |changed: &str| {
        let globs = (0..2_000).map(|number| format!(r#""*a{number}*b*": {{}}"#)).collect::<Vec<_>>().join(", ");
        format!(r#""tools": {{ {globs}, "*zz*": "{changed}" }}"#)
    };
    let found = diff(&policy(&rules("allow")), &policy(&rules("deny")));
    assert!(!found.widens() && found.may_widen());
    assert!(shown(&found).iter().any(|told| told.starts_with("- ") && told.contains("`*zz*`")), "{:?}", shown(&found));
}

#[test]
fn what_cannot_be_decided_is_unknown() {
    let n = |op: &str, value: &str| format!(r#"{{ "path": "args.n", "op": "{op}", "value": {value} }}"#);
    let text = n("regex", r#""/srv/docs/.*""#);
    let both = |folder: &str| format!("{}, {text}", n("path_within", folder));
    required(
        &both(r#""/srv""#),
        &both(r#""/srv/docs""#),
        &[
            r#"- tool `t`: permitted -> denied.condition {"n":"/srv/docs/.."}"#,
            "? tool `t`: Refused -> Permitted: args.n: a path or URL is asked about in several ways at once",
        ],
    );
    // Whatever a path may be, asking more of it lets no more through.
    required(
        &n("path_within", r#""/srv""#),
        &both(r#""/srv""#),
        &[r#"- tool `t`: permitted -> denied.condition {"n":"/srv/xx"}"#],
    );
    required(
        &text,
        &n("path_within", r#""/srv/docs""#),
        &[
            r#"+ tool `t`: denied.condition -> permitted {"n":"/srv/docs"}"#,
            r#"- tool `t`: permitted -> denied.condition {"n":"/srv/docs/.."}"#,
        ],
    );
}

#[test]
fn limits() {
    let t = |limits: &str| format!(r#""tools": {{ "t": {{ "limits": [{limits}] }} }}"#);
    let five = r#"{ "max": 5, "window": "1m" }"#;
    let shown = "at most 5 in 60s per agent on /tools/t";
    check(&t(five), &t(""), &[&format!("+ tool `t`: {shown} -> no limit")]);
    check(&t(five), r#""tools": { "t": { "rate_limit": "5/minute" } }"#, &[]);
    check(&t(five), &t(&format!(r#"{{ "max": 50, "window": "1m" }}, {five}"#)), &[]);
    check(
        &t(five),
        &t(r#"{ "max": 6, "window": "1m" }"#),
        &[&format!("+ tool `t`: {shown} -> at most 6 in 60s per agent on /tools/t")],
    );
    // Less at once, but more in the long run.
    let often = "at most 1 in 5s per agent on /tools/t";
    check(
        &t(five),
        &t(r#"{ "max": 1, "window": 5 }"#),
        &[&format!("+ tool `t`: {shown} -> {often}"), &format!("- tool `t`: {shown} -> {often}")],
    );
    check(
        &t(five),
        &t(r#"{ "max": 1, "window": 15 }"#),
        &[&format!("- tool `t`: {shown} -> at most 1 in 15s per agent on /tools/t")],
    );
    check(
        &t(five),
        &t(r#"{ "max": 5, "window": "1m", "per": "gateway" }"#),
        &[&format!("- tool `t`: {shown} -> at most 5 in 60s per gateway on /tools/t")],
    );
    let open = r#""tools": { "t": { "rate_limit": "5/minute", "on_store_failure": "allow" } }"#;
    check(&t(five), open, &[&format!("+ tool `t`: {shown} -> {shown}, uncounted while the store does not answer")]);
    check(
        &t(five),
        &t(r#"{ "max": 5, "window": "1m", "algorithm": "smooth" }"#),
        &[&format!("+ tool `t`: {shown} -> {shown}, smooth")],
    );
    check(
        &t(five),
        &t(r#"{ "max": 5, "window": "1m", "cost": 2 }"#),
        &[&format!("- tool `t`: {shown} -> {shown}, a call costs 2")],
    );
    check(
        &t(five),
        &t(r#"{ "max": 5, "window": "1m", "cost": "args.n" }"#),
        &[
            r#"- tool `t`: permitted -> limited {"n":-1}"#,
            &format!("+ tool `t`: {shown} -> {shown}, a call costs what its arguments say"),
            &format!("- tool `t`: {shown} -> {shown}, a call costs what its arguments say"),
        ],
    );
    // One change, whatever it bears on.
    let all = |max: usize| {
        format!(
            r#""default": "allow", "all_tools": {{ "rate_limit": "{max}/hour" }}, "tools": {{ "a*": {{}}, "b": "deny" }}"#
        )
    };
    check(
        &all(3),
        &all(2),
        &[
            "- any other tool, such as `x`; any tool on `a*`, such as `a`: at most 3 in 3600s per agent on /all_tools -> at most 2 in 3600s per agent on /all_tools",
        ],
    );
    let shadow = |mode: &str| format!(r#""tools": {{ "t": {{ "limits": [{five}] {mode} }} }}"#);
    check(&shadow(""), &shadow(r#", "mode": "shadow""#), &[&format!("+ tool `t`: {shown} -> no limit")]);
}

#[test]
fn a_count_with_a_name_is_fed_by_others() {
    let limited =
        |a: &str, b: &str| format!(r#""tools": {{ "a": {{ "limits": [{a}] }}, "b": {{ "limits": [{b}] }} }}"#);
    let limit = |max: u32, cost: u32| format!(r#"{{ "counter": "x", "max": {max}, "window": "1d", "cost": {cost} }}"#);
    // Three calls of `b` leave one of `a`, or seven.
    check(
        &limited(&limit(10, 1), &limit(9, 3)),
        &limited(&limit(10, 1), &limit(3, 1)),
        &[
            "+ tool `b`: at most 9 in 86400s per agent on x, a call costs 3 -> at most 3 in 86400s per agent on x",
            "- tool `b`: at most 9 in 86400s per agent on x, a call costs 3 -> at most 3 in 86400s per agent on x",
        ],
    );
    // What is in shadow is counted all the same, and so is what another `per` of the same name adds.
    let two = |b: &str| format!(r#""tools": {{ "a": {{ "limits": [{}] }}, "b": {b} }}"#, limit(3, 1));
    let shadow = |cost: u32| format!(r#"{{ "mode": "shadow", "limits": [{}] }}"#, limit(3, cost));
    let wide = "? tool `b`: Refused -> Permitted: a count that limits other calls is fed otherwise";
    check(&two(&shadow(1)), &two("{}"), &[wide]);
    check(&two(&shadow(2)), &two(&shadow(1)), &[wide]);
    check(&two(&shadow(1)), &two(&shadow(1)), &[]);
    let nobody = |b: &str| format!(r#""tools": {{ "a": {{}}, "b": {b} }}"#);
    check(&nobody(&shadow(1)), &nobody("{}"), &[]);
    // Nobody else feeds a count without a name.
    let own = |max: u32, cost: u32| format!(r#"{{ "max": {max}, "window": "1d", "cost": {cost} }}"#);
    check(&limited(&limit(10, 1), &own(9, 3)), &limited(&limit(10, 1), &own(3, 1)), &[]);
}

#[test]
fn a_limit_is_the_same_wherever_its_rule_has_it() {
    let rules = r#""tools": { "t": { "rules": [{ "rate_limit": "5/minute" }] }, "*": { "rate_limit": "9/minute" } }"#;
    let native = r#""all_tools": { "rate_limit": "9/minute" },
        "tools": { "t": { "limits": [{ "max": 5, "window": "1m", "per": "server" }] } }"#;
    check(rules, native, &[]);
}

#[test]
fn approvals() {
    let t = |approval: &str| {
        format!(r#""tools": {{ "t": {{ "action": "require_approval", "approval": {{ {approval} }} }} }}"#)
    };
    let one = "approval by 1 of a, b, within 900s, held 45s";
    let approvers = r#""approvers": ["a", "b"]"#;
    check(
        &t(approvers),
        &t(&format!(r#"{approvers}, "quorum": 2"#)),
        &[&format!("- tool `t`: {one} -> approval by 2 of a, b, within 900s, held 45s")],
    );
    check(
        &t(approvers),
        &t(&format!(r#"{approvers}, "self_approval": true"#)),
        &[&format!("+ tool `t`: {one} -> approval by 1 of a, b and even who asks, within 900s, held 45s")],
    );
    check(
        &t(approvers),
        &t(r#""approvers": ["b", "c"]"#),
        &[
            &format!("+ tool `t`: {one} -> approval by 1 of b, c, within 900s, held 45s"),
            &format!("- tool `t`: {one} -> approval by 1 of b, c, within 900s, held 45s"),
        ],
    );
    check(
        &t(approvers),
        &t(&format!(r#"{approvers}, "timeout": "1h""#)),
        &[&format!("~ tool `t`: {one} -> approval by 1 of a, b, within 3600s, held 45s")],
    );
    check(&t(""), r#""tools": { "t": "require_approval" }"#, &[]);
    check(&t(approvers), r#""tools": { "t": "deny" }"#, &["- tool `t`: approval.required -> denied.rule {}"]);
}

#[test]
fn who_approves_hangs_on_which_rule_asks_first() {
    let rule = |amount: u32, who: &str| {
        format!(
            r#"{{ "approve_if": [{{ "conditions": [{{ "path": "args.n", "op": "gt", "value": {amount} }}] }}], "approval": {{ "approvers": ["{who}"] }} }}"#
        )
    };
    let both = |t: u32, all: u32| format!(r#""tools": {{ "t": {}, "t*": {} }}"#, rule(t, "lead"), rule(all, "boss"));
    let unsure = "? tool `t`: NeedsApproval -> NeedsApproval: other calls may be for others to approve";
    check(&both(50, 100), &both(50, 100), &[]);
    let (old, new) = (policy(&both(50, 100)), policy(&both(100, 50)));
    assert!(shown(&diff(&old, &new)).iter().filter(|line| *line == unsure).count() == 2);
}

#[test]
fn reverse_and_mode() {
    check(
        r#""reverse": { "roots": "allow" }"#,
        r#""reverse": { "sampling": "allow" }"#,
        &["+ sampling: deny -> allow", "- roots: allow -> deny"],
    );
    let open = r#""default": "allow""#;
    check(open, &format!(r#"{open}, "mode": "shadow""#), &["+ mode enforce -> shadow"]);
}

#[test]
fn classes() {
    let by = |category: &str, text: &str| {
        let catalogue =
            format!(r#"{{ "version": "1", "tools": {{ "get": {{ "category": "{category}", "risk": "Low" }} }} }}"#);
        let catalogue = Catalogue::parse("catalog.json", &catalogue).unwrap();
        Policy::parse_with("policy.json", &format!(r#"{{ "version": "1", {text} }}"#), &catalogue).unwrap()
    };
    let reads = r#""categories": { "Read": {} }"#;
    let found = diff(&by("Write", reads), &by("Read", reads));
    assert_eq!(shown(&found), ["+ tool `get`: denied.default -> permitted {}"]);
    let asks = r#""default": "allow", "all_tools": { "deny_if": [{ "conditions": [{ "path": "tool.category", "op": "eq", "value": "Write" }] }] }"#;
    let found = diff(&by("Write", asks), &by("Read", asks));
    assert_eq!(shown(&found), ["+ tool `get`: denied.condition -> permitted {}"]);
}

#[test]
fn what_people_and_programs_read() {
    let old = r#""tools": { "list_*": { "rate_limit": "5/minute" }, "pay": { "require": [{ "conditions": [{ "path": "args.amount", "op": "lte", "value": 100 },
        { "path": "time.hour", "op": "gte", "value": 8 }] }] } }"#;
    let new = r#""reverse": { "roots": "allow" }, "tools": { "list_*": {}, "pay": { "approve_if": [{ "conditions": [{ "path": "args.amount", "op": "gt", "value": 50 }] }] } }"#;
    let found = diff(&policy(old), &policy(new));
    assert_eq!(
        found.to_string(),
        r#"tool `pay`
  + widened: denied.condition /tools/pay/require/0 -> approval.required /tools/pay/approve_if/0
    for example: {"name":"pay","arguments":{"amount":100}} with time 2026-01-01T00:00:00Z
  + widened: denied.condition /tools/pay/require/0 -> permitted /tools/pay
    for example: {"name":"pay","arguments":{"amount":0}} with time 2026-01-01T00:00:00Z
  - narrowed: permitted /tools/pay -> approval.required /tools/pay/approve_if/0
    for example: {"name":"pay","arguments":{"amount":100}} with time 2026-01-01T08:00:00Z
any tool on `list_*`, such as `list_`
  + widened: at most 5 in 60s per agent on /tools/list_* -> no limit
what servers may ask
  + widened: roots: deny -> allow
"#
    );
    let json = found.to_json();
    assert_eq!((&json["version"], &json["widens"], &json["may_widen"]), (&json!("1"), &json!(true), &json!(true)));
    assert_eq!(
        json["changes"][1],
        json!({
            "direction": "widened", "kind": "calls", "names": { "kind": "tool", "name": "pay" },
            "old": { "verdict": "refused", "code": "denied.condition", "rule": "/tools/pay/require/0" },
            "new": { "verdict": "permitted", "code": null, "rule": "/tools/pay" },
            "witness": { "name": "pay", "arguments": r#"{"amount":0}"#, "time": "2026-01-01T00:00:00Z" },
        })
    );
    assert_eq!(
        json["changes"][3],
        json!({
            "direction": "widened", "kind": "limit", "names": [{ "kind": "tool", "patterns": ["list_*"], "example": "list_" }],
            "old": { "counter": "/tools/list_*", "per": "agent", "max": 5_000_000, "window": 60.0, "algorithm": "window", "cost": 1_000_000,
                "is_priced": false, "passes_uncounted": false, "rule": "/tools/list_*/rate_limit" },
            "new": null,
        })
    );
    let unsure = [r#""/srv""#, r#""/srv/docs""#].map(|folder| {
        let on = |op: &str, value: &str| format!(r#"{{ "path": "args.n", "op": "{op}", "value": {value} }}"#);
        policy(&tool(&format!("{}, {}", on("path_within", folder), on("regex", r#""/srv/docs/.*""#))))
    });
    let found = diff(&unsure[0], &unsure[1]);
    assert!(found.may_widen() && !found.widens());
    assert_eq!(
        found.to_string(),
        r#"tool `t`
  - narrowed: permitted /tools/t -> denied.condition /tools/t/require/0
    for example: {"name":"t","arguments":{"n":"/srv/docs/.."}}
  ? unknown whether widened: refused -> permitted: no such call was found, and none is ruled out: args.n: a path or URL is asked about in several ways at once
"#
    );
    assert_eq!(
        found.to_json()["unknown"],
        json!([{
            "direction": "widened", "kind": "tool", "names": { "kind": "tool", "name": "t" }, "old": "refused", "new": "permitted",
            "reasons": ["args.n: a path or URL is asked about in several ways at once"],
        }])
    );
    let none = diff(&unsure[0], &unsure[0]);
    assert_eq!((none.to_string().as_str(), none.is_empty()), ("no difference\n", true));
}

/// More than can be looked at in time; but the same bytes mean the same.
#[test]
fn a_policy_is_no_different_from_itself_however_large() {
    let globs: Vec<String> = (0..2_000).map(|n| format!(r#""*a{n}*": {{}}"#)).collect();
    let text = format!(r#""tools": {{ {} }}"#, globs.join(", "));
    assert_eq!(shown(&diff(&policy(&text), &policy(&text))), [""; 0]);
    let other = policy(&format!("{text} "));
    assert!(!diff(&policy(&text), &other).unknown.is_empty(), "other bytes are looked at");
}
