//! The hour, weekday and date of a moment that the caller names, in a time zone. Reads no clock, and the zones are those
//! that are built in, so that the same moment is the same hour on every machine.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

const DAY: i64 = 86_400;

/// Looked up once, as a policy is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    pub(crate) const UTC: Self = Self(TimeZone::UTC);

    /// By its name in the IANA database, letter for letter.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        (zone.iana_name() == Some(name) && !zone.is_unknown()).then_some(Self(zone))
    }

    /// None for UTC.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.iana_name().filter(|_| *self != Self::UTC)
    }

    pub(crate) fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect()
    }

    /// What a clock there shows more than one in UTC. Of a moment too far for the database, as of the nearest it has.
    fn offset(&self, seconds: i64) -> i64 {
        let known = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        Timestamp::from_second(known).map_or(0, |moment| i64::from(self.0.to_offset(moment).seconds()))
    }
}

pub(crate) fn hour(time: SystemTime, zone: &Zone) -> i64 {
    local(time, zone).rem_euclid(DAY) / 3_600
}

/// From 1, Monday, to 7.
pub(crate) fn weekday(time: SystemTime, zone: &Zone) -> i64 {
    // 1970-01-01 was a Thursday.
    (local(time, zone).div_euclid(DAY) + 3).rem_euclid(7) + 1
}

/// `2026-11-23`
pub(crate) fn date(time: SystemTime, zone: &Zone) -> String {
    // Years from March on, so that the odd day of a leap year comes last; 719,468 days lie between 0000-03-01 and 1970.
    let days = local(time, zone).div_euclid(DAY) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

/// Seconds since 1970 of a clock there.
fn local(time: SystemTime, zone: &Zone) -> i64 {
    let seconds = seconds(time);
    seconds + zone.offset(seconds)
}

fn seconds(time: SystemTime) -> i64 {
    // Half of what there is room for is still beyond every clock, and nothing is added to it that would not fit.
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX).min(i64::MAX / 2);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since.as_secs()),
        Err(before) => -whole(before.duration().as_secs()) - i64::from(before.duration().subsec_nanos() > 0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(zone: &str, seconds: i64, expected: (&str, i64, i64)) {
        let since = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 { UNIX_EPOCH - since } else { UNIX_EPOCH + since };
        let zone = Zone::named(zone).unwrap();
        let shown = (date(time, &zone), weekday(time, &zone), hour(time, &zone));
        assert_eq!((shown.0.as_str(), shown.1, shown.2), expected, "{seconds} in {zone:?}");
    }

    #[test]
    fn moments() {
        check("UTC", 0, ("1970-01-01", 4, 0));
        check("UTC", 951_782_399, ("2000-02-28", 1, 23));
        check("UTC", 951_868_799, ("2000-02-29", 2, 23));
        check("UTC", 951_868_800, ("2000-03-01", 3, 0));
        check("UTC", 1_795_392_000, ("2026-11-23", 1, 0));
        check("UTC", 1_798_761_599, ("2026-12-31", 4, 23));
        check("UTC", 4_107_542_400, ("2100-03-01", 1, 0));
        let before = UNIX_EPOCH - Duration::from_millis(1);
        let shown = (date(before, &Zone::UTC), weekday(before, &Zone::UTC), hour(before, &Zone::UTC));
        assert_eq!(shown, ("1969-12-31".to_owned(), 3, 23));
    }

    #[test]
    fn moments_in_zones() {
        // 2026-03-29: an hour is left out in Zurich, which is two in the morning.
        check("Europe/Zurich", 1_774_745_999, ("2026-03-29", 7, 1));
        check("Europe/Zurich", 1_774_746_000, ("2026-03-29", 7, 3));
        check("America/Los_Angeles", 1_774_746_000, ("2026-03-28", 6, 18));
        // 2026-10-25: an hour comes twice.
        check("Europe/Zurich", 1_792_889_999, ("2026-10-25", 7, 2));
        check("Europe/Zurich", 1_792_890_000, ("2026-10-25", 7, 2));
        check("Europe/Zurich", 1_792_893_600, ("2026-10-25", 7, 3));
        // By the rule of the zone, long after the last change that the database lists.
        check("Europe/Zurich", 4_118_040_000, ("2100-06-30", 3, 14));
        check("Europe/Zurich", 1_798_759_800, ("2027-01-01", 5, 0));
        check("Asia/Kolkata", 1_795_426_200, ("2026-11-23", 1, 15));
        check("Pacific/Kiritimati", 1_795_440_000, ("2026-11-24", 2, 3));
        check("Europe/Zurich", -3_600, ("1970-01-01", 4, 0));
    }

    #[test]
    fn no_moment_is_too_far() {
        for zone in ["UTC", "Europe/Zurich", "America/Los_Angeles"].map(|name| Zone::named(name).unwrap()) {
            for seconds in [1 << 34, 1 << 38, 1 << 40, 1 << 55, i64::MAX as u64] {
                for time in [
                    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
                    UNIX_EPOCH.checked_sub(Duration::from_secs(seconds)),
                ] {
                    let Some(time) = time else { continue };
                    assert!((0..24).contains(&hour(time, &zone)) && (1..8).contains(&weekday(time, &zone)));
                    assert!(date(time, &zone).len() >= 10);
                }
            }
        }
    }

    #[test]
    fn a_zone_is_named_letter_for_letter() {
        for name in
            ["", "europe/zurich", "Europe/Zürich", "Etc/Unknown", "+01:00", "CET-1CEST", "../Europe/Zurich", "utc"]
        {
            assert_eq!(Zone::named(name), None, "{name}");
        }
        let names = Zone::names();
        assert!(names.len() > 400 && names.iter().all(|name| name == "Etc/Unknown" || Zone::named(name).is_some()));
    }
}
