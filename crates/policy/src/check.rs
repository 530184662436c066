//! What a rule asks of a call before it lets it pass: its predicates, compiled, each under the name of its place.

use std::sync::Arc;

use crate::condition::{Condition, Stance};
use crate::{Call, RulePointer};

#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) stance: Stance,
    pub(crate) condition: Condition,
    pub(crate) pointer: RulePointer,
    /// The predicate's own words, else its rule's.
    pub(crate) reason: Option<Arc<str>>,
}

impl Check {
    /// Whether the call fails it: a `require` that does not hold, a `deny_if` that does.
    pub(crate) fn stops(&self, call: &Call<'_>) -> bool {
        let holds = self.condition.holds(call, self.stance);
        match self.stance {
            Stance::Require => !holds,
            Stance::Beware => holds,
        }
    }
}
