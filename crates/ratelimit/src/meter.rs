//! What is counted together: a meter is one count with several quotas on it.

use crate::Quota;

/// The quotas that share one count. Built once per policy and shared behind an `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    quotas: Box<[Quota]>,
}

/// Why a meter cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMeter {
    #[error("a meter takes at most {max} quotas, not {0}", max = Meter::MAX_QUOTAS)]
    TooManyQuotas(usize),
}

impl Meter {
    /// How many quotas one count can carry.
    pub const MAX_QUOTAS: usize = 63;

    pub fn new(quotas: impl IntoIterator<Item = Quota>) -> Result<Self, InvalidMeter> {
        let quotas: Box<[Quota]> = quotas.into_iter().collect();
        if quotas.len() > Self::MAX_QUOTAS {
            return Err(InvalidMeter::TooManyQuotas(quotas.len()));
        }
        Ok(Self { quotas })
    }

    pub fn quotas(&self) -> &[Quota] {
        &self.quotas
    }
}

/// Which quotas of a meter must hold for a demand, by their index. Empty means: count it, refuse nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaSet(u64);

impl QuotaSet {
    /// Enforces nothing.
    pub const NONE: Self = Self(0);

    /// Adds a quota. An index that no meter can have stays in the set, so the demand is refused instead of going unchecked.
    pub fn insert(&mut self, index: usize) {
        self.0 |= 1 << index.min(Meter::MAX_QUOTAS);
    }

    pub fn contains(self, index: usize) -> bool {
        index <= Meter::MAX_QUOTAS && self.0 & (1 << index) != 0
    }

    /// The highest index, which tells whether a meter knows them all.
    pub(crate) fn highest(self) -> Option<usize> {
        usize::try_from(self.0.checked_ilog2()?).ok()
    }
}

impl FromIterator<usize> for QuotaSet {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut set = Self::NONE;
        indices.into_iter().for_each(|index| set.insert(index));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;
    use std::{num::NonZeroU64, time::Duration};

    #[test]
    fn a_meter_is_bounded() {
        let quota = Quota::new(NonZeroU64::MIN, Duration::from_secs(1), Algorithm::Window).unwrap();
        assert!(Meter::new(vec![quota; 63]).is_ok());
        assert_eq!(Meter::new(vec![quota; 64]), Err(InvalidMeter::TooManyQuotas(64)));
    }

    #[test]
    fn sets() {
        assert_eq!(QuotaSet::NONE.highest(), None);
        assert_eq!(QuotaSet::from_iter([0]).highest(), Some(0));
        assert_eq!(QuotaSet::from_iter([5, 2]).highest(), Some(5));
        assert_eq!(QuotaSet::from_iter([usize::MAX]).highest(), Some(Meter::MAX_QUOTAS));
        let set = QuotaSet::from_iter([0, 62]);
        assert_eq!([0, 1, 62, 63, usize::MAX].map(|i| set.contains(i)), [true, false, true, false, false]);
    }
}
