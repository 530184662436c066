//! Cases, played.

use std::fs;

use super::*;

const LIMITED: &str = r#"{ "version": "1", "tools": {
    "get": { "rate_limit": "2/minute" },
    "buy": { "limits": [{ "max": 5, "window": "1h", "cost": "args.n", "per": "server" }] },
    "drip": { "limits": [{ "max": 2, "window": "1m", "algorithm": "smooth" }] },
    "ask": { "action": "require_approval", "reason": "Ask.", "approval": { "approvers": ["leads", "boss"], "quorum": 2 } },
    "try": { "action": "deny", "reason": "No.", "mode": "shadow" },
    "talk": { "limits": [{ "max": 1, "window": "1m", "per": "session" }] },
    "own": { "require": [{ "conditions": [{ "path": "agent.labels.team", "op": "eq", "value": "ml" },
                                          { "path": "server.id", "op": "eq", "value": "server" },
                                          { "path": "time.hour", "op": "lt", "value": 1 }] }] },
    "secret": "hide", "never": "deny" } }"#;

fn report(policy: &str, cases: &str, fail_under: Option<u8>) -> Report {
    let script = Script { policy: "policy.json".into(), cases: "cases.json".into() };
    let played = perform(&script, policy, None, cases);
    Report { rehearsed: vec![Rehearsed { script, played }], fail_under }
}

/// What differs, one line for each case that failed.
#[track_caller]
fn check(cases: &str, expected: &[&str]) {
    let report = report(LIMITED, &format!("[{cases}]"), None);
    let played = match &report.rehearsed[0].played {
        Ok(played) => played,
        Err(unplayable) => panic!("{cases}: {:?}", unplayable.errors()),
    };
    let failed = played.cases.iter().filter_map(|tried| Some((tried, tried.failed.as_ref()?)));
    let shown = failed.map(|(tried, failed)| {
        let shown = failed.mismatches.iter().map(|m| format!("{} {} is {}", m.what, m.expected, m.got));
        format!("{}/{}: {}", tried.title, failed.call, shown.collect::<Vec<_>>().join("; "))
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected, "{cases}");
}

#[test]
fn limits_count_under_a_clock_that_the_cases_move() {
    let twice = r#"{ "tool": "get", "times": 2, "expect": { "outcome": "permit", "code": "allowed" } }"#;
    let over = r#""expect": { "outcome": "deny", "code": "limited", "rule": "/tools/get/rate_limit", "retry_after": "#;
    let free = r#""expect": { "outcome": "permit", "remaining": 1 }"#;
    check(&format!(r#"{twice}, {{ "tool": "get", {over} "60s" }} }}"#), &[]);
    check(&format!(r#"{twice}, {{ "tool": "get", "after": 20, {over} 40 }} }}"#), &[]);
    check(&format!(r#"{twice}, {{ "tool": "get", "after": "59s 999ms", {over} "1ms" }} }}"#), &[]);
    check(&format!(r#"{twice}, {{ "tool": "get", "after": "1m", {free} }}"#), &[]);
    check(&format!(r#"{twice}, {{ "tool": "get", "at": "1m", {free} }}"#), &[]);
    check(&format!(r#"{twice}, {{ "tool": "get", "at": "2026-01-01T00:01:00Z", {free} }}"#), &[]);
    check(&format!(r#"{twice}, {{ "tool": "get", {over} "59s" }} }}"#), &["get/1: retry_after 59s is 1m"]);
    let thrice = r#"{ "tool": "get", "times": 3, "expect": { "outcome": "permit", "reason": "x" } }"#;
    check(thrice, &["get (3 times)/1: reason x is none"]);
    let thrice = r#"{ "name": "thrice", "tool": "get", "times": 3, "expect": { "outcome": "permit" } }"#;
    check(thrice, &["thrice (3 times)/3: outcome permit is deny"]);
    // All calls of a case are made, also after one of them went wrong.
    let goes_on = r#"{ "tool": "get", "times": 2, "expect": { "outcome": "deny" } }, { "tool": "get", "expect": { "code": "limited" } }"#;
    check(goes_on, &["get (2 times)/1: outcome deny is permit"]);
    // Told in whole milliseconds, never too short: one unit comes back in 30 s.
    let drip = r#"{ "tool": "drip", "times": 2, "expect": { "outcome": "permit" } }, { "tool": "drip", "after": "0.0000001s", "expect": { "retry_after": 30 } }"#;
    check(&drip.replace("\"0.0000001s\"", "0.0000001"), &[]);
}

#[test]
fn who_counts_is_who_counts_in_the_gateway() {
    let call = |tool: &str, who: &str, outcome: &str| {
        format!(r#"{{ "tool": "{tool}", "arguments": {{ "n": 3 }}, {who} "expect": {{ "outcome": "{outcome}" }} }}"#)
    };
    let check_all = |calls: &[String]| check(&calls.join(","), &[]);
    let twice = [call("get", "", "permit"), call("get", "", "permit"), call("get", "", "deny")];
    check_all(
        &[&twice[..], &[call("get", r#""agent": "alice","#, "permit"), call("get", r#""session": "1","#, "permit")]]
            .concat(),
    );
    // A new session does not refresh an agent that is known, whatever is counted; of nobody known it is a new one.
    let alice = |session: &str| format!(r#""agent": "alice", "session": "{session}","#);
    check_all(
        &["1", "2", "3"].map(|session| call("get", &alice(session), if session == "3" { "deny" } else { "permit" })),
    );
    check_all(&[
        call("talk", &alice("1"), "permit"),
        call("talk", &alice("2"), "deny"),
        call("talk", r#""session": "1","#, "permit"),
        call("talk", r#""session": "2","#, "permit"),
        call("talk", r#""session": "1","#, "deny"),
    ]);
    // One count for all agents of a server.
    let (a, b, elsewhere) = (r#""agent": "a","#, r#""agent": "b","#, r#""server": "other","#);
    check_all(&[call("buy", a, "permit"), call("buy", b, "deny"), call("buy", elsewhere, "permit")]);
}

#[test]
fn everything_that_can_be_expected() {
    check(
        r#"{ "tool": "buy", "arguments": { "n": 2.25 }, "expect": { "remaining": 2.75, "owed": ["/tools/buy/limits/0"] } }"#,
        &[],
    );
    check(
        r#"{ "tool": "buy", "arguments": { "n": 2.25 }, "expect": { "remaining": 3 } }"#,
        &["buy/1: remaining 3 is 2.75"],
    );
    check(
        r#"{ "tool": "get", "expect": { "owed": [], "remaining": 0 } }"#,
        &["get/1: owed none is /tools/get/rate_limit; remaining 0 is 1"],
    );
    let ask = |expect: &str| format!(r#"{{ "tool": "ask", "expect": {{ {expect} }} }}"#);
    check(
        &ask(
            r#""outcome": "approve", "code": "approval.required", "reason": "Ask.", "approval": { "approvers": ["boss", "leads"], "quorum": 2 }"#,
        ),
        &[],
    );
    check(
        &ask(r#""approval": { "approvers": [], "quorum": 1 }"#),
        &["ask/1: approvers none is boss, leads; quorum 1 is 2"],
    );
    check(r#"{ "tool": "get", "expect": { "approval": { "approvers": [] } } }"#, &["get/1: approval some is none"]);
    check(&ask(r#""outcome": "deny", "code": "approval.required""#), &[]);
    check(&ask(r#""outcome": "deny""#), &["ask/1: outcome deny is approve"]);
    check(
        r#"{ "tool": "try", "expect": { "outcome": "permit", "shadow": "denied.rule", "rule": "/tools/try" } }"#,
        &[],
    );
    check(r#"{ "tool": "get", "expect": { "shadow": "denied.rule" } }"#, &["get/1: shadow denied.rule is none"]);
    check(
        r#"{ "tool": "secret", "expect": { "outcome": "hide" } }, { "tool": "secret", "expect": { "outcome": "deny", "rule": "(hidden)" } }"#,
        &[],
    );
    check(r#"{ "tool": "never", "expect": { "outcome": "hide" } }"#, &["never/1: outcome hide is deny"]);
    check(
        r#"{ "resource": "a://b", "expect": { "code": "denied.default" } }, { "prompt": "p", "expect": { "rule": "(default deny)" } }"#,
        &[],
    );
}

#[test]
fn conditions_see_who_where_and_when() {
    let own =
        |more: &str, outcome: &str| format!(r#"{{ "tool": "own", {more} "expect": {{ "outcome": "{outcome}" }} }}"#);
    let ml = r#""labels": { "team": "ml" },"#;
    check(&own(ml, "permit"), &[]);
    check(&own("", "deny"), &[]);
    check(&own(&format!(r#"{ml} "server": "other","#), "deny"), &[]);
    check(&own(&format!(r#"{ml} "after": "1h","#), "deny"), &[]);
    check(&own(&format!(r#"{ml} "at": "2020-05-05T00:59:59Z","#), "permit"), &[]);
    check(&own(&format!(r#"{ml} "at": "2020-05-05T01:00:00Z","#), "deny"), &[]);
}

#[test]
fn coverage_is_what_cases_have_met() {
    let policy = r#"{ "version": "1", "hide": ["x_*"], "all_tools": { "rate_limit": "9/minute" }, "tools": {
        "a": { "deny_if": [{ "conditions": [{ "path": "args.bad", "op": "exists", "value": true }] }] }, "b": {} } }"#;
    let check = |cases: &str, percent, unmet: &[&str]| {
        let report = report(policy, cases, Some(50));
        let Ok(Played { coverage, .. }) = &report.rehearsed[0].played else { panic!("{cases}") };
        assert_eq!(
            (coverage.percent(), &coverage.unmet[..]),
            (percent, &unmet.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
        assert_eq!(report.ending() == Ending::Passed, percent >= 50, "{cases}");
    };
    let all = ["/hide/0", "/all_tools", "/all_tools/rate_limit", "/tools/a", "/tools/a/deny_if/0", "/tools/b"];
    check(r#"[{ "resource": "r", "expect": { "outcome": "deny" } }]"#, 0, &all);
    check(
        r#"[{ "tool": "a", "expect": { "outcome": "permit" } }]"#,
        50,
        &["/hide/0", "/tools/a/deny_if/0", "/tools/b"],
    );
    check(
        r#"[{ "tool": "a", "arguments": { "bad": 1 }, "expect": { "code": "denied.condition" } },
            { "tool": "x_1", "expect": { "code": "hidden" } }, { "tool": "b", "expect": { "outcome": "permit" } }]"#,
        100,
        &[],
    );
}

#[test]
fn a_report_for_people() {
    let cases = r#"[
  { "tool": "get", "times": 3, "expect": { "outcome": "permit" } },
  { "tool": "never", "expect": { "outcome": "deny" } },
  { "name": "odd\u001b[31m", "tool": "never", "expect": { "rule": "/tools/no" } }
]"#;
    let policy =
        r#"{ "version": "1", "tools": { "get": { "rate_limit": "2/minute" }, "never": "deny", "other": {} } }"#;
    let expected = "\
policy.json
  FAILED  get (3 times) (cases.json:2, call 3)
          outcome: expected permit, got deny
          it was limited by /tools/get/rate_limit
  ok      never
  FAILED  odd\\u{1b}[31m (cases.json:4)
          rule: expected /tools/no, got /tools/never
  coverage: 3 of 4 rules, predicates and limits (75 %), below 80 %: FAILED
  met by no case:
    /tools/other

3 cases, 2 failed
";
    assert_eq!(report(policy, cases, Some(80)).human().to_string(), expected);
    assert_eq!(
        report("{}", cases, None).human().to_string(),
        "policy.json: 1 error\n\n0 cases, none failed; 1 policy could not be played\n"
    );
    assert_eq!(report(policy, "[]", None).ending(), Ending::Unusable);
    assert_eq!(report("{}", cases, None).ending(), Ending::Failed);
}

#[test]
fn a_report_for_programs() {
    let cases = r#"[{ "tool": "get", "expect": { "outcome": "deny" } }, { "tool": "ask", "expect": { "outcome": "approve" } }]"#;
    let report_json = report(LIMITED, cases, None).json();
    let at = |pointer: &str| report_json.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).to_string();
    assert_eq!(at("/ok"), "false");
    assert_eq!(at("/policies/0/results/0/failures/0"), r#"{"expected":"deny","got":"permit","what":"outcome"}"#);
    assert_eq!(at("/policies/0/results/0/got/remaining"), r#""1""#);
    assert_eq!(at("/policies/0/results/1/ok"), "true");
    assert_eq!(at("/policies/0/results/1/got/approval"), r#"{"approvers":["leads","boss"],"quorum":2}"#);
    assert_eq!(at("/policies/0/coverage/met"), "3");
    let bad = report("{}", cases, None).json();
    assert_eq!(bad.pointer("/policies/0/errors/0/code").unwrap(), "policy::missing_key");
}

#[test]
fn a_report_for_build_servers() {
    let cases = r#"[{ "name": "a<b>&\"c'\u0001", "tool": "never", "expect": { "rule": "</testcase>" } }, { "tool": "get", "expect": { "outcome": "permit" } }]"#;
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="toolgate test">
  <testsuite name="policy.json" tests="3" failures="2" errors="0">
    <properties><property name="coverage" value="21"/></properties>
    <testcase classname="policy.json" name="1 a&lt;b&gt;&amp;&quot;c&apos;\u{1}" file="cases.json" line="1"><failure message="rule: expected &lt;/testcase&gt;, got /tools/never">call 1&#10;rule: expected &lt;/testcase&gt;, got /tools/never</failure></testcase>
    <testcase classname="policy.json" name="2 get" file="cases.json" line="1"/>
    <testcase classname="policy.json" name="coverage"><failure message="21 % is below 90 %">"#;
    let shown = report(LIMITED, cases, Some(90)).junit().to_string();
    assert_eq!(shown.get(..expected.len()), Some(expected), "{shown}");
    let bad = report("{", cases, None).junit().to_string();
    assert!(
        bad.contains(r#"tests="1" failures="0" errors="1">"#)
            && bad.contains("<error message=\"policy `policy.json` is not valid: "),
        "{bad}"
    );
}

#[test]
fn policies_with_cases_are_found_wherever_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let lay = |names: &[&str]| {
        for name in names {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        }
    };
    let check = |path: &str, expected: Result<&[(&str, &str)], &str>| {
        let tail = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
        let found =
            find(&[root.join(path)]).map_err(|error| error.to_string().replace(&format!("{}/", root.display()), ""));
        let found = found.map(|scripts| scripts.iter().map(|s| (tail(&s.policy), tail(&s.cases))).collect::<Vec<_>>());
        let expected = expected.map(|pairs| pairs.iter().map(|(p, c)| ((*p).to_owned(), (*c).to_owned())).collect());
        assert_eq!(found, expected.map_err(str::to_owned), "{path}");
    };
    lay(&["a/policy.json", "a/cases.json", "b/deep/policy.yaml", "b/deep/cases.yml", "lone/policy.json", "a/own.json"]);
    lay(&[".git/policy.json", ".git/cases.json", "b/target/policy.json", "b/target/cases.json", "empty/x"]);
    let (a, b) = (("a/policy.json", "a/cases.json"), ("b/deep/policy.yaml", "b/deep/cases.yml"));
    check("", Ok(&[a, b]));
    check("a", Ok(&[a]));
    check("b", Ok(&[b]));
    check("a/own.json", Ok(&[("a/own.json", "a/cases.json")]));
    let no_cases = "no cases beside `lone/policy.json`: write a `cases.json` there, such as \
                    [{ \"tool\": \"get_issue\", \"expect\": { \"outcome\": \"permit\" } }]";
    check("lone/policy.json", Err(no_cases));
    for path in ["lone", "empty"] {
        let nothing = "has both a `policy.json` and a `cases.json`: name a policy, or write its cases beside it";
        check(path, Err(&format!("no folder in `{path}` {nothing}")));
    }
    check("none", Err("cannot look into `none`"));
    lay(&["a/policy.yml"]);
    let two =
        "`a/policy.json` and `a/policy.yml` lie in one folder: which of them is meant? Remove one, or name the policy";
    check("a", Err(two));
}

#[test]
fn shipped_policies_do_what_their_cases_say() {
    let scripts = find(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")]).unwrap();
    assert!(scripts.len() >= 3);
    for script in &scripts {
        let (text, catalogue) = policies::documents(&script.policy).unwrap();
        let bound = policies::bind(&script.policy, &text, catalogue.as_ref()).unwrap();
        assert_eq!(bound.policy.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0], "{script:?}");
    }
    let report = Report::of(scripts, Some(90)).unwrap();
    assert_eq!(report.ending(), Ending::Passed, "{}", report.human());
}
