//! Conditions: whether what a rule asks about a call holds. Each test gives yes or no, and where it cannot be asked, the
//! answer that is safe for what the rule does with it.

use crate::check::Facts;
use crate::path::{Found, Path};
use crate::test::{Test, WrongType};

/// `not` is nowhere in it: it was pushed down to the tests, which have a complement each.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// Holds when empty.
    All(Vec<Condition>),
    /// Does not hold when empty.
    Any(Vec<Condition>),
    Test(Box<Asked>),
}

/// One operator at one path.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: Path,
    pub(crate) test: Test,
    pub(crate) negated: bool,
}

/// What a rule does with a condition, which says what is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// `require`: holds only for sure, for every element.
    Require,
    /// `deny_if`, `approve_if`: holds when it may, for any element.
    Beware,
}

impl Condition {
    pub(crate) fn holds(&self, facts: &Facts<'_>, stance: Stance) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(facts, stance)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(facts, stance)),
            Self::Test(asked) => asked.holds(facts, stance),
        }
    }

    /// What a predicate's list holds.
    pub(crate) fn parts(&self) -> &[Self] {
        match self {
            Self::All(conditions) => conditions,
            Self::Any(_) | Self::Test(_) => std::slice::from_ref(self),
        }
    }

    /// Whether it asks about any path of this kind.
    pub(crate) fn any_path(&self, wanted: fn(&Path) -> bool) -> bool {
        match self {
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().any(|condition| condition.any_path(wanted))
            }
            Self::Test(asked) => wanted(&asked.path),
        }
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::All(conditions) => Self::Any(conditions.into_iter().map(Self::negated).collect()),
            Self::Any(conditions) => Self::All(conditions.into_iter().map(Self::negated).collect()),
            Self::Test(asked) => Self::Test(Box::new(asked.negated())),
        }
    }
}

impl Asked {
    pub(crate) fn holds(&self, facts: &Facts<'_>, stance: Stance) -> bool {
        match stance {
            Stance::Require => !self.path.any(facts, |found| !self.surely(found)),
            Stance::Beware => self.path.any(facts, |found| self.perhaps(found)),
        }
    }

    /// To one of the values that its path leads to.
    pub(crate) fn says(&self, found: Found<'_>, stance: Stance) -> bool {
        match stance {
            Stance::Require => self.surely(found),
            Stance::Beware => self.perhaps(found),
        }
    }

    fn surely(&self, found: Found<'_>) -> bool {
        match found {
            Found::Value(value) => self.test.ask(&value).is_ok_and(|yes| yes != self.negated),
            Found::Missing => matches!(self.test, Test::Exists) && self.negated,
            Found::WrongType => false,
        }
    }

    fn perhaps(&self, found: Found<'_>) -> bool {
        match found {
            Found::Value(value) => match self.test.ask(&value) {
                Ok(yes) => yes != self.negated,
                Err(WrongType) => true,
            },
            // `neq`, `not_in`, `exists: false`, and the other complements with them. Those of `lt` and its like are no
            // complements here, but the other one of a pair.
            Found::Missing => self.negated,
            Found::WrongType => true,
        }
    }

    fn negated(mut self) -> Self {
        match &mut self.test {
            Test::Compare(relation, _) | Test::Length(relation, _) => *relation = relation.complement(),
            Test::Equals(_)
            | Test::OneOf(_)
            | Test::Exists
            | Test::Contains(_)
            | Test::StartsWith(_)
            | Test::EndsWith(_)
            | Test::Glob(_)
            | Test::Regex(_)
            | Test::Within(_)
            | Test::HostIn(_)
            | Test::Type(_) => self.negated = !self.negated,
        }
        self
    }
}
