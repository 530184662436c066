//! Decides a call. `Permitted` is the proof that a policy allowed this very call: only `Policy::decide` makes one.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::ruling::{Rule, Ruling};
use crate::space::Judgement;
use crate::{Call, Owed, Policy, RulePointer, Subject};

/// What a policy says to a call.
#[derive(Debug)]
pub enum Decision<'a> {
    Permit(Permitted<'a>),
    Deny(Denial),
}

/// Proof that a policy allowed this very call, and what the call still owes. Nobody else can make one:
///
/// ```compile_fail,E0451
/// # fn forge<'a>(call: policy::Call<'a>, rule: &'a policy::RulePointer) -> policy::Permitted<'a> {
/// policy::Permitted { call, rule, owed: std::borrow::Cow::Borrowed(&[]) }
/// # }
/// ```
///
/// and one permit is one call:
///
/// ```compile_fail,E0599
/// # fn twice<'a>(permitted: policy::Permitted<'a>) -> [policy::Permitted<'a>; 2] {
/// [permitted.clone(), permitted]
/// # }
/// ```
#[derive(Debug)]
pub struct Permitted<'a> {
    call: Call<'a>,
    rule: &'a RulePointer,
    owed: Cow<'a, [Owed]>,
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} by {rule}", .code.as_str())]
pub struct Denial {
    pub code: DenyCode,
    pub rule: RulePointer,
    /// The operator's own words, for the agent to read.
    pub reason: Option<Arc<str>>,
}

/// The stable name of a refusal; the same in answers, audit and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenyCode {
    /// A rule denies the name.
    Rule,
    /// A `require` does not hold, or a `deny_if` does.
    Condition,
    /// No rule lists the name, and the default is to deny.
    Default,
    /// To be answered as if the name did not exist.
    Hidden,
    /// A person must consent, and this version cannot ask one.
    ApprovalRequired,
}

impl Policy {
    // INVARIANT: no rule, no permit, unless the policy says `"default": "allow"`; and a deny wins over every allow.
    pub fn decide<'a>(&'a self, call: Call<'a>) -> Decision<'a> {
        let Judgement { ruling, owed, asking } = self.judge(call.subject);
        // The order is that of the language: what the name decides, then conditions, then approval.
        let deny = match ruling {
            Ruling::Hidden => Some(Denial::hidden()),
            Ruling::Denied(rule) => Some(Denial::by(DenyCode::Rule, rule)),
            Ruling::DeniedByDefault => Some(Denial::by_default()),
            Ruling::NeedsApproval(_) | Ruling::Permitted(_) | Ruling::PermittedByDefault => None,
        };
        if let Some(denial) = deny.or_else(|| stopped(&asking, &call)) {
            return Decision::Deny(denial);
        }
        let permit = |rule| Decision::Permit(Permitted { call, rule, owed });
        match ruling {
            Ruling::NeedsApproval(rule) => Decision::Deny(Denial::by(DenyCode::ApprovalRequired, rule)),
            Ruling::Permitted(rule) => permit(&rule.pointer),
            Ruling::PermittedByDefault => permit(&DEFAULT_ALLOW),
            Ruling::Hidden | Ruling::Denied(_) | Ruling::DeniedByDefault => Decision::Deny(Denial::by_default()),
        }
    }

    /// Whether a list shows this: exactly when some call of it could be permitted, or approved by a person.
    pub fn lists(&self, subject: Subject<'_>) -> bool {
        match self.judge(subject).ruling {
            Ruling::Hidden | Ruling::Denied(_) | Ruling::DeniedByDefault => false,
            Ruling::NeedsApproval(_) | Ruling::Permitted(_) | Ruling::PermittedByDefault => true,
        }
    }
}

/// The first condition that the call does not meet, of the most particular rule that has one.
fn stopped(asking: &[&Arc<Rule>], call: &Call<'_>) -> Option<Denial> {
    let check = asking.iter().flat_map(|rule| &rule.checks).find(|check| check.stops(call))?;
    Some(Denial { code: DenyCode::Condition, rule: check.pointer.clone(), reason: check.reason.clone() })
}

static DEFAULT_ALLOW: RulePointer = RulePointer::DEFAULT_ALLOW;

impl<'a> Permitted<'a> {
    pub fn call(&self) -> &Call<'a> {
        &self.call
    }

    pub fn subject(&self) -> Subject<'a> {
        self.call.subject
    }

    pub fn arguments(&self) -> Option<&'a RawValue> {
        self.call.arguments
    }

    /// The rule that lists the name; the most particular one, if several do.
    pub fn rule(&self) -> &'a RulePointer {
        self.rule
    }

    /// The counters this call feeds, by index, each at most once, and the limits that must hold.
    pub fn owed(&self) -> &[Owed] {
        &self.owed
    }
}

impl Denial {
    fn by(code: DenyCode, rule: &Rule) -> Self {
        Self { code, rule: rule.pointer.clone(), reason: rule.reason.clone() }
    }

    fn by_default() -> Self {
        Self { code: DenyCode::Default, rule: RulePointer::DEFAULT_DENY, reason: None }
    }

    // INVARIANT: the same for every hidden name, so that nothing can be told from it.
    fn hidden() -> Self {
        Self { code: DenyCode::Hidden, rule: RulePointer::HIDDEN, reason: None }
    }
}

impl DenyCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "denied.rule",
            Self::Condition => "denied.condition",
            Self::Default => "denied.default",
            Self::Hidden => "hidden",
            Self::ApprovalRequired => "approval.required",
        }
    }
}
