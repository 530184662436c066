//! One quota: how many units, in which span, counted how.

use crate::clock::Nanos;
use std::{num::NonZeroU64, time::Duration};

/// How a quota forgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Never more than `max` in any span of the window's length.
    #[default]
    Window,
    /// A steady rate of `max` per window with a burst of `max` (GCRA).
    Smooth,
}

/// At most `max` units per `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    max: NonZeroU64,
    window: Nanos,
    algorithm: Algorithm,
}

/// Why a quota makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuota {
    #[error("a window of no length would limit nothing")]
    EmptyWindow,
    #[error("a window cannot be longer than 584 years")]
    WindowTooLong,
}

impl Quota {
    pub fn new(max: NonZeroU64, window: Duration, algorithm: Algorithm) -> Result<Self, InvalidQuota> {
        match Nanos::try_from(window.as_nanos()) {
            Ok(0) => Err(InvalidQuota::EmptyWindow),
            Ok(window) => Ok(Self { max, window, algorithm }),
            Err(_) => Err(InvalidQuota::WindowTooLong),
        }
    }

    pub fn max(&self) -> NonZeroU64 {
        self.max
    }

    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn window_nanos(&self) -> Nanos {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(window: Duration, expected: Result<(), InvalidQuota>) {
        assert_eq!(Quota::new(NonZeroU64::MIN, window, Algorithm::Window).map(drop), expected);
    }

    #[test]
    fn a_window_has_a_length_that_can_be_counted() {
        check(Duration::ZERO, Err(InvalidQuota::EmptyWindow));
        check(Duration::from_nanos(1), Ok(()));
        check(Duration::from_nanos(u64::MAX), Ok(()));
        check(Duration::MAX, Err(InvalidQuota::WindowTooLong));
    }
}
