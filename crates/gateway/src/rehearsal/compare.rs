//! What was expected of a call, against what became of it.

use std::time::Duration;

use policy::{Expected, ExpectedApproval, Outcome, RulePointer, amount};

use crate::stage::Answer;

/// One thing that was expected, in words.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) what: &'static str,
    pub(super) expected: String,
    pub(super) got: String,
}

const NONE: &str = "none";

pub(super) fn compare(expected: &Expected, answer: &Answer) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    let mut differ = |what, expected: String, got: String| {
        if expected != got {
            mismatches.push(Mismatch { what, expected, got });
        }
    };
    let Expected { outcome, code, rule, reason, owed, retry_after, remaining, shadow, approval } = expected;
    if let Some(outcome) = outcome.filter(|outcome| !is(*outcome, answer, *code)) {
        differ("outcome", outcome.as_str().to_owned(), answer.outcome.as_str().to_owned());
    }
    if let Some(code) = code {
        differ("code", (*code).to_owned(), answer.code.to_owned());
    }
    if let Some(rule) = rule {
        differ("rule", rule.clone(), answer.rule.to_string());
    }
    if let Some(reason) = reason {
        differ("reason", reason.clone(), answer.reason.as_deref().unwrap_or(NONE).to_owned());
    }
    if let Some(owed) = owed {
        let got = answer.owed.iter().map(RulePointer::as_str);
        differ("owed", list(owed.iter().map(String::as_str)), list(got));
    }
    if let Some(wait) = retry_after {
        differ("retry_after", shown(*wait), answer.retry_after.map_or_else(|| NONE.to_owned(), shown));
    }
    if let Some(units) = remaining {
        differ("remaining", amount(*units), answer.remaining.map_or_else(|| NONE.to_owned(), amount));
    }
    if let Some(code) = shadow {
        differ("shadow", (*code).to_owned(), answer.shadow.as_ref().map_or(NONE, |(code, _)| code).to_owned());
    }
    if let Some(ExpectedApproval { approvers, quorum }) = approval {
        let got = answer.approval.as_deref();
        if got.is_none() {
            differ("approval", "some".to_owned(), NONE.to_owned());
        }
        if let Some(approvers) = approvers {
            let got = got.map(|approval| list(approval.approvers.iter().map(String::as_str)));
            differ("approvers", list(approvers.iter().map(String::as_str)), got.unwrap_or_else(|| NONE.to_owned()));
        }
        if let Some(quorum) = quorum {
            let got = got.map_or_else(|| NONE.to_owned(), |approval| approval.quorum.to_string());
            differ("quorum", quorum.to_string(), got);
        }
    }
    mismatches
}

/// What is hidden is denied as well. What awaits approval is not, unless the code says that this is what was meant: a policy that
/// begins to ask people where it refused has become wider.
fn is(expected: Outcome, answer: &Answer, code: Option<&str>) -> bool {
    match (expected, answer.outcome) {
        (Outcome::Deny, Outcome::Hide) => true,
        (Outcome::Deny, Outcome::Approve) => code == Some(answer.code),
        (expected, got) => expected == got,
    }
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    if texts.is_empty() { NONE.to_owned() } else { texts.join(", ") }
}

/// As a caller is told it: in whole milliseconds, never too short.
pub(super) fn shown(wait: Duration) -> String {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}
