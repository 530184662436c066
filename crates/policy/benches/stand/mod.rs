//! The policy and the calls that the benches measure.

#![expect(clippy::panic, reason = "a bench without a policy has nothing to measure")]

use std::fmt::Write;
use std::time::UNIX_EPOCH;

use policy::{Call, Context, Decision, Policy, Subject};
use serde_json::value::RawValue;

/// A kind of decision: its name, the tool that is called, its arguments, and whether the call passes.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    tool: &'static str,
    arguments: Option<&'static str>,
    permitted: bool,
}

pub(crate) const CASES: [Case; 6] = [
    case("exact", "service_0_get_status", true),
    case("exact, limited", "service_1_get_status", true),
    case("glob", "service_0_list_things", true),
    case("glob, limited", "service_1_list_things", true),
    case("default", "service_0_delete_status", false),
    Case { name: "3 conditions on 300 bytes", tool: "create_job", arguments: Some(ARGUMENTS), permitted: true },
];

const fn case(name: &'static str, tool: &'static str, permitted: bool) -> Case {
    Case { name, tool, arguments: None, permitted }
}

/// Three conditions, on the first, the middle and the last of the arguments.
const CONDITIONS: &str = r#""create_job": {
    "require": [{ "conditions": [
        { "path": "args.model", "op": "in", "value": ["gpt-4.1-mini", "gpt-4.1-nano"] },
        { "path": "args.hyperparameters.n_epochs", "op": "lte", "value": 10 } ] }],
    "deny_if": [{ "conditions": [{ "path": "args.suffix", "op": "contains", "value": "prod" }] }] }"#;

/// 300 bytes.
const ARGUMENTS: &str = r#"{"model":"gpt-4.1-nano","training_file":"file-8Wq2f7kJpZtR3xYv5nLbMd","validation_file":"file-1Aa2Bb3Cc4Dd5Ee6Ff7Gg8","hyperparameters":{"n_epochs":3,"batch_size":8,"learning_rate_multiplier":0.1},"metadata":{"team":"search","ticket":"ML-1234","note":"first try \"small\" set"},"seed":42,"suffix":"trial-7"}"#;

/// Half of the rules on exact names, half on globs; one in four with a limit. One more has the conditions.
pub(crate) fn policy(rules: usize) -> Policy {
    let mut tools = CONDITIONS.to_owned();
    for number in 0..rules / 2 {
        let limit = if number % 2 == 1 { r#"{ "rate_limit": "10/minute" }"# } else { "{}" };
        write!(tools, r#", "service_{number}_get_status": {limit}, "service_{number}_list_*": {limit}"#)
            .unwrap_or_default();
    }
    let text = format!(r#"{{ "version": "1", "tools": {{ {tools} }} }}"#);
    Policy::parse("bench", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

impl Case {
    /// The call, once the policy has given the expected answer to it.
    pub(crate) fn call(&self, policy: &Policy) -> Call<'static> {
        let context = Context { agent: Some("alice"), labels: &[], server: "bench", time: UNIX_EPOCH };
        let raw = |text| serde_json::from_str::<&RawValue>(text).unwrap_or_else(|error| panic!("{error}"));
        let call = Call { subject: Subject::Tool(self.tool), arguments: self.arguments.map(raw), context };
        assert_eq!(matches!(policy.decide(call), Decision::Permit(_)), self.permitted, "{}", self.name);
        call
    }
}
