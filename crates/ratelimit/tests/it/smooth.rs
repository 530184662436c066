//! GCRA against a second opinion: `governor`, which counts with a virtual clock as well.

use super::*;
use governor::{RateLimiter, clock::FakeRelativeClock};
use proptest::{collection::vec, prelude::*};
use std::num::NonZeroU32;

#[derive(Clone, Debug)]
struct Ask {
    after: Duration,
    units: u32,
}

fn ask() -> impl Strategy<Value = Ask> {
    let after = prop_oneof![Just(0), 0..50_u64, 0..5_000_u64, Just(100), Just(60_000)];
    (after, 1..6_u32).prop_map(|(after, units)| Ask { after: Duration::from_millis(after), units })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_governor(
        // The window is a whole multiple of `max`, as governor counts in whole nanoseconds per unit.
        (max, per_unit) in (6..40_u32, prop_oneof![Just(1_u64), Just(10), Just(100), Just(1_000)]),
        asks in vec(ask(), 1..200),
    ) {
        let per_unit = Duration::from_millis(per_unit);
        let other_clock = FakeRelativeClock::default();
        let rate = governor::Quota::with_period(per_unit).unwrap().allow_burst(NonZeroU32::new(max).unwrap());
        let other = RateLimiter::direct_with_clock(rate, other_clock.clone());
        let (limiter, clock) = limiter(1);
        let meter = meter([quota(max.into(), per_unit * max, Algorithm::Smooth)]);
        for Ask { after, units } in asks {
            clock.advance(after);
            other_clock.advance(after);
            let ours = limiter.reserve(&[demand("a", &meter, units.into())]).map(Reservation::spend);
            let theirs = other.check_n(NonZeroU32::new(units).unwrap()).unwrap();
            match (ours, theirs) {
                (Ok(()), Ok(())) => {}
                (Err(ours), Err(theirs)) => {
                    let wait = theirs.wait_time_from(governor::clock::Clock::now(&other_clock));
                    prop_assert_eq!(ours.retry_after(), Some(wait));
                }
                (ours, theirs) => prop_assert!(false, "ours {ours:?}, governor {theirs:?}"),
            }
        }
    }
}
