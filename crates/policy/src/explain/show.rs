//! A story as a tree for people, and as JSON of the same structure for programs.

use std::fmt;

use serde_json::{Value, json};

use super::{Explanation, Step, Verdict};

impl Step {
    fn to_json(&self) -> Value {
        let because = self.because.iter().map(Self::to_json).collect::<Value>();
        json!({ "asked": self.asked, "answer": self.answer, "because": because })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, before: &str, last: bool) -> fmt::Result {
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        writeln!(f, "{before}{branch}{}: {}", self.asked, self.answer)?;
        write_all(f, &self.because, &format!("{before}{below}"))
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, steps: &[Step], before: &str) -> fmt::Result {
    let last = steps.len().saturating_sub(1);
    steps.iter().enumerate().try_for_each(|(number, step)| step.write(f, before, number == last))
}

impl Explanation {
    /// `{"decision": {"code", "rule", "reason", "shadow": {"code", "rule"}}, "steps": [{"asked", "answer", "because": [steps]}]}`;
    /// `reason` and `shadow` are null where there is none.
    pub fn to_json(&self) -> Value {
        let Verdict { code, rule, reason, shadow } = &self.verdict;
        let shadow = shadow.as_ref().map(|(code, rule)| json!({ "code": code, "rule": rule.as_str() }));
        json!({
            "decision": { "code": code, "rule": rule.as_str(), "reason": reason.as_deref(), "shadow": shadow },
            "steps": self.steps.iter().map(Step::to_json).collect::<Value>(),
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { code, rule, reason, shadow } = &self.verdict;
        write!(f, "{code} by {rule}")?;
        if let Some(reason) = reason {
            write!(f, ": {reason}")?;
        }
        if let Some((code, rule)) = shadow {
            write!(f, "; without shadow it would be {code} by {rule}")?;
        }
        writeln!(f)?;
        write_all(f, &self.steps, "")
    }
}
