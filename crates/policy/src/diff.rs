//! Compares two policies by what they mean: which calls fare otherwise under the new one, each shown by a call that both
//! engines were asked about. Where that cannot be decided, it says so; it never takes two policies for equal unproven.

mod ask;
mod calls;
mod json;
mod lists;
mod moments;
mod names;
mod numbers;
mod objects;
mod owed;
mod places;
mod report;
mod search;
mod terms;
mod texts;
mod values;
mod walk;
mod witness;

use crate::{Approval, Policy, Reverse};
pub use names::{Kind, NameClass};
pub use owed::LimitTerms;
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
    /// Neither: it changes how long anyone waits for approval.
    Altered,
}

/// What it is that changes.
#[derive(Clone, Debug)]
pub enum What {
    /// Some calls of these names.
    Calls { names: NameClass, old: Outcome, new: Outcome, witness: Box<Witness> },
    /// A limit on calls that both policies may permit; none where there is none.
    Limit { names: Vec<NameClass>, old: Option<Box<LimitTerms>>, new: Option<Box<LimitTerms>> },
    /// Who may consent to calls that both policies may hold for approval, and how; by each rule that may hold them.
    Approval { names: Vec<NameClass>, old: Vec<Approval>, new: Vec<Approval> },
    /// Whether a server may ask this of the client.
    Reverse { ask: Reverse, new: bool },
    /// Whether the document is in shadow now, and refuses nothing.
    Mode { shadow: bool },
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
    if old.hash() == new.hash() {
        return diff; // the same bytes: even where they are too many to look at in time
    }
    let shadow = new.tools().in_shadow();
    if old.tools().in_shadow() != shadow {
        diff.add(Direction::of(!shadow, shadow), What::Mode { shadow });
    }
    calls::compare(old, new, &mut diff);
    for ask in [Reverse::Sampling, Reverse::Elicitation, Reverse::Roots] {
        let (old, new) = (old.reverse(ask), new.reverse(ask));
        if old != new {
            diff.add(Direction::of(old, new), What::Reverse { ask, new });
        }
    }
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

    /// The same change for other names is the same change.
    fn add(&mut self, direction: Direction, what: What) {
        let same = self.changes.iter_mut().filter(|change| change.direction == direction);
        for change in same {
            match (&mut change.what, &what) {
                (What::Limit { names, old, new }, What::Limit { names: more, old: before, new: after })
                    if (&*old, &*new) == (before, after) =>
                {
                    return names.extend(more.iter().cloned());
                }
                (What::Approval { names, old, new }, What::Approval { names: more, old: before, new: after })
                    if (&*old, &*new) == (before, after) =>
                {
                    return names.extend(more.iter().cloned());
                }
                _ => {}
            }
        }
        self.changes.push(Change { direction, what });
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
            Self::Altered => "altered",
        }
    }

    fn of<T: PartialOrd>(old: T, new: T) -> Self {
        if new > old { Self::Widened } else { Self::Narrowed }
    }
}
