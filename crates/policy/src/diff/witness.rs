//! A call, written out so that anybody can make it again: what two policies were asked, and what they answered.

use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;

use super::ask::Part;
use super::moments::moment;
use super::names::NameClass;
use super::search::Parts;
use crate::{Call, Context, Decision, DenyCode, Policy, RulePointer, Subject};

/// A call that shows a difference. What is not named here does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    names: NameClass,
    arguments: Option<String>,
    agent: Option<Box<str>>,
    labels: Vec<(Box<str>, Box<str>)>,
    server: Option<Box<str>>,
    time: Option<SystemTime>,
}

/// What a policy says to a witness, but for its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Of a refusal.
    pub code: Option<DenyCode>,
    pub rule: RulePointer,
}

/// From the strictest to the loosest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Denied, or hidden.
    Refused,
    NeedsApproval,
    Permitted,
}

/// 2026-01-01 in the morning, where no rule asks for the time.
const SOME_DAY: Duration = Duration::from_secs(1_767_258_000);

impl Witness {
    pub(super) fn new(names: &NameClass, parts: &Parts) -> Self {
        let text = |value: &Option<String>| value.as_deref().and_then(|json| serde_json::from_str::<String>(json).ok());
        let mut members = Vec::new();
        let mut witness =
            Self { names: names.clone(), arguments: None, agent: None, labels: Vec::new(), server: None, time: None };
        for (part, value) in parts {
            match part {
                Part::Argument(key) => {
                    members.extend(value.iter().map(|json| format!("{}:{json}", crate::written::quoted(key))));
                }
                Part::Agent => witness.agent = text(value).map(Into::into),
                Part::Label(key) => witness.labels.extend(text(value).map(|label| (key.clone(), label.into()))),
                Part::Server => witness.server = text(value).map(Into::into),
                Part::Time => {
                    let seconds = value.as_ref().and_then(|seconds| seconds.parse().ok());
                    witness.time = seconds.map(moment);
                }
                Part::Arguments | Part::Name => {}
            }
        }
        if !parts.contains_key(&Part::Arguments) {
            witness.arguments = Some(format!("{{{}}}", members.join(",")));
        }
        witness
    }

    pub fn subject(&self) -> Subject<'_> {
        self.names.subject()
    }

    pub fn name(&self) -> &str {
        self.names.example()
    }

    /// JSON; none for a call without any.
    pub fn arguments(&self) -> Option<&str> {
        self.arguments.as_deref()
    }

    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    pub fn labels(&self) -> &[(Box<str>, Box<str>)] {
        &self.labels
    }

    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// The hour in which it is made.
    pub fn time(&self) -> Option<SystemTime> {
        self.time
    }

    /// What the policy says to this very call.
    pub fn ask(&self, policy: &Policy) -> Outcome {
        let arguments = self.arguments.as_deref().and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let context = Context {
            agent: self.agent.as_deref(),
            labels: &self.labels,
            server: self.server.as_deref().unwrap_or("server"),
            time: self.time.unwrap_or(SystemTime::UNIX_EPOCH + SOME_DAY),
        };
        match policy.decide(Call { subject: self.subject(), arguments, context }) {
            Decision::Permit(permitted) => {
                Outcome { verdict: Verdict::Permitted, code: None, rule: permitted.rule().clone() }
            }
            Decision::Deny(denial) => {
                let needs_approval = denial.code == DenyCode::ApprovalRequired;
                let verdict = if needs_approval { Verdict::NeedsApproval } else { Verdict::Refused };
                Outcome { verdict, code: Some(denial.code), rule: denial.rule }
            }
        }
    }
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NeedsApproval => "needs approval",
            Self::Permitted => "permitted",
        }
    }
}

impl Outcome {
    /// `permitted`, or the stable code of the refusal.
    pub fn as_str(&self) -> &'static str {
        self.code.map_or("permitted", DenyCode::as_str)
    }
}
