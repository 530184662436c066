//! A refusal by the operator's rules: its stable code, its rule, and what is told to a model.

use std::time::Duration;

use policy::{Denial, DenyCode, Permitted, RulePointer};
use serde_json::{Map, Value, json};

use crate::limits::{OverLimit, Why as Limit};
use crate::request_id::RequestId;

mod unapproved;

pub(crate) use self::unapproved::{Lack, Ticket, Unapproved, Why};

#[derive(Clone, Debug)]
pub(crate) enum Ruling {
    Denied(Denial),
    Limited(OverLimit),
    /// It needs a person's approval, and has none.
    Unapproved(Box<Unapproved>),
}

impl Ruling {
    /// Answered as if what was asked for did not exist.
    pub(crate) fn hidden() -> Self {
        Self::Denied(Denial::hidden())
    }

    /// Permitted as it is, and no longer what was approved.
    pub(crate) fn changed(permitted: Option<&Permitted<'_>>) -> Self {
        let rule = permitted.map_or(RulePointer::NO_POLICY, |permitted| permitted.rule().clone());
        Self::Unapproved(Box::new(Unapproved::by(rule, Why::Changed)))
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.code() == DenyCode::Hidden.as_str()
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.code.as_str(),
            Self::Limited(over) => match over.why {
                Limit::Reached => "limited",
                Limit::Lost => "limits.lost",
                Limit::Unavailable => "unavailable.limits",
            },
            Self::Unapproved(unapproved) => unapproved.code(),
        }
    }

    pub(crate) fn rule(&self) -> &str {
        match self {
            Self::Denied(denial) => denial.rule.as_str(),
            Self::Limited(over) => over.rule.as_ref().map_or("(limits full)", RulePointer::as_str),
            Self::Unapproved(unapproved) => unapproved.rule.as_str(),
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied(_) => None,
            Self::Limited(over) => over.retry_after,
            Self::Unapproved(unapproved) => unapproved.retry_after(),
        }
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Denied(denial) => denial.reason.as_deref(),
            Self::Limited(_) => None,
            Self::Unapproved(unapproved) => unapproved.reason(),
        }
    }

    /// Where a call that waits for a person is known by.
    pub(crate) fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Denied(_) | Self::Limited(_) => None,
            Self::Unapproved(unapproved) => unapproved.ticket(),
        }
    }

    pub(crate) fn unapproved(&self) -> Option<&Unapproved> {
        match self {
            Self::Denied(_) | Self::Limited(_) => None,
            Self::Unapproved(unapproved) => Some(unapproved),
        }
    }

    /// The id of the approval that it is about.
    pub(crate) fn approval(&self) -> Option<&str> {
        match self {
            Self::Denied(_) | Self::Limited(_) => None,
            Self::Unapproved(unapproved) => unapproved.approval(),
        }
    }

    /// What became of the call, in a word.
    pub(crate) fn outcome(&self) -> &'static str {
        if self.ticket().is_some() { "held" } else { "denied" }
    }

    /// What the caller may know of it: code, rule, the operator's own words, and when to try again.
    pub(crate) fn decision(&self, policy: Option<&str>, request: RequestId) -> Value {
        let members = [
            ("outcome", Some(json!(self.outcome()))),
            ("code", Some(json!(self.code()))),
            ("rule", Some(json!(self.rule()))),
            ("reason", self.reason().map(|reason| json!(reason))),
            ("approval", self.approval().map(|id| json!(id))),
            ("url", self.ticket().map(|ticket| json!(ticket.url))),
            ("expires", self.ticket().map(|ticket| json!(ticket.expires()))),
            ("retry_after_ms", self.retry_after().map(|wait| json!(rounded_up(wait, 1_000_000)))),
            ("policy", policy.map(|hash| json!(hash))),
            ("request_id", Some(json!(request.to_string()))),
        ];
        let members = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(members.collect::<Map<_, _>>())
    }

    /// Told to a model: what happened, why, and what to do next.
    pub(crate) fn told(&self, subject: &str) -> String {
        let reason = self.reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let rule = self.rule();
        match self {
            Self::Unapproved(unapproved) => unapproved.told(subject),
            Self::Denied(_) if reason.is_empty() => format!(
                "toolgate: `{subject}` is denied by the operator's policy. Rule: {rule}. Repeating the call will not help."
            ),
            Self::Denied(_) => {
                format!("toolgate: `{subject}` is denied.{reason} Rule: {rule}. Repeating the call will not help.")
            }
            Self::Limited(OverLimit { why: Limit::Unavailable, retry_after, .. }) => format!(
                "toolgate: the limits of `{subject}` cannot be counted now, since their store does not answer, so it is refused. Rule: {rule}. \
                 Retry after {} s.",
                rounded_up(retry_after.unwrap_or_default(), 1_000_000_000)
            ),
            Self::Limited(OverLimit { why: Limit::Lost, retry_after, .. }) => format!(
                "toolgate: the counts for the limits of `{subject}` were lost, so it is refused until one window is over. Rule: {rule}. \
                 Retry after {} s.",
                rounded_up(retry_after.unwrap_or_default(), 1_000_000_000)
            ),
            Self::Limited(OverLimit { retry_after: Some(wait), .. }) => format!(
                "toolgate: the rate limit for `{subject}` is reached. Rule: {rule}. Retry after {} s.",
                rounded_up(*wait, 1_000_000_000)
            ),
            Self::Limited(_) => format!(
                "toolgate: `{subject}` cannot be counted against its limits now, so it is refused. Rule: {rule}. Retry later."
            ),
        }
    }
}

/// A wait in units of so many nanoseconds: never told shorter than it is.
fn rounded_up(wait: Duration, nanos: u128) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(nanos)).unwrap_or(u64::MAX)
}
