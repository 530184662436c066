//! Whether what was seen is what was promised. Knows lists and times; nothing of gateways.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// A promise that did not hold.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// The promise, and whether it held.
pub(super) fn promised(held: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if held { Ok(()) } else { Err(Broken(what())) }
}

/// Every call that the upstream saw is on record.
pub(super) fn all_recorded<'a>(
    seen: impl IntoIterator<Item = &'a str>,
    recorded: impl IntoIterator<Item = &'a str>,
) -> Result<(), Broken> {
    let recorded: BTreeSet<&str> = recorded.into_iter().collect();
    let missing: BTreeSet<&str> = seen.into_iter().filter(|call| !recorded.contains(call)).collect();
    promised(missing.is_empty(), || format!("{} calls without a record: {}", missing.len(), some(&missing)))
}

/// Nothing stands twice in a list.
pub(super) fn once<'a>(what: &str, names: impl IntoIterator<Item = &'a str>) -> Result<(), Broken> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    let more: BTreeSet<&str> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
    promised(more.is_empty(), || format!("{} {what} more than once: {}", more.len(), some(&more)))
}

/// The most calls that surely passed within one window. A call was let through somewhen between being asked for and being seen, so it is
/// surely within a window that both are in.
pub(super) fn most_within(window: Duration, calls: &[(Instant, Instant)]) -> usize {
    let mut calls = calls.to_vec();
    calls.sort_unstable();
    let from = |at: usize| calls.get(at..).unwrap_or_default();
    let within = |(at, (begin, _)): (usize, &(Instant, Instant))| {
        let soon = from(at).iter().take_while(|(asked, _)| *asked < *begin + window);
        soon.filter(|(_, seen)| *seen < *begin + window).count()
    };
    calls.iter().enumerate().map(within).max().unwrap_or(0)
}

fn some(names: &BTreeSet<&str>) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().copied().take(SHOWN).collect();
    shown.join(", ") + if names.len() > SHOWN { ", …" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_a_record_is_found() {
        assert!(all_recorded(["a", "b"], ["b", "c", "a"]).is_ok());
        let broken = all_recorded(["a", "b"], ["a"]).unwrap_err();
        assert_eq!(broken.to_string(), "1 calls without a record: b");
    }

    #[test]
    fn what_stands_twice_is_found() {
        assert!(once("records", ["a", "b"]).is_ok());
        assert_eq!(once("records", ["a", "b", "a"]).unwrap_err().to_string(), "1 records more than once: a");
    }

    #[tokio::test]
    async fn the_fullest_window_wherever_it_begins() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let calls =
            |times: &[(u64, u64)]| times.iter().map(|(asked, seen)| (at(*asked), at(*seen))).collect::<Vec<_>>();
        let most = |times: &[(u64, u64)]| most_within(Duration::from_millis(100), &calls(times));
        assert_eq!(most(&[(0, 1), (50, 51), (99, 99), (100, 101)]), 3, "three in [0, 100), three in [50, 150)");
        assert_eq!(most(&[(0, 1), (90, 91), (95, 96), (150, 151), (189, 189)]), 4, "a window begins anywhere");
        assert_eq!(most(&[(0, 120), (10, 20)]), 1, "one that took longer is surely in no such window");
        assert_eq!(most(&[]), 0);
    }
}
