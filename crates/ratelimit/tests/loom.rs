//! Interleavings of the core, under loom: `RUSTFLAGS="--cfg loom" cargo test -p ratelimit --release --test loom`.
//! All with up to five preemptions, which is where such bugs show; `LOOM_MAX_PREEMPTIONS` asks for more.
#![cfg(loom)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};
use ratelimit::{Algorithm, Demand, Limiter, ManualClock, Meter, Quota};
use std::{num::NonZeroU64, time::Duration};

type TestLimiter = Limiter<u8, ManualClock>;

struct World {
    limiter: TestLimiter,
    clock: ManualClock,
    meter: std::sync::Arc<Meter>,
    /// What left, per key.
    left: [AtomicU64; 2],
}

impl World {
    fn new(max_keys: usize, max: u64) -> Arc<Self> {
        let quota = Quota::new(NonZeroU64::new(max).unwrap(), Duration::from_secs(60), Algorithm::Window).unwrap();
        let (clock, meter) = (ManualClock::default(), std::sync::Arc::new(Meter::new([quota]).unwrap()));
        let left = [AtomicU64::new(0), AtomicU64::new(0)];
        Arc::new(Self { limiter: Limiter::new(max_keys, clock.clone()), clock, meter, left })
    }

    fn demand(&self, key: u8, cost: u64) -> Demand<'_, u8> {
        Demand { key, meter: &self.meter, enforced: [0].into_iter().collect(), cost }
    }

    /// One unit for each key, all or none; spent or given back.
    fn call(&self, keys: &[u8], spend: bool) {
        let demands: Vec<_> = keys.iter().map(|key| self.demand(*key, 1)).collect();
        let Ok(reservation) = self.limiter.reserve(&demands) else { return };
        if spend {
            reservation.spend();
            for key in keys {
                self.left[usize::from(*key)].fetch_add(1, SeqCst);
            }
        }
    }

    fn remaining(&self, key: u8) -> u64 {
        self.limiter.reserve(&[self.demand(key, 0)]).unwrap().remaining(0).unwrap().units
    }

    fn left(&self) -> [u64; 2] {
        [0, 1].map(|key| self.left[key].load(SeqCst))
    }
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(5));
    model.check(check);
}

fn together(world: &Arc<World>, one: impl Fn(&World) + Send + Sync + 'static, other: impl Fn(&World)) {
    let shared = world.clone();
    let thread = thread::spawn(move || one(&shared));
    other(world);
    thread.join().unwrap();
}

#[test]
fn overlapping_calls_in_opposite_order_neither_block_nor_exceed() {
    model(|| {
        let world = World::new(2, 1);
        together(&world, |w| w.call(&[0, 1], true), |w| w.call(&[1, 0], true));
        assert_eq!(world.left(), [1, 1]); // exactly one of the two, whole
        assert_eq!([world.remaining(0), world.remaining(1)], [0, 0]);
    });
}

#[test]
fn a_refused_call_leaves_no_trace() {
    model(|| {
        let world = World::new(2, 1);
        together(&world, |w| w.call(&[0], true), |w| w.call(&[1, 0], true));
        let left = world.left();
        assert_eq!(left[0], 1);
        assert_eq!(world.remaining(1), 1 - left[1]);
    });
}

#[test]
fn giving_back_makes_room_and_spending_does_not() {
    model(|| {
        let world = World::new(2, 1);
        together(&world, |w| w.call(&[0, 1], false), |w| w.call(&[1, 0], true));
        assert!(world.left() == [1, 1] || world.left() == [0, 0]);
        assert_eq!([world.remaining(0), world.remaining(1)], world.left().map(|left| 1 - left));
    });
}

#[test]
fn eviction_never_takes_a_cell_in_use() {
    model(|| {
        let world = World::new(2, 1);
        together(
            &world,
            |w| w.call(&[0], true),
            |w| {
                w.limiter.evict_idle();
                w.call(&[0], true);
            },
        );
        assert_eq!(world.left()[0], 1);
        assert_eq!(world.limiter.evict_idle(), 0, "a spent unit keeps its cell");
        assert_eq!(world.remaining(0), 0);
    });
}

#[test]
fn two_newcomers_for_the_last_place() {
    model(|| {
        let world = World::new(1, 1);
        together(&world, |w| w.call(&[0], true), |w| w.call(&[1], true));
        let left = world.left();
        assert_eq!((left[0] + left[1], world.limiter.keys()), (1, 1), "the place of a spent key is not given away");
    });
}

#[test]
fn the_same_newcomer_twice_takes_one_place() {
    model(|| {
        let world = World::new(2, 2);
        together(&world, |w| w.call(&[0], true), |w| w.call(&[0], true));
        assert_eq!((world.left()[0], world.limiter.keys()), (2, 1));
        assert_eq!(world.remaining(0), 0);
    });
}

#[test]
fn an_idle_key_is_evicted_once_while_it_comes_back() {
    model(|| {
        let world = World::new(1, 1);
        world.call(&[0], true);
        world.clock.advance(Duration::from_secs(60));
        together(&world, |w| w.call(&[0], true), |w| w.call(&[1], true));
        let left = world.left();
        assert_eq!((left[0] - 1 + left[1], world.limiter.keys()), (1, 1));
    });
}
