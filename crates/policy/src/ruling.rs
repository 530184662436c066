//! Which rule wins when several match: `Ruling::of` is the order of the policy language, the only place that has it.

use std::sync::Arc;

use crate::check::Check;
use crate::owing::Owing;
use crate::pattern::Pattern;
use crate::source::{Action, Fallback};
use crate::{Approval, Owed, Recorded, RulePointer};

/// One rule of a policy, as meant.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The place among the rules of its space, the more particular first; independent of the order in the file.
    pub(crate) rank: u32,
    pub(crate) pattern: Pattern,
    pub(crate) except: Vec<Pattern>,
    pub(crate) action: Action,
    /// Whether a name it matches is listed by that; `all_tools`, `*` and `hide` list nothing.
    pub(crate) lists: bool,
    pub(crate) pointer: RulePointer,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) owed: Box<[Owed]>,
    pub(crate) checks: Box<[Check]>,
    pub(crate) approval: Option<Arc<Approval>>,
    pub(crate) record: Box<[Recorded]>,
    /// It counts as a rule that allows; what it would have said is recorded.
    pub(crate) shadow: bool,
}

/// What all rules that match a name say together. Conditions and limits come after it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ruling<R> {
    Hidden,
    Denied(R),
    DeniedByDefault,
    NeedsApproval(R),
    Permitted(R),
    PermittedByDefault,
}

/// Whether rules in shadow are taken as they are meant, or as they act for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Acting,
    Strict,
}

impl Rule {
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.pattern.matches(name) && !self.except.iter().any(|except| except.matches(name))
    }

    /// Whether more than its name and action matters once a call is there.
    pub(crate) fn asks(&self) -> bool {
        !self.checks.is_empty() || self.approval.is_some()
    }
}

impl<'p> Ruling<&'p Arc<Rule>> {
    // INVARIANT: hiding wins over denying, denying over all else; without a rule that lists the name, the default decides.
    pub(crate) fn of(matching: &[&'p Arc<Rule>], default: Fallback, mode: Mode) -> Self {
        let counts = |rule: &Rule| mode == Mode::Strict || !rule.shadow;
        let first = |action| matching.iter().copied().find(|rule| rule.action == action && counts(rule));
        let listing = matching.iter().copied().find(|rule| rule.lists);
        if first(Action::Hide).is_some() {
            Self::Hidden
        } else if let Some(rule) = first(Action::Deny) {
            Self::Denied(rule)
        } else if listing.is_none() && default == Fallback::Deny {
            Self::DeniedByDefault
        } else if let Some(rule) = first(Action::RequireApproval) {
            Self::NeedsApproval(rule)
        } else {
            listing.map_or(Self::PermittedByDefault, Self::Permitted)
        }
    }
}

impl<R> Ruling<R> {
    pub(crate) fn as_ref(&self) -> Ruling<&R> {
        match self {
            Self::Hidden => Ruling::Hidden,
            Self::Denied(rule) => Ruling::Denied(rule),
            Self::DeniedByDefault => Ruling::DeniedByDefault,
            Self::NeedsApproval(rule) => Ruling::NeedsApproval(rule),
            Self::Permitted(rule) => Ruling::Permitted(rule),
            Self::PermittedByDefault => Ruling::PermittedByDefault,
        }
    }

    pub(crate) fn map<S>(self, change: impl Fn(R) -> S) -> Ruling<S> {
        match self {
            Self::Hidden => Ruling::Hidden,
            Self::Denied(rule) => Ruling::Denied(change(rule)),
            Self::DeniedByDefault => Ruling::DeniedByDefault,
            Self::NeedsApproval(rule) => Ruling::NeedsApproval(change(rule)),
            Self::Permitted(rule) => Ruling::Permitted(change(rule)),
            Self::PermittedByDefault => Ruling::PermittedByDefault,
        }
    }
}

/// Everything that the matching rules ask for.
pub(crate) fn owed<'p>(matching: &[&'p Arc<Rule>]) -> Owing<'p> {
    Owing::sum(matching.iter().map(|rule| &*rule.owed).filter(|owed| !owed.is_empty()))
}
