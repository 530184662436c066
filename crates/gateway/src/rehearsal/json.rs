//! A report for programs.

use policy::{Finding, PolicyErrors, amount};
use serde_json::{Value, json};

use super::{Ending, Rehearsed, Report, Tried, Unplayable};
use crate::policies::PolicyTrouble;
use crate::stage::Answer;

impl Report {
    /// `{"ok", "policies": [{"policy", "cases", "ok", "errors", "results", "coverage"}]}`.
    ///
    /// A result is `{"name", "line", "ok", "got", "call", "failures": [{"what", "expected", "got"}]}`, where `got` has what became
    /// of the case's last call or, of a case that failed, of the first that went wrong (`call`). `coverage` is `{"met", "of",
    /// "percent", "unmet"}`. `errors` are those of `toolgate check`; where there are any, there are no results and no coverage.
    pub fn json(&self) -> Value {
        let policies = self.rehearsed.iter().map(|rehearsed| self.policy(rehearsed));
        json!({ "ok": self.ending() == Ending::Passed, "policies": Value::from_iter(policies) })
    }

    fn policy(&self, rehearsed: &Rehearsed) -> Value {
        let mut report = json!({
            "policy": rehearsed.script.policy.display().to_string(),
            "cases": rehearsed.script.cases.display().to_string(),
            "ok": self.ending_of(rehearsed) == Ending::Passed,
        });
        let members = match &rehearsed.played {
            Err(Unplayable::Cases(errors)) => vec![("errors", findings(&rehearsed.script.cases, errors))],
            Err(Unplayable::Policy(PolicyTrouble::Invalid { path, source })) => {
                vec![("errors", findings(path, source))]
            }
            Err(Unplayable::Policy(trouble)) => vec![("errors", json!([{ "message": trouble.to_string() }]))],
            Ok(played) => {
                let coverage = &played.coverage;
                let (met, percent) = (coverage.met(), coverage.percent());
                let coverage = json!({ "met": met, "of": coverage.parts, "percent": percent, "unmet": coverage.unmet });
                vec![("results", Value::from_iter(played.cases.iter().map(result))), ("coverage", coverage)]
            }
        };
        if let Value::Object(report) = &mut report {
            report.extend(members.into_iter().map(|(key, value)| (key.to_owned(), value)));
        }
        report
    }
}

fn result(tried: &Tried) -> Value {
    let failures = tried.failed.iter().flat_map(|failed| &failed.mismatches);
    let failures =
        failures.map(|failure| json!({ "what": failure.what, "expected": failure.expected, "got": failure.got }));
    json!({
        "name": tried.title,
        "line": tried.line,
        "ok": tried.failed.is_none(),
        "call": tried.failed.as_ref().map(|failed| failed.call),
        "got": tried.answer.as_ref().map(answer),
        "failures": Value::from_iter(failures),
    })
}

fn answer(answer: &Answer) -> Value {
    json!({
        "outcome": answer.outcome.as_str(),
        "code": answer.code,
        "rule": answer.rule,
        "reason": answer.reason,
        "owed": Value::from_iter(answer.owed.iter().map(policy::RulePointer::as_str)),
        "retry_after_ms": answer.retry_after.map(|wait| u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)),
        "remaining": answer.remaining.map(amount),
        "shadow": answer.shadow.as_ref().map(|(code, rule)| json!({ "code": code, "rule": rule })),
        "approval": answer.approval.as_ref().map(|approval| json!({ "approvers": approval.approvers, "quorum": approval.quorum })),
    })
}

fn findings(file: &std::path::Path, errors: &PolicyErrors) -> Value {
    let finding = |finding: &Finding| {
        let (line, column) = finding.position();
        let (code, message, help) = (finding.code().as_str(), finding.message(), finding.help());
        json!({ "file": file.display().to_string(), "code": code, "message": message, "help": help, "line": line, "column": column })
    };
    Value::from_iter(errors.iter().map(finding))
}
