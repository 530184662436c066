//! Single behaviours.

use super::*;

on_both! {
    only_a_call_that_left_is_charged
    held_units_count_and_do_not_expire
    giving_back_in_a_later_window_lowers_no_count
    giving_back_lowers_no_count_but_its_own
    a_burst_across_a_minute_mark_is_one_window
    all_demands_or_none
    the_longest_wait_of_all_is_told
    waiting_as_told_is_enough
    what_can_never_pass_is_refused_without_a_time
    a_quota_that_is_not_enforced_counts_all_the_same
    a_key_asked_twice_is_asked_for_the_sum
    remaining_names_the_tightest_enforced_quota_of_each_demand
    an_empty_call_owes_nothing
    counts_survive_a_new_meter
    calls_under_the_old_and_the_new_policy_in_turn_change_no_count
    a_clock_that_jumps_back_keeps_counts_longer
    a_busy_window_is_counted_in_slots_and_never_too_low
    smooth_lets_a_burst_and_then_a_steady_rate_pass
    the_largest_quota_holds
}

async fn only_a_call_that_left_is_charged(mut counts: Counts) {
    let meter = meter([window(1, MINUTE)]);
    drop(counts.one("alice", &meter).await.ok().unwrap());
    counts.settle().await;
    counts.one("alice", &meter).await.ok().unwrap().spend();
    let stay = counts.stay(MINUTE);
    assert_eq!(counts.one("alice", &meter).await.err(), Some(exhausted(0, 0, stay)));
    assert!(counts.one("bob", &meter).await.is_ok());
    counts.advance(stay - MICRO).await;
    assert_eq!(counts.one("alice", &meter).await.err(), Some(exhausted(0, 0, MICRO)));
    counts.advance(MICRO).await;
    assert!(counts.one("alice", &meter).await.is_ok());
}

async fn held_units_count_and_do_not_expire(mut counts: Counts) {
    for (key, algorithm) in [("a", Algorithm::Window), ("b", Algorithm::Smooth)] {
        let meter = meter([quota(1, MINUTE, algorithm)]);
        let held = counts.one(key, &meter).await.ok().unwrap();
        counts.advance(10 * MINUTE).await;
        assert!(counts.one(key, &meter).await.is_err());
        held.spend(); // counts from departure, not from the reservation
        counts.settle().await;
        counts.advance(MINUTE - MICRO).await;
        assert!(counts.one(key, &meter).await.is_err());
        counts.advance(counts.stay(MINUTE) - MINUTE + MICRO).await;
        assert!(counts.one(key, &meter).await.is_ok());
    }
}

/// A call that leaves half a window after it was reserved counts from then.
async fn giving_back_in_a_later_window_lowers_no_count(mut counts: Counts) {
    let meter = meter([window(2, MINUTE)]);
    let early = counts.one("alice", &meter).await.ok().unwrap();
    counts.advance(2 * MINUTE).await;
    counts.one("alice", &meter).await.ok().unwrap().spend();
    drop(early);
    counts.settle().await;
    assert_eq!(counts.left("alice", &meter).await, 1);
}

async fn giving_back_lowers_no_count_but_its_own(mut counts: Counts) {
    for (key, algorithm) in [("a", Algorithm::Window), ("b", Algorithm::Smooth)] {
        let meter = meter([quota(1000, HOUR, algorithm), quota(5, MINUTE, algorithm)]);
        counts.one(key, &meter).await.ok().unwrap().spend();
        counts.advance(SECOND).await;
        let held = counts.one(key, &meter).await.ok().unwrap();
        counts.advance(SECOND).await;
        counts.one(key, &meter).await.ok().unwrap().spend();
        drop(held);
        counts.settle().await;
        assert!(counts.left(key, &meter).await <= 3, "{algorithm:?}");
        if algorithm == Algorithm::Window {
            assert_eq!(counts.left(key, &meter).await, 3);
        }
    }
}

async fn a_burst_across_a_minute_mark_is_one_window(mut counts: Counts) {
    let meter = meter([window(5, MINUTE)]);
    counts.advance(Duration::from_secs(59)).await;
    for _ in 0..5 {
        counts.one("alice", &meter).await.ok().unwrap().spend();
    }
    counts.advance(SECOND).await;
    assert_eq!(counts.one("alice", &meter).await.err(), Some(exhausted(0, 0, counts.stay(MINUTE) - SECOND)));
}

async fn all_demands_or_none(counts: Counts) {
    let (small, large) = (meter([window(1, MINUTE)]), meter([window(100, MINUTE)]));
    let both = |cost| [demand("large", &large, cost), demand("small", &small, 1)];
    counts.reserve(&both(10)).await.ok().unwrap().spend();
    for _ in 0..20 {
        assert_eq!(counts.reserve(&both(10)).await.err(), Some(exhausted(1, 0, counts.stay(MINUTE))));
    }
    assert_eq!(counts.left("large", &large).await, 90);
}

async fn the_longest_wait_of_all_is_told(mut counts: Counts) {
    let (a, b) = (meter([window(9, SECOND), window(2, MINUTE)]), meter([window(2, HOUR)]));
    let call = [demand("a", &a, 1), demand("b", &b, 1)];
    counts.reserve(&call).await.ok().unwrap().spend();
    counts.advance(SECOND).await;
    counts.reserve(&call).await.ok().unwrap().spend();
    let refused = counts.reserve(&call).await.err().unwrap();
    assert_eq!(refused, exhausted(1, 0, counts.stay(HOUR) - SECOND));
    assert_eq!(counts.reserve(&call[..1]).await.err(), Some(exhausted(0, 1, counts.stay(MINUTE) - SECOND)));
    counts.advance(refused.retry_after().unwrap()).await;
    assert!(counts.reserve(&call).await.is_ok());
}

async fn waiting_as_told_is_enough(mut counts: Counts) {
    for (key, algorithm) in [("a", Algorithm::Window), ("b", Algorithm::Smooth)] {
        let meter = meter([quota(7, MINUTE, algorithm)]);
        for cost in [3, 1, 2, 1, 5, 7, 4, 4] {
            let call = [demand(key, &meter, cost)];
            if let Err(refused) = counts.reserve(&call).await {
                counts.advance(refused.retry_after().unwrap() - 2 * MICRO).await;
                assert!(counts.reserve(&call).await.is_err(), "{algorithm:?} {cost}");
                counts.advance(2 * MICRO).await;
            }
            counts.settle().await; // what was only asked for is given back
            counts.reserve(&call).await.map(Ticket::spend).unwrap();
            counts.advance(SECOND).await;
        }
    }
}

async fn what_can_never_pass_is_refused_without_a_time(counts: Counts) {
    let meter = meter([window(10, MINUTE), window(5, HOUR)]);
    let ask = async |cost, enforced| {
        counts.reserve(&[Demand { key: "alice", meter: &meter, enforced, cost }]).await.map(Ticket::spend)
    };
    assert_eq!(ask(6, enforce([0, 1])).await, Err(Limited::TooCostly { demand: 0, quota: 1 }));
    assert_eq!(ask(6, enforce([0])).await, Ok(()));
    assert_eq!(ask(u64::MAX, enforce([0])).await, Err(Limited::TooCostly { demand: 0, quota: 0 }));
    assert_eq!(ask(1, enforce([2])).await, Err(Limited::NoSuchQuota { demand: 0, quota: 2 }));
    assert_eq!(ask(0, enforce([usize::MAX])).await, Err(Limited::NoSuchQuota { demand: 0, quota: 63 }));
}

async fn a_quota_that_is_not_enforced_counts_all_the_same(mut counts: Counts) {
    let meter = meter([window(2, MINUTE), window(9, MINUTE), window(5, HOUR)]);
    let ask = async |counts: &Counts, enforced, cost| {
        counts.reserve(&[Demand { key: "alice", meter: &meter, enforced, cost }]).await
    };
    for _ in 0..4 {
        ask(&counts, QuotaSet::NONE, 1).await.ok().unwrap().spend();
    }
    assert_eq!(ask(&counts, enforce([0]), 1).await.err(), Some(exhausted(0, 0, counts.stay(MINUTE))));
    let held = ask(&counts, enforce([1]), 1).await.ok().unwrap();
    assert_eq!(held.remaining(0).unwrap().units, 4);
    drop(held);
    counts.settle().await;
    ask(&counts, QuotaSet::NONE, u64::MAX).await.ok().unwrap().spend();
    ask(&counts, QuotaSet::NONE, u64::MAX).await.ok().unwrap().spend();
    assert_eq!(ask(&counts, enforce([1]), 1).await.err(), Some(exhausted(0, 1, counts.stay(MINUTE))));
    assert!(ask(&counts, enforce([0, 1]), 0).await.is_ok(), "costing nothing is always possible");
    counts.advance(counts.stay(MINUTE)).await;
    assert!(ask(&counts, enforce([0, 1]), 1).await.is_ok(), "what is too much to add up leaves as anything does");
}

async fn a_key_asked_twice_is_asked_for_the_sum(counts: Counts) {
    let meter = meter([window(5, MINUTE)]);
    let twice = |a, b| [demand("a", &meter, a), demand("x", &meter, 1), demand("a", &meter, b)];
    drop(counts.reserve(&twice(3, 2)).await.ok().unwrap());
    counts.settle().await;
    assert!(matches!(counts.reserve(&twice(3, 3)).await.err(), Some(Limited::Exhausted { demand: 2, quota: 0, .. })));
    counts.reserve(&[demand("a", &meter, 2), demand("a", &meter, 1)]).await.ok().unwrap().spend();
    assert_eq!(counts.left("a", &meter).await, 2);
}

async fn remaining_names_the_tightest_enforced_quota_of_each_demand(counts: Counts) {
    let (a, b) = (meter([window(10, MINUTE), window(12, HOUR)]), meter([quota(4, MINUTE, Algorithm::Smooth)]));
    let free = Demand { key: "c", meter: &a, enforced: QuotaSet::NONE, cost: 1 };
    let held = counts.reserve(&[demand("b", &b, 1), demand("a", &a, 3), free]).await.ok().unwrap();
    let seen = [0, 1, 2, 3].map(|index| held.remaining(index).map(|left| (left.quota, left.units)));
    assert_eq!(seen, [Some((0, 3)), Some((0, 7)), None, None]);
}

async fn an_empty_call_owes_nothing(counts: Counts) {
    counts.reserve(&[]).await.ok().unwrap().spend();
}

async fn counts_survive_a_new_meter(mut counts: Counts) {
    let old = [window(10, MINUTE), window(20, HOUR)];
    let cases: [(&'static str, &[Quota], u64); 7] = [
        ("a", &[window(10, MINUTE), window(20, HOUR)], 6), // equal, if another object
        ("b", &[window(12, MINUTE)], 8),                   // a new max
        ("c", &[window(5, 30 * SECOND)], 1),               // a shorter window
        ("d", &[window(50, 2 * HOUR)], 40),                // a longer one: all that is known, 10 in the hour
        ("e", &[window(20, HOUR)], 10),                    // one of the two stays
        ("f", &[quota(20, HOUR, Algorithm::Smooth)], 10),  // drained by a hair less than one unit
        ("g", &[window(3, MINUTE)], 0),                    // lower than what is used
    ];
    for (key, new, expected) in cases {
        let (old, new) = (meter(old), meter(new.iter().copied()));
        for calls in [6, 4] {
            for _ in 0..calls {
                counts.one(key, &old).await.ok().unwrap().spend();
            }
            if calls == 6 {
                counts.advance(2 * MINUTE).await;
            }
        }
        assert_eq!(counts.left(key, &new).await, expected, "{new:?}");
    }
}

async fn calls_under_the_old_and_the_new_policy_in_turn_change_no_count(mut counts: Counts) {
    let same = quota(60, MINUTE, Algorithm::Smooth);
    let (old, new) = (meter([same, window(70, HOUR)]), meter([same, window(80, HOUR)]));
    counts.reserve(&[demand("a", &old, 60)]).await.ok().unwrap().spend();
    for _ in 0..20 {
        counts.advance(SECOND / 10).await;
        counts.left("a", &new).await;
        counts.left("a", &old).await;
    }
    assert_eq!(counts.left("a", &new).await, 2);
}

async fn a_clock_that_jumps_back_keeps_counts_longer(mut counts: Counts) {
    let meter = meter([window(1, MINUTE)]);
    counts.one("a", &meter).await.ok().unwrap().spend();
    counts.jump_back(HOUR).await;
    let refused = counts.one("a", &meter).await.err().unwrap();
    assert_eq!(refused, exhausted(0, 0, HOUR + counts.stay(MINUTE)), "until the clock has caught up");
}

/// More instants than are kept apart: the count is rounded to the strict side, by no more than one slot.
async fn a_busy_window_is_counted_in_slots_and_never_too_low(mut counts: Counts) {
    let meter = meter([window(1_000_000, MINUTE)]);
    let step = Duration::from_millis(30); // 2,000 in a window
    for number in 1..=2_600_u64 {
        counts.one("a", &meter).await.ok().unwrap().spend();
        if number % 100 == 0 {
            let used = 1_000_000 - counts.left("a", &meter).await;
            let exact = number.min(2_000);
            assert!((exact..=exact + 2_000 / 128 * 2 + 2).contains(&used), "{used} instead of {exact}");
        }
        counts.clock.advance(step);
        counts.show_time().await;
    }
    counts.advance(counts.stay(MINUTE)).await;
    assert_eq!(counts.left("a", &meter).await, 1_000_000);
}

async fn smooth_lets_a_burst_and_then_a_steady_rate_pass(mut counts: Counts) {
    let meter = meter([quota(60, MINUTE, Algorithm::Smooth)]);
    for _ in 0..60 {
        counts.one("a", &meter).await.ok().unwrap().spend();
    }
    assert_eq!(counts.one("a", &meter).await.err(), Some(exhausted(0, 0, SECOND)));
    for _ in 0..100 {
        counts.advance(SECOND).await;
        counts.one("a", &meter).await.ok().unwrap().spend();
        assert!(counts.one("a", &meter).await.is_err());
    }
}

async fn the_largest_quota_holds(counts: Counts) {
    for (key, algorithm) in [("a", Algorithm::Window), ("b", Algorithm::Smooth)] {
        let meter = meter([quota(u64::MAX, HOUR, algorithm)]);
        counts.reserve(&[demand(key, &meter, u64::MAX)]).await.ok().unwrap().spend();
        assert!(counts.one(key, &meter).await.is_err(), "{algorithm:?}");
    }
}
