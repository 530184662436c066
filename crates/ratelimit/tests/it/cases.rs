//! Single behaviours, each a short story with a clock that stands still until told.

use super::*;

#[test]
fn only_a_call_that_left_is_charged() {
    let (limiter, clock) = limiter(10);
    let meter = meter([window(1, MINUTE)]);
    drop(one(&limiter, "alice", &meter).unwrap()); // never sent: given back
    one(&limiter, "alice", &meter).unwrap().release();
    one(&limiter, "alice", &meter).unwrap().spend();
    assert_eq!(one(&limiter, "alice", &meter).unwrap_err(), exhausted(0, 0, MINUTE));
    assert!(one(&limiter, "bob", &meter).is_ok());
    clock.advance(MINUTE - Duration::from_nanos(1));
    assert_eq!(one(&limiter, "alice", &meter).unwrap_err(), exhausted(0, 0, Duration::from_nanos(1)));
    clock.advance(Duration::from_nanos(1));
    assert!(one(&limiter, "alice", &meter).is_ok());
}

#[test]
fn held_units_count_and_do_not_expire() {
    for algorithm in [Algorithm::Window, Algorithm::Smooth] {
        let (limiter, clock) = limiter(10);
        let meter = meter([quota(1, MINUTE, algorithm)]);
        let held = one(&limiter, "alice", &meter).unwrap();
        clock.advance(10 * MINUTE);
        assert_eq!(one(&limiter, "alice", &meter).unwrap_err(), exhausted(0, 0, MINUTE));
        held.spend(); // counts from departure, not from the reservation
        clock.advance(MINUTE - Duration::from_nanos(1));
        assert!(one(&limiter, "alice", &meter).is_err());
        clock.advance(Duration::from_nanos(1));
        assert!(one(&limiter, "alice", &meter).is_ok());
    }
}

#[test]
fn giving_back_in_a_later_window_lowers_no_count() {
    let (limiter, clock) = limiter(10);
    let meter = meter([window(2, MINUTE)]);
    let early = one(&limiter, "alice", &meter).unwrap();
    clock.advance(2 * MINUTE);
    one(&limiter, "alice", &meter).unwrap().spend();
    early.release();
    assert_eq!(left(&limiter, "alice", &meter), 1);
}

#[test]
fn a_burst_across_a_minute_mark_is_one_window() {
    let (limiter, clock) = limiter(10);
    let meter = meter([window(5, MINUTE)]);
    clock.set(Duration::from_secs(59));
    (0..5).for_each(|_| one(&limiter, "alice", &meter).unwrap().spend());
    clock.set(Duration::from_secs(60));
    assert_eq!(one(&limiter, "alice", &meter).unwrap_err(), exhausted(0, 0, Duration::from_secs(59)));
}

#[test]
fn all_demands_or_none() {
    let (limiter, _) = limiter(10);
    let (small, large) = (meter([window(1, MINUTE)]), meter([window(100, MINUTE)]));
    let both = |cost| [demand("large", &large, cost), demand("small", &small, 1)];
    limiter.reserve(&both(10)).unwrap().spend();
    for _ in 0..20 {
        assert_eq!(limiter.reserve(&both(10)).unwrap_err(), exhausted(1, 0, MINUTE));
    }
    assert_eq!(left(&limiter, "large", &large), 90);
}

#[test]
fn the_longest_wait_of_all_is_told() {
    let (limiter, clock) = limiter(10);
    let (a, b) = (meter([window(9, SECOND), window(2, MINUTE)]), meter([window(2, HOUR)]));
    let call = [demand("a", &a, 1), demand("b", &b, 1)];
    limiter.reserve(&call).unwrap().spend();
    clock.advance(SECOND);
    limiter.reserve(&call).unwrap().spend();
    let refused = limiter.reserve(&call).unwrap_err();
    assert_eq!(refused, exhausted(1, 0, HOUR - SECOND));
    assert_eq!(limiter.reserve(&call[..1]).unwrap_err(), exhausted(0, 1, MINUTE - SECOND));
    clock.advance(refused.retry_after().unwrap());
    assert!(limiter.reserve(&call).is_ok());
}

#[test]
fn waiting_as_told_is_enough_and_not_too_long() {
    for algorithm in [Algorithm::Window, Algorithm::Smooth] {
        let (limiter, clock) = limiter(10);
        let meter = meter([quota(7, MINUTE, algorithm)]);
        for cost in [3, 1, 2, 1, 5, 7, 4, 4] {
            let call = [demand("alice", &meter, cost)];
            if let Err(refused) = limiter.reserve(&call) {
                clock.advance(refused.retry_after().unwrap() - Duration::from_nanos(1));
                assert!(limiter.reserve(&call).is_err(), "{algorithm:?} {cost}");
                clock.advance(Duration::from_nanos(1));
            }
            limiter.reserve(&call).unwrap().spend();
            clock.advance(SECOND);
        }
    }
}

#[test]
fn what_can_never_pass_is_refused_without_a_time() {
    let (limiter, _) = limiter(10);
    let meter = meter([window(10, MINUTE), window(5, HOUR)]);
    let ask = |cost, enforced| limiter.reserve(&[Demand { key: "alice", meter: &meter, enforced, cost }]).map(drop);
    assert_eq!(ask(6, enforce([0, 1])), Err(Limited::TooCostly { demand: 0, quota: 1 }));
    assert_eq!(ask(6, enforce([0])), Ok(()));
    assert_eq!(ask(u64::MAX, enforce([0])), Err(Limited::TooCostly { demand: 0, quota: 0 }));
    assert_eq!(ask(1, enforce([2])), Err(Limited::NoSuchQuota { demand: 0, quota: 2 }));
    assert_eq!(ask(0, enforce([usize::MAX])), Err(Limited::NoSuchQuota { demand: 0, quota: 63 }));
    assert_eq!(Limited::Full { demand: 0 }.retry_after(), None);
}

#[test]
fn a_quota_that_is_not_enforced_counts_all_the_same() {
    let (limiter, _) = limiter(10);
    let meter = meter([window(2, MINUTE), window(9, MINUTE)]);
    let ask = |enforced, cost| limiter.reserve(&[Demand { key: "alice", meter: &meter, enforced, cost }]);
    for _ in 0..4 {
        ask(QuotaSet::NONE, 1).unwrap().spend();
    }
    assert_eq!(ask(enforce([0]), 1).unwrap_err(), exhausted(0, 0, MINUTE));
    assert_eq!(ask(enforce([1]), 1).unwrap().remaining(0).unwrap().units, 4);
    ask(QuotaSet::NONE, u64::MAX).unwrap().spend();
    ask(QuotaSet::NONE, u64::MAX).unwrap().spend();
    assert_eq!(ask(enforce([1]), 1).unwrap_err(), exhausted(0, 1, MINUTE));
    assert!(ask(enforce([0, 1]), 0).is_ok(), "costing nothing is always possible");
}

#[test]
fn a_key_asked_twice_is_asked_for_the_sum() {
    let (limiter, _) = limiter(10);
    let meter = meter([window(5, MINUTE)]);
    let twice =
        |a, b| limiter.reserve(&[demand("a", &meter, a), demand("x", &meter, 1), demand("a", &meter, b)]).map(drop);
    assert_eq!(twice(3, 2), Ok(()));
    assert_eq!(twice(3, 3), Err(exhausted(2, 0, MINUTE)));
    assert_eq!(limiter.keys(), 2);
    limiter.reserve(&[demand("a", &meter, 2), demand("a", &meter, 1)]).unwrap().spend();
    assert_eq!(left(&limiter, "a", &meter), 2);
}

#[test]
fn remaining_names_the_tightest_enforced_quota_of_each_demand() {
    let (limiter, _) = limiter(10);
    let (a, b) = (meter([window(10, MINUTE), window(12, HOUR)]), meter([quota(4, MINUTE, Algorithm::Smooth)]));
    let free = Demand { key: "c", meter: &a, enforced: QuotaSet::NONE, cost: 1 };
    let held = limiter.reserve(&[demand("b", &b, 1), demand("a", &a, 3), free]).unwrap();
    let seen = [0, 1, 2, 3].map(|index| held.remaining(index).map(|left| (left.quota, left.units)));
    assert_eq!(seen, [Some((0, 3)), Some((0, 7)), None, None]);
}

#[test]
fn an_empty_call_owes_nothing() {
    let (limiter, _) = limiter(0);
    limiter.reserve(&[]).unwrap().spend();
    assert_eq!(limiter.keys(), 0);
}

#[test]
fn at_the_cap_an_idle_key_makes_room_and_a_busy_one_does_not() {
    let (limiter, clock) = limiter(2);
    let meter = meter([window(1, MINUTE)]);
    one(&limiter, "a", &meter).unwrap().spend();
    let held = one(&limiter, "b", &meter).unwrap();
    assert_eq!(one(&limiter, "c", &meter).unwrap_err(), Limited::Full { demand: 0 });
    assert!(one(&limiter, "a", &meter).is_err(), "known keys go on");
    clock.advance(MINUTE); // now "a" is idle
    one(&limiter, "c", &meter).unwrap().spend();
    assert_eq!(one(&limiter, "d", &meter).unwrap_err(), Limited::Full { demand: 0 });
    held.spend(); // evicting "b" would have lost this
    assert_eq!(one(&limiter, "b", &meter).unwrap_err(), exhausted(0, 0, MINUTE));
    assert_eq!(limiter.keys(), 2);
}

#[test]
fn a_refused_crowd_does_not_wear_the_keys_out() {
    let clock = ManualClock::default();
    let limiter = Limiter::new(40, clock.clone());
    let meter = meter([window(1, MINUTE)]);
    for name in 0..1_000 {
        let asked = limiter.reserve(&[demand(name, &meter, 1)]).map(Reservation::spend);
        assert_eq!(asked, if name < 40 { Ok(()) } else { Err(Limited::Full { demand: 0 }) });
    }
    clock.advance(MINUTE);
    assert_eq!((limiter.keys(), limiter.evict_idle(), limiter.keys()), (40, 40, 0));
    for name in 0..40 {
        limiter.reserve(&[demand(name, &meter, 1)]).unwrap().spend();
    }
    assert_eq!((limiter.evict_idle(), limiter.keys()), (0, 40));
}

#[test]
fn a_key_that_was_just_refused_a_place_stays_usable_in_one_call() {
    let (limiter, _) = limiter(1);
    let meter = meter([window(5, MINUTE)]);
    let refused = limiter.reserve(&[demand("a", &meter, 1), demand("b", &meter, 1)]).unwrap_err();
    assert_eq!(refused, Limited::Full { demand: 1 });
    assert_eq!(left(&limiter, "a", &meter), 5, "nothing was taken");
}

#[test]
fn counts_survive_a_new_meter() {
    let old = [window(10, MINUTE), window(20, HOUR)];
    let cases: [(&[Quota], u64); 7] = [
        (&[window(10, MINUTE), window(20, HOUR)], 6), // equal, if another object
        (&[window(12, MINUTE)], 8),                   // a new max
        (&[window(5, 30 * SECOND)], 1),               // a shorter window
        (&[window(50, 2 * HOUR)], 40),                // a longer one: all that is known, 10 in the hour
        (&[window(20, HOUR)], 10),                    // one of the two stays
        (&[quota(20, HOUR, Algorithm::Smooth)], 10),  // drained by a hair less than one unit
        (&[window(3, MINUTE)], 0),                    // lower than what is used
    ];
    for (new, expected) in cases {
        let (limiter, clock) = limiter(10);
        let (old, new) = (meter(old), meter(new.iter().copied()));
        (0..6).for_each(|_| one(&limiter, "a", &old).unwrap().spend());
        clock.advance(2 * MINUTE);
        (0..4).for_each(|_| one(&limiter, "a", &old).unwrap().spend());
        assert_eq!(left(&limiter, "a", &new), expected, "{new:?}");
    }
}

#[test]
fn held_units_survive_a_new_meter() {
    let (limiter, clock) = limiter(10);
    let (old, new) = (meter([window(2, MINUTE)]), meter([quota(2, HOUR, Algorithm::Smooth), window(3, HOUR)]));
    let held = limiter.reserve(&[demand("a", &old, 2)]).unwrap();
    assert_eq!(one(&limiter, "a", &new).unwrap_err(), exhausted(0, 0, HOUR / 2));
    held.spend();
    assert_eq!(left(&limiter, "a", &new), 0);
    clock.advance(HOUR);
    assert_eq!(left(&limiter, "a", &new), 2);
}

#[test]
fn smooth_hands_over_what_is_in_the_bucket() {
    let (limiter, clock) = limiter(10);
    let (old, new) = (meter([quota(60, MINUTE, Algorithm::Smooth)]), meter([window(60, MINUTE)]));
    limiter.reserve(&[demand("a", &old, 60)]).unwrap().spend();
    clock.advance(Duration::from_millis(1500));
    assert_eq!(left(&limiter, "a", &new), 1);
    clock.advance(MINUTE);
    assert_eq!(left(&limiter, "a", &new), 60);
}

#[test]
fn calls_under_the_old_and_the_new_policy_in_turn_change_no_count() {
    let (limiter, clock) = limiter(10);
    let same = quota(60, MINUTE, Algorithm::Smooth);
    let (old, new) = (meter([same, window(70, HOUR)]), meter([same, window(80, HOUR)]));
    limiter.reserve(&[demand("a", &old, 60)]).unwrap().spend();
    for _ in 0..20 {
        clock.advance(SECOND / 10);
        left(&limiter, "a", &new);
        left(&limiter, "a", &old);
    }
    assert_eq!(left(&limiter, "a", &new), 2);
}

#[test]
fn a_clock_that_jumps_back_keeps_counts_longer() {
    let (limiter, clock) = limiter(10);
    let meter = meter([window(1, MINUTE)]);
    clock.set(2 * HOUR);
    one(&limiter, "a", &meter).unwrap().spend();
    clock.set(HOUR);
    let refused = one(&limiter, "a", &meter).unwrap_err();
    assert_eq!(refused, exhausted(0, 0, HOUR + MINUTE), "until the clock has caught up");
    clock.advance(refused.retry_after().unwrap());
    assert!(one(&limiter, "a", &meter).is_ok());
}

#[test]
fn refusals_read_well() {
    let told = [
        (exhausted(0, 0, MINUTE), "the quota is used up for another 60s"),
        (Limited::TooCostly { demand: 0, quota: 0 }, "the cost is above the quota, so it can never pass"),
        (Limited::Full { demand: 0 }, "no room to count another key"),
        (Limited::NoSuchQuota { demand: 0, quota: 9 }, "the meter has no such quota"),
    ];
    for (limited, text) in told {
        assert_eq!(limited.to_string(), text);
    }
}
