//! What a call costs where its arguments say so. A cost that cannot be read, or that is above its limit's `max`, is refused.

use crate::check::Facts;
use crate::counter::Priced;
use crate::owing::Owing;
use crate::path::Found;
use crate::{Denial, DenyCode};

/// What a call owes, and which limit refuses what it costs; first those in force, then those in shadow.
pub(crate) struct Bill<'p> {
    pub(crate) owed: Owing<'p>,
    pub(crate) refused: Option<Denial>,
    pub(crate) shadow: Option<Denial>,
}

impl<'p> Bill<'p> {
    pub(crate) fn new(mut owed: Owing<'p>, facts: &Facts<'_>) -> Self {
        let (mut refused, mut shadow) = (None, None);
        if owed.iter().any(|owed| !owed.priced.is_empty()) {
            for owed in owed.to_mut() {
                for priced in &owed.priced {
                    match priced.cost(facts) {
                        Some(cost) => owed.cost = owed.cost.max(cost),
                        None if priced.shadow => drop(shadow.get_or_insert_with(|| priced.refusal())),
                        None => drop(refused.get_or_insert_with(|| priced.refusal())),
                    }
                }
            }
        }
        Self { owed, refused, shadow }
    }
}

impl Priced {
    /// In millionths; none where it is missing, negative, finer than that, or above the limit.
    pub(crate) fn cost(&self, facts: &Facts<'_>) -> Option<u64> {
        let mut cost = None;
        self.path.any(facts, |found| {
            if let Found::Value(value) = found {
                cost = value.number().and_then(|number| number.scaled(6));
            }
            true
        });
        cost.filter(|cost| *cost <= self.max)
    }

    fn refusal(&self) -> Denial {
        Denial { code: DenyCode::Cost, rule: self.pointer.clone(), reason: None, approval: None }
    }
}
