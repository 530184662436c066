//! Whole documents: the examples of the language. The policies that we ship are played with their cases by `gateway`, which has a clock.

use policy::{Catalogue, Policy};

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
