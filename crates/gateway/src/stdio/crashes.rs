//! How often a process may end before it is left alone for a while.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The crash budget: so many ends within so long. One more, and nothing is started until the cool-down is over.
const MAX: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
const COOL_DOWN: Duration = Duration::from_secs(30);

/// The wait before a restart: none before the first, then this, and twice as long each time.
const BACKOFF: Duration = Duration::from_millis(200);

#[derive(Default)]
pub(super) struct Crashes(VecDeque<Instant>);

/// What to do after a crash.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    StartAt(Instant),
    RefuseUntil(Instant),
}

impl Crashes {
    pub(super) fn one_more(&mut self, now: Instant) -> Next {
        self.0.retain(|&at| now < at + WINDOW);
        self.0.push_back(now);
        if self.0.len() > MAX {
            self.0.clear();
            return Next::RefuseUntil(now + COOL_DOWN);
        }
        let earlier = u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Next::StartAt(match earlier {
            0 => now,
            more => now + BACKOFF * 2_u32.saturating_pow(more - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_restart_is_at_once_and_the_sixth_is_not_made() {
        let start = Instant::now();
        let mut crashes = Crashes::default();
        let waits: Vec<Next> = (0..6).map(|_| crashes.one_more(start)).collect();
        let at = |millis| Next::StartAt(start + Duration::from_millis(millis));
        assert_eq!(waits, [at(0), at(200), at(400), at(800), at(1600), Next::RefuseUntil(start + COOL_DOWN)]);
    }

    #[tokio::test]
    async fn what_is_long_ago_does_not_count() {
        let start = Instant::now();
        let mut crashes = Crashes::default();
        for n in 0..100 {
            let now = start + WINDOW * n;
            assert_eq!(crashes.one_more(now), Next::StartAt(now));
        }
    }
}
