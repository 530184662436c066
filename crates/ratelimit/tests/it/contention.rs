//! Many threads at once, on a clock that stands still: exactly what the quota allows passes, no more and no less.

use super::*;
use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

const THREADS: u64 = 64;

/// Runs `attempts` rounds in each of 64 threads, all let go at once.
fn race(attempts: u64, round: impl Fn(u64, u64) + Sync) {
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, round) = (&start, &round);
            scope.spawn(move || {
                start.wait();
                (0..attempts).for_each(|attempt| round(thread, attempt));
            });
        }
    });
}

#[test]
fn exactly_the_limit_of_a_million_attempts_passes() {
    use Algorithm::{Smooth, Window};
    for (limit, algorithm) in [(1, Window), (7, Window), (1000, Window), (7, Smooth)] {
        let (limiter, _) = limiter(1);
        let (meter, passed) = (meter([quota(limit, MINUTE, algorithm)]), AtomicU64::new(0));
        race(1_000_000 / THREADS, |_, _| {
            if let Ok(reservation) = one(&limiter, "alice", &meter) {
                reservation.spend();
                passed.fetch_add(1, SeqCst);
            }
        });
        assert_eq!(passed.into_inner(), limit, "{algorithm:?}");
    }
}

#[test]
fn what_is_given_back_under_contention_is_neither_lost_nor_doubled() {
    const LIMIT: u64 = 1000;
    let (limiter, _) = limiter(1);
    let (meter, spent) = (meter([window(LIMIT, MINUTE)]), AtomicU64::new(0));
    race(5_000, |thread, attempt| match one(&limiter, "alice", &meter) {
        Ok(reservation) if (thread + attempt) % 3 == 0 => {
            reservation.spend();
            spent.fetch_add(1, SeqCst);
        }
        Ok(reservation) => drop(reservation),
        Err(_) => {}
    });
    while let Ok(reservation) = one(&limiter, "alice", &meter) {
        reservation.spend();
        spent.fetch_add(1, SeqCst);
    }
    assert_eq!(spent.into_inner(), LIMIT);
}

#[test]
fn a_refused_call_eats_no_quota_of_the_others() {
    const KEYS: [(&str, u64); 4] = [("a", 900), ("b", 50), ("c", 700), ("d", 3000)];
    let (limiter, _) = limiter(4);
    let meters = KEYS.map(|(_, max)| meter([window(max, MINUTE), window(max + 1, HOUR)]));
    let passed = [const { AtomicU64::new(0) }; 4];
    race(4_000, |thread, attempt| {
        let (first, second) = (((thread + attempt) % 4) as usize, ((thread * 7 + attempt / 4) % 4) as usize);
        let call = [first, second].map(|key| demand(KEYS[key].0, &meters[key], 1)); // sometimes one key twice
        if let Ok(reservation) = limiter.reserve(&call) {
            reservation.spend();
            passed[first].fetch_add(1, SeqCst);
            passed[second].fetch_add(1, SeqCst);
        }
    });
    for ((meter, (key, max)), passed) in meters.iter().zip(KEYS).zip(passed) {
        assert_eq!(left(&limiter, key, meter), max - passed.into_inner(), "{key}");
    }
}

#[test]
fn eviction_under_contention_forgets_nothing() {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let (limiter, _) = limiter(4); // fewer places than names, so keys come and go
    let meter = meter([window(5, MINUTE)]);
    let passed = [const { AtomicU64::new(0) }; 6];
    race(3_000, |thread, attempt| {
        let name = ((thread * 31 + attempt) % 6) as usize;
        match one(&limiter, NAMES[name], &meter) {
            Ok(reservation) if attempt % 500 == 499 => {
                reservation.spend();
                passed[name].fetch_add(1, SeqCst);
            }
            Ok(reservation) => drop(reservation),
            Err(_) => {}
        }
        if attempt % 64 == 0 {
            limiter.evict_idle();
        }
    });
    let passed = passed.map(AtomicU64::into_inner);
    assert!(passed.iter().all(|passed| *passed <= 5), "{passed:?}");
    assert_eq!(passed.iter().filter(|passed| **passed > 0).count(), 4, "{passed:?}");
    limiter.evict_idle();
    assert_eq!(limiter.keys(), 4);
}
