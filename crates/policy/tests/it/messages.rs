//! How errors and warnings read, as miette renders them. Reviewed like prose.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use policy::Policy;

/// The bare report: no colour, no links, always as wide.
pub(crate) fn render(diagnostic: &dyn Diagnostic) -> String {
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_links(false).with_width(100);
    let mut report = String::new();
    handler.render_report(&mut report, diagnostic).unwrap();
    report
}

fn report(text: &str) -> String {
    match Policy::parse("policy.json", text) {
        Ok(policy) => policy.warnings().iter().map(|warning| render(warning)).collect(),
        Err(errors) => errors.iter().map(|error| render(error)).collect(),
    }
}

#[test]
fn a_bad_window() {
    insta::assert_snapshot!(report(
        r#"{
  "version": "1",
  "tools": {
    // the usual
    "get_me": "allow",
    "create_issue": { "rate_limit": { "max": 5, "window": "hourly" } }
  }
}
"#
    ));
}

#[test]
fn several_errors_in_one_report() {
    let errors = Policy::parse("policy.json", r#"{ "defautl": "deny", "tools": { "add": "yes" } }"#).unwrap_err();
    insta::assert_snapshot!(render(&errors));
}

#[test]
fn many_errors_at_once() {
    insta::assert_snapshot!(report(
        r#"{
  "version": 1,
  "defualt": "deny",
  "mode": "shadow",
  "hide": [""],
  "tools": {
    "delete_repo": { "deny": "Ask an admin" },
    "get_me": "alow",
    "get_me": {},
    "create_charge": {
      "deny_if": [{ "conditions": [] }],
      "rate_limit": "10 per minute",
      "limits": [
        { "max": 0, "window": "1w", "per": "user" },
        { "window": 0, "counter": "/jobs" },
        { "max": 1.0000001, "window": "400d", "scope": "agent", "per": "agent" }
      ]
    }
  },
  "reverse": { "sampling": true }
}
"#
    ));
}

#[test]
fn bad_conditions() {
    insta::assert_snapshot!(report(
        r#"{
  "version": "1",
  "tools": {
    "create_refund": {
      "require": [
        { "conditions": [{ "path": "arg.amount", "op": "lte", "value": 100 }], "on_deny": "Too much." },
        { "conditions": [{ "path": "args.amount", "op": "less", "value": 100 }] },
        { "conditions": [{ "path": "args.items[0]", "op": "lt", "value": "100" }] },
        { "conditions": [{ "path": "args.note", "op": "regex", "value": "(?=a)" }] },
        { "conditions": [{ "path": "args.url", "op": "url_host_in", "value": ["https://example.com"] }] },
        { "conditions": [{ "path": "time(\"Europe/Zurch\").hour", "op": "lt", "value": 9 }] },
        { "conditions": [{ "path": "agent.name", "op": "eq" }] },
        { "on_deny": "No." }
      ]
    }
  }
}
"#
    ));
}

#[test]
fn broken_text() {
    let texts = [
        "",
        "{ \"version\": \"1\",\n}",
        "{ \"version\": \"1\"\n  \"default\": \"deny\" }",
        "{ \"version\": \"1\", \"description\": \"one\ntwo\" }",
        "[1]",
    ];
    insta::assert_snapshot!(texts.map(report).join("---\n"));
}

#[test]
fn warnings() {
    insta::assert_snapshot!(report(
        r#"{
  "version": "1",
  "hide": ["internal_*", "{a,b}", "d\u200b"],
  "tools": {
    "*": {},
    "internal_x": {},
    "list_*": { "except": ["list*"] },
    "drop": { "action": "deny", "rate_limit": "1/minute" },
    "half": { "limits": [{ "max": 0.5, "window": "1m" }] }
  }
}
"#
    ));
}

#[test]
fn a_policy_that_only_hides() {
    insta::assert_snapshot!(report(r#"{ "version": "1", "hide": ["delete_*"] }"#));
}
