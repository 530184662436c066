//! When a request is tried again, and how long to wait before. Knows statuses and headers; sends nothing.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

use crate::error::Error;

/// How often, how long and how patiently a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max_retries: u32,
    /// The delay before the first retry; it doubles with each, and a random part of it is waited ("full jitter").
    pub base_delay: Duration,
    /// The longest delay of our own choice.
    pub max_delay: Duration,
    /// The longest delay the service may ask for. Real answers have asked for a day: then the error is returned at once.
    pub max_retry_after: Duration,
    /// The time for all attempts and delays together. Uploads are bound by the idle time-out of the client instead.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 4,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(60),
            deadline: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// Every request is sent once.
    #[must_use]
    pub fn never() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// How long to wait before the retry after `attempts` attempts; `None` when there is to be no other.
    pub(crate) fn delay(&self, attempts: u32, asked: Option<Duration>) -> Option<Duration> {
        if attempts > self.max_retries {
            return None;
        }
        match asked {
            Some(asked) => (asked <= self.max_retry_after).then_some(asked),
            None => Some(self.backoff(attempts).mul_f64(fastrand::f64())),
        }
    }

    fn backoff(&self, attempts: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        self.base_delay.saturating_mul(doubled).min(self.max_delay)
    }
}

/// Whether repeating a request could ever do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is doing it once.
    Safe,
    /// Doing it twice costs twice: only when the first surely was not done.
    OnlyIfNotDone,
}

impl Repeat {
    /// An error that was seen after the request may have reached the service.
    pub(crate) fn after_leaving(self, operation: &'static str, error: Error) -> Error {
        match self {
            Self::Safe => error,
            Self::OnlyIfNotDone => Error::Ambiguous { operation, source: Box::new(error) },
        }
    }
}

pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Whether the service, answering so, surely has not begun.
pub(crate) fn surely_not_done(status: u16, asked: Option<Duration>) -> bool {
    // Proxies have 5xx of their own, such as 524: a service behind one may well have begun. 501 says that it cannot.
    let is_refusal = status == 501 || (status < 500 && !is_transient(status));
    status == 429 || (status == 503 && asked.is_some()) || is_refusal
}

/// How long the service asks to wait, in whichever of the forms it says so.
pub(crate) fn asked_delay(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let milliseconds = ["retry-after-ms", "x-ms-retry-after-ms"].iter().find_map(|name| number(text(name)?));
    if let Some(milliseconds) = milliseconds {
        return Duration::try_from_secs_f64(milliseconds / 1000.0).ok();
    }
    let after = text("retry-after")?;
    if let Some(seconds) = number(after) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(after).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: Option<u64>) {
        let map = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        assert_eq!(asked_delay(&map), expected.map(Duration::from_millis), "{headers:?}");
    }

    #[test]
    fn every_form_of_retry_after() {
        check(&[], None);
        check(&[("retry-after", "2")], Some(2000));
        check(&[("retry-after", "0")], Some(0));
        check(&[("retry-after-ms", "1500"), ("retry-after", "2")], Some(1500));
        check(&[("x-ms-retry-after-ms", "20")], Some(20));
        check(&[("retry-after-ms", "x"), ("x-ms-retry-after-ms", "7")], Some(7));
        check(&[("retry-after-ms", "x"), ("retry-after", "1")], Some(1000));
        check(&[("retry-after", "-1")], None);
        check(&[("retry-after", "NaN")], None);
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(0));
    }

    #[test]
    fn a_date_is_a_time_to_come() {
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let headers = [("retry-after".parse().unwrap(), date.parse().unwrap())].into_iter().collect();
        let asked = asked_delay(&headers).unwrap();
        assert!(asked > Duration::from_secs(90) && asked <= Duration::from_secs(100), "{asked:?}");
    }

    #[test]
    fn delays_double_up_to_their_cap_and_end() {
        let policy = RetryPolicy { max_delay: Duration::from_secs(2), ..RetryPolicy::default() };
        let backoffs: Vec<u128> = (1..=5).map(|attempts| policy.backoff(attempts).as_millis()).collect();
        assert_eq!(backoffs, [500, 1000, 2000, 2000, 2000]);
        assert!((0..100).all(|_| policy.delay(1, None).unwrap() <= Duration::from_millis(500)));
        assert_eq!(policy.delay(5, None), None);
        assert_eq!(policy.delay(4, Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
        assert_eq!(policy.delay(1, Some(Duration::from_secs(86_400))), None);
    }

    #[test]
    fn what_was_surely_not_done() {
        let asked = Some(Duration::ZERO);
        for (status, asked, expected) in [
            (429, None, true),
            (503, asked, true),
            (503, None, false),
            (500, asked, false),
            (408, None, false),
            (502, None, false),
            (504, None, false),
            (501, None, true),
            (520, None, false),
            (524, None, false),
            (529, asked, false),
            (400, None, true),
            (307, None, true),
        ] {
            assert_eq!(surely_not_done(status, asked), expected, "{status} {asked:?}");
        }
    }
}
