//! What a rule asks of a call before it lets it pass: its predicates, compiled, each under the name of its place.

use std::sync::Arc;

use crate::catalogue::Classes;
use crate::condition::{Condition, Stance};
use crate::{Call, RulePointer};

#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) effect: Effect,
    pub(crate) condition: Condition,
    pub(crate) pointer: RulePointer,
    /// The predicate's own words, else its rule's.
    pub(crate) reason: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Require,
    DenyIf,
    ApproveIf,
}

/// All that a condition may ask about.
pub(crate) struct Facts<'a> {
    pub(crate) call: Call<'a>,
    pub(crate) classes: &'a Classes,
}

impl Check {
    /// Whether the call must not simply pass: a `require` that does not hold, a `deny_if` or `approve_if` that does.
    pub(crate) fn stops(&self, facts: &Facts<'_>) -> bool {
        match self.effect {
            Effect::Require => !self.condition.holds(facts, Stance::Require),
            Effect::DenyIf | Effect::ApproveIf => self.condition.holds(facts, Stance::Beware),
        }
    }
}
