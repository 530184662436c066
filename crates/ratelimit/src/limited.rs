//! Why a call was not granted.

use std::time::Duration;

/// A refusal by the limiter. `demand` and `quota` are indices into what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// The quota is used up. Among several, the one that takes longest is named, so waiting this long is enough if nobody else
    /// comes first; units that others hold are taken as spent now.
    #[error("the quota is used up for another {retry_after:?}")]
    Exhausted { demand: usize, quota: usize, retry_after: Duration },
    /// The cost alone is above the quota's `max`.
    #[error("the cost is above the quota, so it can never pass")]
    TooCostly { demand: usize, quota: usize },
    /// As many keys as allowed are active, and this one is new.
    #[error("no room to count another key")]
    Full { demand: usize },
    /// The store has lost counts, or may have: until the quota's window is over, nobody knows what is left.
    #[error("counts were lost, and are whole again in {retry_after:?}")]
    Lost { demand: usize, quota: usize, retry_after: Duration },
    /// The demand enforces a quota that its meter does not have.
    #[error("the meter has no such quota")]
    NoSuchQuota { demand: usize, quota: usize },
}

impl Limited {
    /// How long to wait, where waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Exhausted { retry_after, .. } | Self::Lost { retry_after, .. } => Some(*retry_after),
            Self::TooCostly { .. } | Self::Full { .. } | Self::NoSuchQuota { .. } => None,
        }
    }
}
