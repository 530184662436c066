//! Those who were not let in, as far as they are put on record: a few of each peer one by one, the rest as a sum. So a flood of them
//! fills neither the disk nor the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Between two sums: refusals of one peer, and of all, that are told one by one.
const SINGLY: u32 = 5;
const SINGLY_IN_ALL: u32 = 100;

/// Peers that are told apart between two sums.
const PEERS: usize = 100;

/// What the peers beyond are called, together.
const OTHERS: &str = "anonymous";

#[derive(Default)]
pub(crate) struct Failures(Mutex<Tally>);

#[derive(Default)]
struct Tally {
    singly: u32,
    peers: HashMap<Arc<str>, Of>,
    others: u64,
}

#[derive(Default)]
struct Of {
    singly: u32,
    more: u64,
}

impl Failures {
    /// Counts one. True when it is to be told by itself.
    pub(crate) fn count(&self, peer: &Arc<str>) -> bool {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Tally { singly, peers, others } = &mut *tally;
        if !peers.contains_key(peer) && peers.len() >= PEERS {
            *others += 1;
            return false;
        }
        let of = peers.entry(Arc::clone(peer)).or_default();
        let alone = of.singly < SINGLY && *singly < SINGLY_IN_ALL;
        match alone {
            true => (of.singly, *singly) = (of.singly + 1, *singly + 1),
            false => of.more += 1,
        }
        alone
    }

    /// What was not told by itself, by peer; from here on all are told anew.
    pub(crate) fn sums(&self) -> Vec<(Arc<str>, u64)> {
        let tally = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let others = (tally.others > 0).then(|| (OTHERS.into(), tally.others));
        let peers = tally.peers.into_iter().filter(|(_, of)| of.more > 0).map(|(peer, of)| (peer, of.more));
        peers.chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Failures, OTHERS, PEERS, SINGLY, SINGLY_IN_ALL};

    fn peer(n: usize) -> Arc<str> {
        format!("anonymous@10.0.0.{n}").into()
    }

    #[test]
    fn a_few_are_told_and_the_rest_is_summed() {
        let failures = Failures::default();
        let told = (0..1_000).filter(|_| failures.count(&peer(1))).count();
        assert_eq!(told, SINGLY as usize);
        assert!(failures.count(&peer(2)), "another peer's are its own");
        assert_eq!(failures.sums(), [(peer(1), 1_000 - u64::from(SINGLY))]);
        assert!(failures.sums().is_empty());
        assert!(failures.count(&peer(1)), "told anew");
    }

    #[test]
    fn many_peers_are_bounded_too() {
        let failures = Failures::default();
        let told = (0..100_000).filter(|n| failures.count(&peer(n % 1_000))).count();
        assert_eq!(told, SINGLY_IN_ALL as usize);
        let sums = failures.sums();
        assert!(sums.len() <= PEERS + 1, "{}", sums.len());
        let all: u64 = sums.iter().map(|(_, more)| more).sum();
        assert_eq!(all + u64::from(SINGLY_IN_ALL), 100_000, "none is lost");
        assert!(sums.iter().any(|(peer, _)| **peer == *OTHERS));
    }
}
