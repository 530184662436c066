//! What somebody expects of a policy: calls in order, under a clock of their own, with what shall become of each. A `cases.json`
//! (or `cases.yaml`) beside the policy.
//!
//! The document is the list of cases, or `{"version": "1", "cases": [...]}`. A case names one of `tool`, `resource` and `prompt`, and
//! has an `expect` that names at least one of `outcome`, `code`, `rule`, `reason`, `owed`, `retry_after`, `remaining`, `shadow` and
//! `approval`: what it names is compared, nothing else. It may also have a `name`, `arguments`, an `agent` (nobody when absent or
//! null), `labels`, `session` and `server`, `times` to repeat the call, and either `at` or `after` to move the clock.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;

use crate::diagnostics::Findings;
use crate::{DenyCode, PolicyErrors, Subject, read};

/// A document of cases, read. Never empty.
#[derive(Debug)]
pub struct Cases {
    /// Where the clock starts: at the time of the first case where that says one, else on 1 January 2026, 00:00 UTC, a Thursday.
    pub start: SystemTime,
    pub list: Vec<Case>,
}

/// One call, and what is expected of it.
#[derive(Debug)]
pub struct Case {
    pub name: Option<String>,
    /// Where it stands in the document, counted from 1.
    pub line: usize,
    pub asked: Named,
    pub arguments: Option<Box<RawValue>>,
    /// None for somebody who did not say who it is.
    pub agent: Option<String>,
    pub labels: Vec<(Box<str>, Box<str>)>,
    pub session: Option<String>,
    pub server: Option<String>,
    /// When, since the start. Never before the case above it.
    pub at: Duration,
    /// How many times in a row; each is expected to end alike.
    pub times: NonZeroU32,
    pub expected: Expected,
}

/// What a call is about, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    Tool(String),
    Resource(String),
    Prompt(String),
}

/// Only what is there is compared.
#[derive(Debug, Default)]
pub struct Expected {
    pub outcome: Option<Outcome>,
    pub code: Option<&'static str>,
    pub rule: Option<String>,
    pub reason: Option<String>,
    /// The limits that must hold for the call to pass, by pointer, in any order.
    pub owed: Option<Vec<String>>,
    pub retry_after: Option<Duration>,
    /// What the tightest limit has left after the call, in millionths.
    pub remaining: Option<u64>,
    /// The code of what would have refused it, were it not in shadow.
    pub shadow: Option<&'static str>,
    pub approval: Option<ExpectedApproval>,
}

/// What of an approval is compared.
#[derive(Debug, Default)]
pub struct ExpectedApproval {
    pub approvers: Option<Vec<String>>,
    pub quorum: Option<NonZeroU32>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Permit,
    /// By a rule, a condition, a limit or the default.
    Deny,
    /// A person must consent.
    Approve,
    /// Answered as if the name did not exist.
    Hide,
}

impl Cases {
    /// 1 January 2026, 00:00 UTC.
    pub(crate) fn new_year() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_225_600)
    }

    /// Reads a document, or says everything that is wrong with it at once. `name` appears in diagnostics; where it ends in
    /// `.yaml` or `.yml`, the text is read as YAML.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyErrors> {
        let mut findings = Findings::new(name, text);
        let cases = read::cases(text, &mut findings);
        findings.unless_errors()?;
        Ok(cases)
    }
}

impl Named {
    pub fn as_subject(&self) -> Subject<'_> {
        match self {
            Self::Tool(name) => Subject::Tool(name),
            Self::Resource(uri) => Subject::Resource(uri),
            Self::Prompt(name) => Subject::Prompt(name),
        }
    }
}

impl Outcome {
    pub(crate) const ALL: [(&str, Self); 4] =
        [("permit", Self::Permit), ("deny", Self::Deny), ("approve", Self::Approve), ("hide", Self::Hide)];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Approve => "approve",
            Self::Hide => "hide",
        }
    }
}

impl DenyCode {
    pub(crate) const ALL: [Self; 6] =
        [Self::Rule, Self::Condition, Self::Default, Self::Hidden, Self::Cost, Self::ApprovalRequired];
}
