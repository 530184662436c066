//! Compares two policies by what they mean: which calls fare otherwise under the new one, each shown by a call that both
//! engines were asked about. Where that cannot be decided, it says so; it never takes two policies for equal unproven.

mod ask;
mod calls;
mod lists;
mod moments;
mod names;
mod numbers;
mod objects;
mod search;
mod terms;
mod texts;
mod values;
mod witness;

use crate::Policy;
pub use names::{Kind, NameClass};
pub use witness::{Outcome, Verdict, Witness};

/// What changes from one policy to another.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    pub changes: Vec<Change>,
    pub unknown: Vec<Unknown>,
}

/// One difference between two policies.
#[derive(Clone, Debug)]
pub struct Change {
    pub direction: Direction,
    pub what: What,
}

/// Whether the new policy lets more through, or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    Widened,
    Narrowed,
}

/// What it is that changes.
#[derive(Clone, Debug)]
pub enum What {
    /// Some calls of these names.
    Calls { names: NameClass, old: Outcome, new: Outcome, witness: Box<Witness> },
}

/// A difference that there may be.
#[derive(Clone, Debug)]
pub struct Unknown {
    pub direction: Direction,
    /// None where it is about names of this kind that are not known.
    pub names: Option<NameClass>,
    pub kind: Kind,
    pub old: Verdict,
    pub new: Verdict,
    pub reasons: Vec<String>,
}

/// Compares an old policy with a new one. Pure; takes no more than some seconds, and says `unknown` of what is left.
pub fn diff(old: &Policy, new: &Policy) -> Diff {
    let mut diff = Diff::default();
    calls::compare(old, new, &mut diff);
    diff
}

impl Diff {
    /// Whether nothing changes, for sure.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.unknown.is_empty()
    }

    /// Whether anything is let through that was not.
    pub fn widens(&self) -> bool {
        self.changes.iter().any(|change| change.direction == Direction::Widened)
    }

    /// Whether it cannot be ruled out that something is let through that was not.
    pub fn may_widen(&self) -> bool {
        self.widens() || self.unknown.iter().any(|unknown| unknown.direction == Direction::Widened)
    }
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
        }
    }

    fn of(old: Verdict, new: Verdict) -> Self {
        if new > old { Self::Widened } else { Self::Narrowed }
    }
}
