//! What a permitted call still owes: counters, the limits on them, and who shares a count. Counts nothing itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::RulePointer;
use crate::path::Path;

/// What a call costs, in millionths: every amount is whole in this unit.
pub const ONE: u64 = 1_000_000;

/// An amount in millionths as people write it: `2.5`, `10`.
pub fn amount(millionths: u64) -> String {
    let (whole, fraction) = (millionths / ONE, millionths % ONE);
    let text = format!("{whole}.{fraction:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One count: every limit of a policy that looks at the same number, for the same kind of key.
#[derive(Clone, Debug)]
pub struct Counter {
    pub name: CounterName,
    pub per: Per,
    pub limits: Vec<Limit>,
}

/// The name written in the policy; for a limit without one, that limit's JSON Pointer (written names never start with `/`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterName(Arc<str>);

/// Never more than `max` within `window`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In millionths; greater than zero.
    pub max: u64,
    /// Greater than zero.
    pub window: Duration,
    pub algorithm: Algorithm,
    pub pointer: RulePointer,
    /// Calls pass, uncounted, while the counts cannot be reached: the operator's own word in the rule.
    pub passes_uncounted: bool,
}

/// Whose calls share a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    #[default]
    Agent,
    Session,
    Server,
    Gateway,
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Exact: never more than `max` in any span as long as the window.
    #[default]
    Window,
    /// GCRA with burst `max`.
    Smooth,
}

/// Few: most counters have one limit.
pub(crate) type Indices = SmallVec<[usize; 2]>;

/// A counter that a permitted call must feed, with how much, and which of its limits must hold for the call to go ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Index into `Policy::counters`.
    pub counter: usize,
    /// Indices into the counter's limits, ascending. Empty where the call only shares the counter's name.
    pub enforced: Indices,
    /// Of the limits, those in shadow: what they would say is worth a record, and no refusal. Ascending.
    pub shadowed: Indices,
    /// In millionths; the largest, where limits on the same counter name different costs.
    pub cost: u64,
    /// What stands in the arguments comes on top of it in the end.
    pub(crate) priced: Box<[Priced]>,
}

/// A cost that the arguments name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Priced {
    pub(crate) path: Path,
    pub(crate) max: u64,
    pub(crate) pointer: RulePointer,
    pub(crate) shadow: bool,
}

impl Owed {
    /// What another rule asks of the same counter: all of it must hold, and the call adds its cost once.
    pub(crate) fn add(&mut self, other: &Self) {
        self.enforced = united(&self.enforced, &other.enforced);
        self.shadowed = united(&self.shadowed, &other.shadowed);
        self.cost = self.cost.max(other.cost);
        if !other.priced.is_empty() {
            self.priced = self.priced.iter().chain(&other.priced).cloned().collect();
        }
    }
}

fn united(a: &[usize], b: &[usize]) -> Indices {
    let mut all: Indices = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl CounterName {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CounterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Per {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }
}
