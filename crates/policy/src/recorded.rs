//! Which arguments an operator wants to see again: named one by one, and none else.

use crate::path::{Path, Step};
use crate::written;

/// An argument whose value belongs into the record of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    path: Box<str>,
    keys: Box<[Box<str>]>,
}

impl Recorded {
    /// None where it is not one argument: a fact of another kind, or every element of a list.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let Path::Args(steps) = path else { return None };
        let key = |step: &Step| match step {
            Step::Key(key) => Some(key.clone()),
            Step::Each => None,
        };
        let keys: Box<[_]> = steps.iter().map(key).collect::<Option<_>>()?;
        (!keys.is_empty()).then(|| Self { path: written::path(path).into(), keys })
    }

    /// As the language writes it: `args.a.b`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The keys that lead to it, from the arguments on.
    pub fn keys(&self) -> &[Box<str>] {
        &self.keys
    }
}
