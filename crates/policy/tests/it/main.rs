//! What the engine promises, seen from outside. Everything is shown as one line of text by `show`, so that tables,
//! the reference and the laws compare the same thing.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that panics fails, which is what it is for; clippy only knows this of the test functions themselves"
)]

mod decisions;
mod documents;
mod errors;
mod generator;
mod hostile;
mod laws;
mod messages;
mod page;
mod reference;
mod versus;

use policy::{Call, Decision, Owed, Policy, Subject};

#[track_caller]
fn parse(text: &str) -> Policy {
    Policy::parse("policy.json", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn ask(policy: &Policy, subject: Subject<'_>) -> String {
    show(policy, policy.decide(Call { subject, arguments: None }))
}

/// `permit RULE | COUNTER per agent: [enforced limit], [(fed limit)]`, or `CODE RULE: REASON`
fn show(policy: &Policy, decision: Decision<'_>) -> String {
    match decision {
        Decision::Permit(permitted) => {
            let mut shown = vec![format!("permit {}", permitted.rule())];
            shown.extend(permitted.owed().iter().map(|owed| show_owed(policy, owed)));
            shown.join(" | ")
        }
        Decision::Deny(denial) => {
            let reason = denial.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{} {}{reason}", denial.code.as_str(), denial.rule)
        }
    }
}

fn show_owed(policy: &Policy, owed: &Owed) -> String {
    let counter = &policy.counters()[owed.counter];
    let limits = counter.limits.iter().enumerate().map(|(number, limit)| {
        let shown = format!("{} {}/{}s {:?}", limit.pointer, limit.max, limit.window.as_secs(), limit.algorithm);
        if owed.enforced.contains(&number) { format!("[{shown}]") } else { format!("({shown})") }
    });
    format!("{} per {}: {}", counter.name, counter.per.as_str(), limits.collect::<Vec<_>>().join(" "))
}
