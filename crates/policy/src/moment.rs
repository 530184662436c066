//! The hour, weekday and date of a moment that the caller names, in UTC. Reads no clock.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

pub(crate) fn hour(time: SystemTime) -> i64 {
    seconds(time).rem_euclid(DAY) / 3_600
}

/// From 1, Monday, to 7.
pub(crate) fn weekday(time: SystemTime) -> i64 {
    // 1970-01-01 was a Thursday.
    (seconds(time).div_euclid(DAY) + 3).rem_euclid(7) + 1
}

/// `2026-11-23`
pub(crate) fn date(time: SystemTime) -> String {
    // Years from March on, so that the odd day of a leap year comes last; 719,468 days lie between 0000-03-01 and 1970.
    let days = seconds(time).div_euclid(DAY) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

fn seconds(time: SystemTime) -> i64 {
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX / 2);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since.as_secs()),
        Err(before) => -whole(before.duration().as_secs()) - i64::from(before.duration().subsec_nanos() > 0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments() {
        let check = |seconds: u64, expected: (&str, i64, i64)| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!((date(time).as_str(), weekday(time), hour(time)), expected, "{seconds}");
        };
        check(0, ("1970-01-01", 4, 0));
        check(951_782_399, ("2000-02-28", 1, 23));
        check(951_868_799, ("2000-02-29", 2, 23));
        check(951_868_800, ("2000-03-01", 3, 0));
        check(1_795_392_000, ("2026-11-23", 1, 0));
        check(1_798_761_599, ("2026-12-31", 4, 23));
        check(4_107_542_400, ("2100-03-01", 1, 0));
        let before = UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!((date(before).as_str(), weekday(before), hour(before)), ("1969-12-31", 3, 23));
    }
}
