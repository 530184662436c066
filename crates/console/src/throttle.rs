//! How often somebody may fail to say who they are. Secrets have 256 bits, so this is not what keeps guessers out: it keeps their noise
//! out of the journal, and off the store.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Failures of one address within `WINDOW_MS`.
pub(crate) const MAX_FAILURES: u32 = 10;
pub(crate) const WINDOW_MS: i64 = 60_000;

/// Addresses that are counted. When there are more, those that are not known yet may not fail at all.
const MAX_PEERS: usize = 1_024;

#[derive(Default)]
pub(crate) struct Throttle {
    peers: Mutex<HashMap<IpAddr, Failures>>,
}

struct Failures {
    count: u32,
    since_ms: i64,
}

impl Throttle {
    /// How many seconds to wait, for one who failed too often.
    pub(crate) fn wait(&self, peer: IpAddr, now_ms: i64) -> Option<u64> {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = peers.get(&key(peer)).filter(|failures| failures.is_recent(now_ms));
        match failures {
            Some(Failures { count, since_ms }) if *count >= MAX_FAILURES => {
                Some((since_ms + WINDOW_MS - now_ms).unsigned_abs().div_ceil(1_000).max(1))
            }
            Some(_) => None,
            None if peers.len() < MAX_PEERS || peers.values().any(|failures| !failures.is_recent(now_ms)) => None,
            None => Some(WINDOW_MS.unsigned_abs() / 1_000),
        }
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, peer: IpAddr, now_ms: i64) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= MAX_PEERS {
            peers.retain(|_, failures| failures.is_recent(now_ms));
        }
        if peers.len() >= MAX_PEERS && !peers.contains_key(&key(peer)) {
            return;
        }
        let failures = peers.entry(key(peer)).or_insert(Failures { count: 0, since_ms: now_ms });
        if !failures.is_recent(now_ms) {
            *failures = Failures { count: 0, since_ms: now_ms };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

impl Failures {
    fn is_recent(&self, now_ms: i64) -> bool {
        (self.since_ms..self.since_ms + WINDOW_MS).contains(&now_ms)
    }
}

/// All of loopback is one: a local process may call from any address there. Of IPv6 a network counts, since whoever has one address
/// has them all.
fn key(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        peer if peer.is_loopback() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(peer) => IpAddr::from((u128::from(peer) >> 64 << 64).to_be_bytes()),
        peer @ IpAddr::V4(_) => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_too_often_waits_and_others_do_not() {
        let (throttle, peer) = (Throttle::default(), IpAddr::from([10, 0, 0, 7]));
        for _ in 0..MAX_FAILURES {
            assert_eq!(throttle.wait(peer, 1_000), None);
            throttle.failed(peer, 1_000);
        }
        assert_eq!(throttle.wait(peer, 1_000), Some(60));
        assert_eq!(throttle.wait(peer, 60_999), Some(1));
        assert_eq!(throttle.wait(IpAddr::from([10, 0, 0, 8]), 1_000), None);
        assert_eq!(throttle.wait(peer, 61_000), None);
    }

    #[test]
    fn the_map_is_bounded_and_a_full_one_lets_nobody_new_try() {
        let throttle = Throttle::default();
        for n in 0..2 * MAX_PEERS as u32 {
            throttle.failed(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), 0);
        }
        assert_eq!(throttle.peers.lock().unwrap().len(), MAX_PEERS);
        assert!(throttle.wait(IpAddr::from([192, 0, 2, 1]), 0).is_some());
        assert!(throttle.wait(IpAddr::from([192, 0, 2, 1]), WINDOW_MS).is_none());
    }
}
