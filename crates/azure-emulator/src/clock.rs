//! Virtual time: it runs from the moment of the start, faster than real time if asked to, and can be moved ahead.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Milliseconds since 1970, by virtual time.
pub(crate) type Millis = i64;

#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    epoch: Millis,
    speed: f64,
    ahead: Mutex<Duration>,
}

impl Clock {
    /// `speed` virtual seconds pass for each real one; with 0 only `advance` moves it.
    pub(crate) fn new(speed: f64) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let epoch = i64::try_from(since.as_secs()).unwrap_or_default().saturating_mul(1000);
        Self { began: Instant::now(), epoch, speed, ahead: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Millis {
        let passed = self.began.elapsed().mul_f64(self.speed).saturating_add(self.ahead());
        self.epoch.saturating_add(millis(passed))
    }

    /// The same without the speed: what credentials live by, since their holders measure real time.
    pub(crate) fn unhurried(&self) -> Millis {
        self.epoch.saturating_add(millis(self.began.elapsed().saturating_add(self.ahead())))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        *ahead = ahead.saturating_add(by);
    }

    fn ahead(&self) -> Duration {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn millis(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
