//! What a program asks, under ids of ours: a program that is started again counts anew, and no old answer may meet a new question.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use mcp::Id;

/// Questions of one program that wait for an answer; a further one takes the place of the oldest.
const MAX_QUESTIONS: usize = 256;

/// INVARIANT: never given twice, whichever program asks.
static NEXT: AtomicU64 = AtomicU64::new(1);

#[derive(Default)]
pub(super) struct Questions {
    /// The program's own ids, as JSON text.
    theirs: BTreeMap<u64, Box<str>>,
}

impl Questions {
    /// Our id for a question; and the program's for the one that is given up for it, if there are too many.
    pub(super) fn asked(&mut self, their: Id<'_>) -> (u64, Option<Box<str>>) {
        let given_up = match self.theirs.len() >= MAX_QUESTIONS {
            true => self.theirs.pop_first().map(|(_, their)| their),
            false => None,
        };
        let ours = NEXT.fetch_add(1, Ordering::Relaxed);
        self.theirs.insert(ours, their.as_json().into());
        (ours, given_up)
    }

    /// The program's id for a question that is answered now. None: it is not, or not any more.
    pub(super) fn answered(&mut self, ours: u64) -> Option<Box<str>> {
        self.theirs.remove(&ours)
    }

    /// The program takes a question back.
    pub(super) fn withdrawn(&mut self, their: Id<'_>) -> Option<u64> {
        let ours = self.theirs.iter().find_map(|(ours, own)| (own.as_ref() == their.as_json()).then_some(*ours))?;
        self.theirs.remove(&ours);
        Some(ours)
    }
}
