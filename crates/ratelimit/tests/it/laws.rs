//! Laws over random histories, judged by an observer with a clock of its own that notes when what left.

use super::*;
use proptest::{collection::vec, prelude::*};

const KEYS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Reserve(Vec<(usize, u64)>),
    Spend(usize),
    Release(usize),
    Advance(Duration),
    /// The limiter's clock alone jumps back; the observer's goes on.
    JumpBack(Duration),
    Evict,
    /// The policy is reloaded: a key's meter is replaced by the next one.
    Reload(usize),
}

fn span() -> impl Strategy<Value = Duration> {
    let windows = prop_oneof![Just(SECOND), Just(MINUTE), Just(HOUR), Just(MINUTE - Duration::from_nanos(1))];
    prop_oneof![3 => (0..2_000_u64).prop_map(Duration::from_millis), 1 => (0..4_000_u64).prop_map(Duration::from_secs), 1 => windows]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec((0..KEYS.len(), 0..4_u64), 1..4).prop_map(Step::Reserve),
        4 => (0..8_usize).prop_map(Step::Spend),
        2 => (0..8_usize).prop_map(Step::Release),
        4 => span().prop_map(Step::Advance),
        1 => (0..=3_600_u64).prop_map(|s| Step::JumpBack(Duration::from_secs(s))),
        1 => Just(Step::Evict),
    ]
}

/// What left: when by the observer's clock, for which key, how much.
struct Left {
    at: Duration,
    key: usize,
    units: u64,
}

type Held = (Reservation<ManualClock>, Vec<(usize, u64)>);

struct World {
    limiter: Limiter<&'static str, ManualClock>,
    clock: ManualClock,
    observer: Duration,
    meters: [Vec<Arc<Meter>>; 3],
    held: Vec<Held>,
    left: Vec<Left>,
}

impl World {
    fn new(meters: [Vec<Arc<Meter>>; 3]) -> Self {
        let (limiter, clock) = super::limiter(3);
        clock.set(HOUR);
        Self { limiter, clock, observer: HOUR, meters, held: vec![], left: vec![] }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Reserve(asked) => {
                let call: Vec<_> = asked
                    .iter()
                    .map(|(key, cost)| demand(KEYS[*key], self.meters[*key].first().unwrap(), *cost))
                    .collect();
                if let Ok(reservation) = self.limiter.reserve(&call) {
                    self.held.push((reservation, asked));
                }
            }
            Step::Spend(index) if index < self.held.len() => {
                let (reservation, asked) = self.held.swap_remove(index);
                reservation.spend();
                let at = self.observer;
                self.left.extend(asked.into_iter().map(|(key, units)| Left { at, key, units }));
            }
            Step::Release(index) if index < self.held.len() => self.held.swap_remove(index).0.release(),
            Step::Spend(_) | Step::Release(_) => {}
            Step::Advance(by) => {
                self.observer += by;
                self.clock.advance(by);
            }
            Step::JumpBack(by) => self.clock.set(self.clock.now().saturating_sub(by)),
            Step::Evict => drop(self.limiter.evict_idle()),
            Step::Reload(key) => self.meters[key].rotate_left(1),
        }
    }

    /// The most that left for a key in any half-open span of that length. It begins with something that left.
    fn most_in_any(&self, key: usize, window: Duration) -> u64 {
        let of_key = || self.left.iter().filter(|left| left.key == key);
        let from = |start: Duration| of_key().filter(move |left| start <= left.at && left.at < start + window);
        of_key().map(|first| from(first.at).map(|left| left.units).sum()).max().unwrap_or(0)
    }
}

fn quotas(algorithm: Algorithm) -> impl Strategy<Value = Vec<Quota>> {
    let window = prop_oneof![Just(SECOND), Just(MINUTE), Just(HOUR)];
    vec((1..9_u64, window), 1..4)
        .prop_map(move |quotas| quotas.into_iter().map(|(max, w)| quota(max, w, algorithm)).collect())
}

fn meters(algorithm: Algorithm) -> impl Strategy<Value = [Vec<Arc<Meter>>; 3]> {
    let one = || quotas(algorithm).prop_map(|quotas| vec![meter(quotas)]);
    [one(), one(), one()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_window_ever_holds_more_than_its_max(meters in meters(Algorithm::Window), steps in vec(step(), 0..60)) {
        let mut world = World::new(meters);
        steps.into_iter().for_each(|step| world.step(step));
        for (key, meters) in world.meters.iter().enumerate() {
            for quota in meters.iter().flat_map(|meter| meter.quotas()) {
                let most = world.most_in_any(key, quota.window());
                prop_assert!(most <= quota.max().get(), "{most} for {} in {quota:?}", KEYS[key]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// GCRA: over any span `d`, at most `max + max * d / window`; so close to `2 * max` over one window, and never more.
    #[test]
    fn smooth_keeps_its_rate_over_every_span(meters in meters(Algorithm::Smooth), steps in vec(step(), 0..60)) {
        let mut world = World::new(meters);
        steps.into_iter().for_each(|step| world.step(step));
        for (key, meters) in world.meters.iter().enumerate() {
            for quota in meters.iter().flat_map(|meter| meter.quotas()) {
                for span in [SECOND / 3, SECOND, MINUTE, HOUR, quota.window(), quota.window() * 5] {
                    let (max, most) = (u128::from(quota.max().get()), u128::from(world.most_in_any(key, span)));
                    let bound = max * quota.window().as_nanos() + max * span.as_nanos();
                    prop_assert!(most * quota.window().as_nanos() <= bound, "{most} in {span:?} for {quota:?}");
                }
            }
        }
    }

    /// Reloads change maxima and drop or add shorter windows; what is enforced all along holds all along.
    #[test]
    fn reloads_never_loosen_a_quota_that_stays(
        meters in [reloaded(), reloaded(), reloaded()],
        steps in vec(prop_oneof![9 => step(), 1 => (0..KEYS.len()).prop_map(Step::Reload)], 0..80),
    ) {
        let mut world = World::new(meters);
        steps.into_iter().for_each(|step| world.step(step));
        for (key, name) in KEYS.iter().enumerate() {
            let most = world.most_in_any(key, HOUR);
            prop_assert!(most <= 12, "{most} for {name}");
        }
    }

    /// Whoever waits as long as told, while nobody else acts, passes.
    #[test]
    fn waiting_as_told_is_enough(meters in meters(Algorithm::Window), steps in vec(step(), 0..60), asked in (0..KEYS.len(), 1..4_u64)) {
        let mut world = World::new(meters);
        steps.into_iter().for_each(|step| world.step(step));
        let (key, cost) = asked;
        let meter = world.meters[key].first().unwrap();
        let call = [demand(KEYS[key], meter, cost)];
        let held = std::mem::take(&mut world.held);
        if let Err(refused) = world.limiter.reserve(&call) {
            held.into_iter().for_each(|(reservation, _)| reservation.spend()); // the worst that the holders can do at once
            if let Some(wait) = refused.retry_after() {
                world.clock.advance(wait);
                prop_assert!(world.limiter.reserve(&call).is_ok(), "{refused}");
            }
        }
    }
}

/// Meters that all keep "12 an hour", beside quotas that change.
fn reloaded() -> impl Strategy<Value = Vec<Arc<Meter>>> {
    let other = prop_oneof![quotas(Algorithm::Window), quotas(Algorithm::Smooth), Just(vec![])];
    vec(other.prop_map(|other| meter([window(12, HOUR)].into_iter().chain(other))), 1..4)
}
