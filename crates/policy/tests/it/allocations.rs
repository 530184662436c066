//! A permit that asks no condition takes nothing from the heap.

use policy::{Decision, Subject};

use crate::{call, parse};

const POLICY: &str = r#"{
    "version": "1",
    "all_tools": { "limits": [{ "max": 600, "window": "1m" }] },
    "hide": ["secret_*"],
    "tools": {
        "get_issue": {},
        "get_limited": { "rate_limit": "10/minute" },
        "get_*": { "limits": [{ "counter": "reads", "max": 100, "window": "1h" }] },
        "list_*": {},
        "*_issues": { "rate_limit": "10/minute" },
        "list_?*": { "limits": [{ "counter": "reads", "max": 50, "window": "1h", "cost": 2 }], "except": ["list_a"] }
    },
    "resources": { "docs://*": {}, "docs://readme": {} },
    "prompts": { "review": {} }
}"#;

const OPEN: &str = r#"{ "version": "1", "default": "allow", "hide": ["secret_*"], "tools": { "delete_*": "deny" } }"#;

#[track_caller]
fn check(text: &str, subject: Subject<'_>) {
    let policy = parse(text);
    let counted = allocation_counter::measure(|| {
        assert!(matches!(policy.decide(call(subject, None)), Decision::Permit(_)), "{subject:?}");
    });
    assert_eq!(counted.count_total, 0, "{subject:?}");
}

#[test]
fn a_permit_without_conditions_allocates_nothing() {
    check(POLICY, Subject::Tool("get_issue"));
    check(POLICY, Subject::Tool("get_limited"));
    check(POLICY, Subject::Tool("get_pull"));
    check(POLICY, Subject::Tool("list_a"));
    check(POLICY, Subject::Tool("list_pulls"));
    // What several globs ask for is summed for each call, also where they share a counter.
    check(POLICY, Subject::Tool("list_issues"));
    check(POLICY, Subject::Tool("get_list_issues"));
    check(POLICY, Subject::Resource("docs://readme"));
    check(POLICY, Subject::Resource("docs://a/b"));
    check(POLICY, Subject::Prompt("review"));
    check(OPEN, Subject::Tool("anything"));
}
