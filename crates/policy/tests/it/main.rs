//! What the engine promises, seen from outside. Everything is shown as one line of text by `show`, so that tables,
//! the reference and the laws compare the same thing.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that panics fails, which is what it is for; clippy only knows this of the test functions themselves"
)]

mod allocations;
mod cases;
mod classes;
mod conditions;
mod costs;
mod decisions;
mod dialect;
mod diff;
mod diff_versus;
mod documents;
mod errors;
mod explain;
mod format;
mod generator;
mod hostile;
mod laws;
mod lints;
mod messages;
mod page;
mod plain;
mod print;
mod reference;
mod schema;
mod shadow;
mod versus;
mod yaml;

use std::time::{Duration, UNIX_EPOCH};

use policy::{Call, Context, Decision, Denial, ONE, Owed, Policy, Subject};
use serde_json::value::RawValue;

#[track_caller]
fn parse(text: &str) -> Policy {
    Policy::parse("policy.json", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The answer to a call of a tool with these arguments.
#[track_caller]
fn ask_with(policy: &Policy, tool: &str, arguments: &str) -> String {
    let arguments = serde_json::from_str::<&RawValue>(arguments).unwrap();
    show(policy, policy.decide(call(Subject::Tool(tool), Some(arguments))))
}

fn ask(policy: &Policy, subject: Subject<'_>) -> String {
    show(policy, policy.decide(call(subject, None)))
}

/// A call by somebody, somewhere, on Monday, 2026-11-23, at 9:30.
fn call<'a>(subject: Subject<'a>, arguments: Option<&'a RawValue>) -> Call<'a> {
    let time = UNIX_EPOCH + Duration::from_secs(1_795_426_200);
    Call { subject, arguments, context: Context { agent: None, labels: &[], server: "github", time } }
}

/// `permit RULE | COUNTER per agent +COST: [enforced limit] <limit in shadow> (fed limit) | would be CODE RULE`, or
/// `CODE RULE: REASON`
fn show(policy: &Policy, decision: Decision<'_>) -> String {
    match decision {
        Decision::Permit(permitted) => {
            let mut shown = vec![format!("permit {}", permitted.rule())];
            shown.extend(permitted.owed().iter().map(|owed| show_owed(policy, owed)));
            shown.extend(permitted.shadow().map(|denial| format!("would be {}", show_denial(denial))));
            shown.join(" | ")
        }
        Decision::Deny(denial) => show_denial(&denial),
    }
}

fn show_denial(denial: &Denial) -> String {
    let reason = denial.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} {}{reason}", denial.code.as_str(), denial.rule)
}

fn show_owed(policy: &Policy, owed: &Owed) -> String {
    let counter = &policy.counters()[owed.counter];
    let limits = counter.limits.iter().enumerate().map(|(number, limit)| {
        let shown = format!("{} {}/{}s {:?}", limit.pointer, limit.max, limit.window.as_secs(), limit.algorithm);
        match (owed.enforced.contains(&number), owed.shadowed.contains(&number)) {
            (true, _) => format!("[{shown}]"),
            (_, true) => format!("<{shown}>"),
            _ => format!("({shown})"),
        }
    });
    let cost = if owed.cost == ONE { String::new() } else { format!(" +{}", owed.cost) };
    format!("{} per {}{cost}: {}", counter.name, counter.per.as_str(), limits.collect::<Vec<_>>().join(" "))
}
