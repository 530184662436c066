//! Asks again and again until something is over, ever more rarely.

use std::time::Duration;

use crate::error::Error;

/// What to do about a job that is paused: it does not end by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenPaused {
    /// Give it back as it is.
    #[default]
    Return,
    /// Wait for somebody to resume it.
    Wait,
}

/// How to wait for a job, or for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitOptions {
    /// The first delay between two looks; each next is half as long again, and up to a fifth shorter by chance.
    pub interval: Duration,
    /// The longest delay between two looks.
    pub max_interval: Duration,
    /// How long to wait in all; `None` for as long as it takes.
    pub deadline: Option<Duration>,
    /// What to do about a paused job; files do not pause.
    pub when_paused: WhenPaused,
    /// How many looks in a row may fail in a way that passes, each after its own retries. None may that asks for more than an
    /// hour's patience.
    pub tolerance: u32,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(60),
            deadline: None,
            when_paused: WhenPaused::Return,
            tolerance: 5,
        }
    }
}

/// The longest a service may ask to be left alone. Real answers have asked for a day: who waits is told so at once.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

const ENDLESS: Duration = Duration::from_secs(u32::MAX as u64);

/// Looks until what is seen is over.
pub(crate) async fn until<T, F: Future<Output = Result<T, Error>>>(
    operation: &'static str,
    options: WaitOptions,
    look: impl Fn() -> F,
    is_over: impl Fn(&T) -> bool,
) -> Result<T, Error> {
    let mut pace = Pace::new(options.interval, options.max_interval, options.tolerance);
    let looks = async {
        loop {
            let asked = match look().await {
                Ok(seen) if is_over(&seen) => return Ok(seen),
                Ok(_) => pace.succeeded(),
                Err(error) => pace.failed(error)?,
            };
            pace.rest(asked).await;
        }
    };
    match options.deadline {
        None => looks.await,
        Some(after) => {
            let late = Error::Deadline { operation, after };
            tokio::time::timeout(after, looks).await.unwrap_or(Err(late))
        }
    }
}

/// When to look next, and how many failures in a row are too many.
#[derive(Debug)]
pub(super) struct Pace {
    first: Duration,
    next: Duration,
    longest: Duration,
    tolerance: u32,
    failures: u32,
}

impl Pace {
    pub(super) fn new(first: Duration, longest: Duration, tolerance: u32) -> Self {
        // Beyond what anybody waits, sums of delays would have no room.
        let (first, longest) = (first.min(ENDLESS), longest.min(ENDLESS));
        Self { first, next: first, longest, tolerance, failures: 0 }
    }

    pub(super) fn succeeded(&mut self) -> Option<Duration> {
        self.failures = 0;
        None
    }

    /// The error, if there is no point in going on; otherwise how long the service asks to be left alone.
    pub(super) fn failed(&mut self, error: Error) -> Result<Option<Duration>, Error> {
        self.failures = self.failures.saturating_add(1);
        let asked = error.api().and_then(|error| error.retry_after);
        if self.failures > self.tolerance || !error.is_retryable() || asked > Some(LONGEST_ASKED) {
            return Err(error);
        }
        tracing::debug!(%error, failures = self.failures, "a look failed");
        Ok(asked)
    }

    /// Something has happened: more may follow soon.
    pub(super) fn quicken(&mut self) {
        self.next = self.first;
    }

    pub(super) async fn rest(&mut self, asked: Option<Duration>) {
        let jitter = 1.0 - fastrand::f64() / 5.0;
        let delay = self.next.mul_f64(jitter).max(asked.unwrap_or_default());
        self.next = self.next.mul_f64(1.5).min(self.longest);
        tokio::time::sleep(delay).await;
    }
}
