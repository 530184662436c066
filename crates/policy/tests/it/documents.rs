//! Whole documents: the policies we ship with their cases, and the examples of the language.

use std::fs;
use std::path::Path;

use policy::{Catalogue, Decision, Policy, Subject};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    tool: Option<String>,
    resource: Option<String>,
    prompt: Option<String>,
    arguments: Option<Box<RawValue>>,
    expect: Expected,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: String,
    code: Option<String>,
    rule: String,
    reason: Option<String>,
    /// The limits that must hold; what they then say needs a clock, which a policy has not.
    #[serde(default)]
    owed: Vec<String>,
}

#[test]
fn shipped_policies_do_what_their_cases_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let tested = folders.filter(|folder| folder.join("cases.json").exists()).inspect(|folder| test(folder));
    assert!(tested.count() >= 3);
}

fn test(folder: &Path) {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let policy =
        Policy::parse("policy.json", &read("policy.json")).unwrap_or_else(|errors| panic!("{folder:?}: {errors}"));
    assert_eq!(policy.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0], "{folder:?}");
    for (number, case) in serde_json::from_str::<Vec<Case>>(&read("cases.json")).unwrap().iter().enumerate() {
        let subject = match (&case.tool, &case.resource, &case.prompt) {
            (Some(name), None, None) => Subject::Tool(name),
            (None, Some(uri), None) => Subject::Resource(uri),
            (None, None, Some(name)) => Subject::Prompt(name),
            _ => panic!("{folder:?}: case {number} must have one of tool, resource, prompt"),
        };
        let decision = policy.decide(call(subject, case.arguments.as_deref()));
        assert_eq!(outcome(&policy, decision), case.expect, "{folder:?}: case {number}, {subject:?}");
    }
}

fn outcome(policy: &Policy, decision: Decision<'_>) -> Expected {
    match decision {
        Decision::Permit(permitted) => {
            let enforced = permitted.owed().iter().flat_map(|owed| {
                let limits = &policy.counters()[owed.counter].limits;
                owed.enforced.iter().map(|&limit| limits[limit].pointer.to_string())
            });
            let (outcome, rule) = ("permit".to_owned(), permitted.rule().to_string());
            Expected { outcome, code: None, rule, reason: None, owed: enforced.collect() }
        }
        Decision::Deny(denial) => Expected {
            outcome: "deny".to_owned(),
            code: Some(denial.code.as_str().to_owned()),
            rule: denial.rule.to_string(),
            reason: denial.reason.map(|reason| reason.to_string()),
            owed: Vec::new(),
        },
    }
}

#[test]
fn the_smallest_useful_policy_loads() {
    let text = r#"{
  "version": "1",
  "default": "deny",
  "tools": { "fetch_finetuning_status": {} }
}"#;
    assert!(crate::parse(text).warnings().is_empty());
}

#[test]
fn the_long_example_loads_with_a_catalogue() {
    let text = include_str!("data/example.jsonc");
    let catalogue = Catalogue::parse("catalog.json", r#"{ "version": "1", "tools": {} }"#).unwrap();
    Policy::parse_with("policy.json", text, &catalogue).unwrap();
    // Without a catalogue, nobody knows what is destructive.
    let errors = Policy::parse("policy.json", text).unwrap_err();
    let shown = errors.iter().map(|error| (error.code().as_str(), &text[error.span()])).collect::<Vec<_>>();
    assert_eq!(shown, [("policy::no_catalogue", "\"Destructive\""), ("policy::no_catalogue", "\"Financial\"")]);
}

#[test]
fn dialect_a_loads() {
    let text = r#"{"version":"1","default":"deny","tools":{"a":{}, "b":{"action":"deny","reason":"No."},
        "c":{"rate_limit":{"max":10,"window":60}}, "d":{"action":"require_approval"}}}"#;
    crate::parse(text);
}

#[test]
fn dialect_b_loads() {
    let text = r#"{"version":"1","hide":["x"],"all_tools":{"limits":[{"counter":"all","window":"minute","max":60,"scope":"grant"}]},
        "tools":{"t":{"limits":[{"counter":"day","window":"day","max":9,"scope":"grant"}]}}}"#;
    crate::parse(text);
    let text = r#"{"version":"1","tools":{"t":{"require":[{"conditions":[],"on_deny":"No."}],"deny_if":[]}}}"#;
    crate::parse(text);
}
