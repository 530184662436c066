//! Moments that differ in what is asked of time: every day from 1970 to the end of 2199, every hour of it, in UTC.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::ask::Ask;
use super::values::{Cell, Cells};
use crate::moment::Zone;

/// 2026-01-01: what is shown should look like a day of ours, so the days before come last.
const FIRST: u64 = 20_454;
const DAYS: u64 = 84_006;

/// Values are seconds since 1970.
pub(super) fn cells(asks: &[Ask]) -> Cells {
    if asks.iter().any(|ask| ask.zone() != Some(&Zone::UTC)) {
        return elsewhere(asks);
    }
    let (hours, days): (Vec<_>, Vec<_>) = asks.iter().partition(|ask| ask.asks_hour());
    let every_day = days.iter().any(|ask| ask.asks_date());
    let count = if every_day { DAYS } else { 7 };
    let days = distinct(&days, (0..count).map(|day| (FIRST + day) % DAYS * 86_400));
    let hours = distinct(&hours, (0..24).map(|hour| hour * 3_600));
    let mut list = Vec::new();
    for day in &days {
        for hour in &hours {
            let seconds = day + hour;
            let flags = asks.iter().map(|ask| ask.flags(None, moment(seconds))).collect();
            list.push(Cell { value: Some(seconds.to_string()), flags });
        }
    }
    Cells { list, open: None }
}

/// By the clocks of places, hours and days are not independent, and dates shift with the zone and with summer time.
fn elsewhere(asks: &[Ask]) -> Cells {
    let zone = asks.first().and_then(Ask::zone);
    // In one zone, whatever its offset, the hours of a week are the hours of a week there; seven January days change no clock
    // in most zones, and a clock that is changed shows no other hour than these.
    let complete = asks.iter().all(|ask| ask.zone() == zone && !ask.asks_date());
    let days = if complete { 7 } else { 2 * 366 };
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for seconds in (0..days * 24).map(|hour| FIRST * 86_400 + hour * 3_600) {
        let flags = asks.iter().map(|ask| ask.flags(None, moment(seconds))).collect::<Box<[_]>>();
        if seen.insert(flags.clone()) {
            list.push(Cell { value: Some(seconds.to_string()), flags: flags.into() });
        }
    }
    Cells {
        list,
        open: (!complete).then_some("dates by the clocks of a place, or several places, are tried for two years only"),
    }
}

fn distinct(asks: &[&Ask], moments: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut seen = HashSet::new();
    let flags = |seconds: u64| asks.iter().map(|ask| ask.flags(None, moment(seconds))).collect::<Vec<_>>();
    moments.filter(|seconds| seen.insert(flags(*seconds))).collect()
}

pub(super) fn moment(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_that_they_say() {
        assert_eq!(super::super::ask::hour_of(moment(FIRST * 86_400)), "2026-01-01T00:00:00Z");
        assert_eq!(super::super::ask::hour_of(moment(DAYS * 86_400 - 3_600)), "2199-12-31T23:00:00Z");
    }
}
