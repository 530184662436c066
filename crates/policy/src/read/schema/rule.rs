//! The schema of a rule, and of the approval that it may want.

use serde_json::{Value, json};

use super::super::approval::APPROVAL;
use super::super::rule::{ACTIONS, RULE, STORE_FAILURES};
use super::{MODES, described, object, one_of, reference, string};
use crate::source::Action;

pub(super) fn rule() -> Value {
    let action = described(actions(), "A rule that says nothing else may be just its action.");
    json!({ "anyOf": [object(&RULE, &[], member), action], "examples": [{}, "deny", { "rate_limit": "10/minute" }] })
}

fn actions() -> Value {
    one_of(&ACTIONS, |action| match action {
        Action::Allow => "The call may pass, if everything else agrees. Meant when absent.",
        Action::Deny => "The call is denied, whatever other rules say.",
        Action::RequireApproval => "A person must approve the call.",
        Action::Hide => "Not listed, and answered as if it did not exist.",
    })
}

fn member(key: &str) -> Value {
    match key {
        "action" => described(actions(), "What becomes of a call that the rule matches."),
        "reason" => string("Why, in words for the agent that is denied and for the person who approves."),
        "except" => json!({
            "description": "Names that the rule's pattern shall not match: the only way out of a pattern.",
            "type": "array", "items": reference("pattern"), "examples": [["list_secrets"]],
        }),
        "require" => predicates("Each must hold, or the call is denied with its `on_deny`."),
        "deny_if" => predicates("If any holds, the call is denied with its `on_deny`."),
        "approve_if" => predicates("If any holds, a person must approve the call."),
        "approval" => described(object(&APPROVAL, &[], approval), "Who approves, and how long it may take."),
        "mode" => {
            let shadow = MODES.iter().filter(|(_, shadow)| *shadow).copied().collect::<Vec<_>>();
            let about = "The rule refuses nothing; what it would have refused is recorded.";
            described(one_of(&shadow, |_| about), "Whether the rule is only tried out.")
        }
        "on_store_failure" => {
            let about = |passes| match passes {
                false => "They are denied. Meant when absent.",
                true => "They pass, uncounted, and on record as such.",
            };
            described(
                one_of(&STORE_FAILURES, about),
                "What becomes of calls while the store of the rule's limits does not answer.",
            )
        }
        "rate_limit" => json!({
            "description": "How often an agent may call: one rate, or a list of them.",
            "anyOf": [reference("rate"), { "type": "array", "items": reference("rate") }],
            "examples": ["10/minute", { "max": 60, "window": "1m" }],
        }),
        "limits" => json!({
            "description": "How much may be called or spent. All limits of a call are reserved together, or none is.",
            "type": "array", "items": reference("limit"),
        }),
        "record" => json!({
            "description": "Arguments whose values the audit journal tells, cut short; what is named like a secret is not.",
            "type": "array", "items": { "type": "string" }, "examples": [["args.model", "args.to.name"]],
        }),
        "rules" => json!({
            "description": "Steps as YAML proxies write them; each becomes conditions and limits of this language.",
            "type": "array", "items": reference("dialect_rule"),
        }),
        _ => Value::Bool(true),
    }
}

fn predicates(about: &str) -> Value {
    json!({ "description": about, "type": "array", "items": reference("predicate") })
}

fn approval(key: &str) -> Value {
    match key {
        "approvers" => json!({
            "description": "Who may approve: names of people or groups.",
            "type": "array", "items": { "type": "string" }, "examples": [["ml-leads"]],
        }),
        "quorum" => json!({
            "description": "How many of them must agree.",
            "type": "integer", "minimum": 1, "maximum": u32::MAX, "default": 1,
        }),
        "self_approval" => {
            json!({ "description": "Whether whoever asks may also approve.", "type": "boolean", "default": false })
        }
        "timeout" => described(reference("duration"), "How long until a question that nobody answers is refused."),
        "hold" => described(reference("duration"), "How long the call itself waits for the answer."),
        _ => Value::Bool(true),
    }
}
