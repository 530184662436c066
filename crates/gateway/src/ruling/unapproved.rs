//! A call that needs a person's approval and has none: why, and what a model is told to do about it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use policy::{Denial, RulePointer};

use super::rounded_up;

#[derive(Clone, Debug)]
pub(crate) struct Unapproved {
    pub(crate) why: Why,
    pub(crate) rule: RulePointer,
    /// The operator's own words.
    said: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Why {
    /// Somebody is asked, and has not decided.
    Waits(Box<Ticket>),
    /// Somebody said no, and perhaps why.
    Denied {
        id: Arc<str>,
        reason: Option<Arc<str>>,
    },
    /// Nobody decided in time.
    Expired(Arc<str>),
    /// What was approved is another call.
    Changed,
    /// It was one call's, and that call was made.
    Used,
    /// Too many wait, or this agent asks too often.
    Overflow(Option<Duration>),
    Unavailable(Lack),
}

/// Why nobody can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    NoStore,
    /// The store does not answer as it should.
    Silent,
    /// Larger arguments than a person is shown: the bound, in bytes.
    TooLarge(usize),
    /// Such a request is answered at once or not at all.
    CannotWait,
    /// Others were faster, time and again.
    Busy,
}

/// What a call that waits is known by.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    /// The approval's id.
    pub(crate) id: Arc<str>,
    /// Where a person decides.
    pub(crate) url: Box<str>,
    /// Milliseconds since 1970.
    pub(crate) expires_ms: i64,
    /// How long the call may stay open.
    pub(crate) hold: Duration,
    /// Nobody was asked about such a call before this one.
    pub(crate) is_new: bool,
}

impl Ticket {
    /// RFC 3339.
    pub(crate) fn expires(&self) -> String {
        let since = Duration::from_millis(u64::try_from(self.expires_ms).unwrap_or_default());
        humantime::format_rfc3339_seconds(UNIX_EPOCH.checked_add(since).unwrap_or_else(SystemTime::now)).to_string()
    }
}

impl Unapproved {
    pub(crate) fn new(denial: &Denial, why: Why) -> Self {
        Self { why, rule: denial.rule.clone(), said: denial.reason.clone() }
    }

    /// Of a call that no rule refused.
    pub(crate) fn by(rule: RulePointer, why: Why) -> Self {
        Self { why, rule, said: None }
    }

    /// What became of it later.
    pub(crate) fn then(&self, why: Why) -> Self {
        Self { why, ..self.clone() }
    }

    pub(super) fn code(&self) -> &'static str {
        match &self.why {
            Why::Waits(_) => "approval.required",
            Why::Denied { .. } => "approval.denied",
            Why::Expired(_) => "approval.expired",
            Why::Changed => "approval.changed",
            Why::Used => "approval.used",
            Why::Overflow(_) => "approval.overflow",
            Why::Unavailable(_) => "approval.unavailable",
        }
    }

    pub(super) fn ticket(&self) -> Option<&Ticket> {
        match &self.why {
            Why::Waits(ticket) => Some(ticket),
            Why::Denied { .. }
            | Why::Expired(_)
            | Why::Changed
            | Why::Used
            | Why::Overflow(_)
            | Why::Unavailable(_) => None,
        }
    }

    pub(super) fn approval(&self) -> Option<&str> {
        match &self.why {
            Why::Waits(ticket) => Some(&ticket.id),
            Why::Denied { id, .. } | Why::Expired(id) => Some(id),
            Why::Changed | Why::Used | Why::Overflow(_) | Why::Unavailable(_) => None,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match &self.why {
            Why::Overflow(wait) => *wait,
            Why::Waits(_) | Why::Denied { .. } | Why::Expired(_) | Why::Changed | Why::Used | Why::Unavailable(_) => {
                None
            }
        }
    }

    /// Who denied it says why; else the operator's words on the rule.
    pub(super) fn reason(&self) -> Option<&str> {
        match &self.why {
            Why::Denied { reason: Some(reason), .. } => Some(reason),
            Why::Denied { reason: None, .. } => None,
            Why::Waits(_) | Why::Expired(_) | Why::Changed | Why::Used | Why::Overflow(_) | Why::Unavailable(_) => {
                self.said.as_deref()
            }
        }
    }

    pub(super) fn told(&self, subject: &str) -> String {
        let reason = self.reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let rule = self.rule.as_str();
        match &self.why {
            Why::Waits(ticket) => format!(
                "toolgate: `{subject}` needs a person's approval, and nobody has decided yet. It was not run.{reason} Rule: {rule}. \
                 Ticket: {}. A person decides at {} until {}. Repeat the identical call to wait on, and to run it once it is approved; \
                 with other arguments it is another call, which needs another approval.",
                ticket.id,
                ticket.url,
                ticket.expires()
            ),
            Why::Denied { reason: None, .. } => format!(
                "toolgate: a person denied `{subject}`. It was not run. Rule: {rule}. Repeating the call will not help: \
                 do without it, or ask your user what to do instead."
            ),
            Why::Denied { .. } => format!(
                "toolgate: a person denied `{subject}`:{reason} It was not run. Rule: {rule}. Repeating the call will not help: \
                 do what the reason says, or ask your user what to do instead."
            ),
            Why::Expired(_) => format!(
                "toolgate: `{subject}` was not approved, or not made, within the time for it. It was not run.{reason} Rule: {rule}. \
                 Repeating the identical call asks for approval once more."
            ),
            Why::Changed => format!(
                "toolgate: `{subject}` is not the call that was approved: its arguments, its definition or the policy changed since. It was not \
                 run. Rule: {rule}. Make the call anew, without what was given out for the other one: that asks for an approval of its own."
            ),
            Why::Used => format!(
                "toolgate: the approval of `{subject}` is used up: it was for one call, which was made. This one was not run. Rule: {rule}. \
                 Make the call anew to ask for another approval."
            ),
            Why::Overflow(Some(wait)) => format!(
                "toolgate: `{subject}` needs a person's approval, and too many were asked for lately. It was not run, and nobody is asked. \
                 Rule: {rule}. Retry after {} s.",
                rounded_up(*wait, 1_000_000_000)
            ),
            Why::Overflow(None) => format!(
                "toolgate: `{subject}` needs a person's approval, and too many calls wait for one already. It was not run, and nobody is asked. \
                 Rule: {rule}. Retry when some of them are decided."
            ),
            Why::Unavailable(lack) => format!(
                "toolgate: `{subject}` needs a person's approval, and nobody can be asked: {}. It was not run.{reason} Rule: {rule}. {}",
                lack.told(),
                lack.advice()
            ),
        }
    }
}

impl Lack {
    fn told(self) -> String {
        match self {
            Self::NoStore => "this gateway has no store to keep approvals in".to_owned(),
            Self::Silent => "the gateway's store does not answer now".to_owned(),
            Self::TooLarge(bound) => format!("its arguments are larger than the {bound} bytes that a person is shown"),
            Self::CannotWait => "such a request cannot wait for a person".to_owned(),
            Self::Busy => "others took what was approved, time and again".to_owned(),
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::NoStore | Self::CannotWait => "Repeating the call will not help.",
            Self::TooLarge(_) => "Repeat it with smaller arguments.",
            Self::Silent | Self::Busy => "Retry later.",
        }
    }
}
