//! Times that people write as spans: `90d`, `1h`.

use std::time::Duration;

use crate::problem::Problem;

/// Longer than any of ours should last.
const MOST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// How long a token may be good beside the one that replaces it.
pub(crate) const MOST_OVERLAP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// When what begins now is over; never, when nothing is said.
pub(crate) fn end(path: &str, span: Option<&str>, now_ms: i64) -> Result<Option<i64>, Problem> {
    let end = |span| match end_within(path, span, now_ms, MOST)? {
        end if end == now_ms => Err(Problem::invalid(path, "is no time at all")),
        end => Ok(end),
    };
    span.map(end).transpose()
}

pub(crate) fn end_within(path: &str, span: &str, now_ms: i64, most: Duration) -> Result<i64, Problem> {
    let wanted = || {
        let days = most.as_secs() / (24 * 60 * 60);
        Problem::invalid(path, format!("must be a duration such as `1h` or `7d`, up to {days} days"))
    };
    let span = humantime::parse_duration(span).ok().filter(|span| *span <= most).ok_or_else(wanted)?;
    Ok(now_ms.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}
