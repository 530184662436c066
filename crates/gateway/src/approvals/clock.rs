//! The time of day as it was when the gateway started, and what went by since: a clock that is set meanwhile opens and ends no approval.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started_ms: i64,
    since: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            started_ms: millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            since: Instant::now(),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.started_ms.saturating_add(millis(self.since.elapsed()))
    }

    /// When that time has come; now, if it is past.
    pub(crate) fn at(&self, ms: i64) -> Instant {
        let left = u64::try_from(ms.saturating_sub(self.now_ms())).unwrap_or_default();
        Instant::now() + Duration::from_millis(left)
    }
}

pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
