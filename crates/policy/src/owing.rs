//! What a call owes in all: what one rule says, as it stands there, or what several say together. Takes nothing from the heap
//! for as many counters and limits as rules commonly meet.

use std::ops::Deref;

use smallvec::SmallVec;

use crate::Owed;

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "what is summed is to stay off the heap")]
pub(crate) enum Owing<'p> {
    Said(&'p [Owed]),
    Summed(SmallVec<[Owed; 3]>),
}

impl<'p> Owing<'p> {
    pub(crate) const NOTHING: Self = Self::Said(&[]);

    /// Everything that these ask for, by counter; each counter once.
    pub(crate) fn sum(mut all: impl Iterator<Item = &'p [Owed]>) -> Self {
        let Some(first) = all.next() else {
            return Self::NOTHING;
        };
        let mut rest = all.peekable();
        if rest.peek().is_none() {
            return Self::Said(first);
        }
        let mut sum = SmallVec::<[Owed; 3]>::new();
        for owed in first.iter().chain(rest.flatten()) {
            match sum.binary_search_by_key(&owed.counter, |other| other.counter) {
                Ok(place) => sum.get_mut(place).into_iter().for_each(|other| other.add(owed)),
                Err(place) => sum.insert(place, owed.clone()),
            }
        }
        Self::Summed(sum)
    }

    /// To be changed for one call.
    pub(crate) fn to_mut(&mut self) -> &mut [Owed] {
        if let Self::Said(owed) = self {
            *self = Self::Summed(owed.iter().cloned().collect());
        }
        match self {
            Self::Summed(owed) => owed,
            Self::Said(_) => &mut [],
        }
    }
}

impl Deref for Owing<'_> {
    type Target = [Owed];

    fn deref(&self) -> &[Owed] {
        match self {
            Self::Said(owed) => owed,
            Self::Summed(owed) => owed,
        }
    }
}
