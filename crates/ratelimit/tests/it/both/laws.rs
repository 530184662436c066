//! Random histories against a naive model that keeps every instant: what passes is never too much in any window, and what is refused
//! had no room.

use super::*;
use proptest::{collection::vec, prelude::*};

const KEYS: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Step {
    Reserve(Vec<(usize, u64)>),
    Spend(usize),
    Release(usize),
    Advance(Duration),
    JumpBack(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    let span = prop_oneof![
        3 => (0..2_000_u64).prop_map(Duration::from_millis),
        1 => (0..4_000_u64).prop_map(Duration::from_secs),
        1 => prop_oneof![Just(SECOND), Just(MINUTE), Just(HOUR)],
    ];
    prop_oneof![
        6 => vec((0..KEYS.len(), 0..4_u64), 1..4).prop_map(Step::Reserve),
        4 => (0..6_usize).prop_map(Step::Spend),
        2 => (0..6_usize).prop_map(Step::Release),
        4 => span.prop_map(Step::Advance),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(prop_oneof![19 => step(), 1 => (0..=600_u64).prop_map(|s| Step::JumpBack(Duration::from_secs(s)))], 0..50)
}

fn quotas() -> impl Strategy<Value = Vec<Quota>> {
    let span = prop_oneof![Just(SECOND), Just(MINUTE), Just(HOUR)];
    vec((1..9_u64, span).prop_map(|(max, span)| window(max, span)), 1..4)
}

/// What left: when, by a clock that never jumps, for which key, how much.
struct Left {
    at: Duration,
    key: usize,
    units: u64,
}

/// What it was given for, what it holds by key, and since when.
type Held = (Ticket, Vec<(usize, u64)>, Duration);

struct World {
    counts: Counts,
    meters: Vec<Arc<Meter>>,
    held: Vec<Held>,
    left: Vec<Left>,
    now: Duration,
    jumped: bool,
}

impl World {
    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Reserve(asked) => {
                let call: Vec<_> =
                    asked.iter().map(|(key, cost)| demand(KEYS[*key], &self.meters[*key], *cost)).collect();
                match self.counts.reserve(&call).await {
                    Ok(ticket) => self.held.push((ticket, asked, self.now)),
                    Err(_) => {
                        prop_assert!(self.jumped || self.has_no_room(&asked), "refused {asked:?} at {:?}", self.now)
                    }
                }
            }
            Step::Spend(index) if index < self.held.len() => {
                let (ticket, asked, _) = self.held.swap_remove(index);
                ticket.spend();
                self.left.extend(asked.into_iter().map(|(key, units)| Left { at: self.now, key, units }));
                self.counts.settle().await;
            }
            Step::Release(index) if index < self.held.len() => {
                drop(self.held.swap_remove(index));
                self.counts.settle().await;
            }
            Step::Spend(_) | Step::Release(_) => {}
            Step::Advance(by) => {
                self.now += by;
                self.counts.advance(by).await;
            }
            Step::JumpBack(by) => {
                self.jumped = true;
                self.counts.jump_back(by).await;
            }
        }
        Ok(())
    }

    /// Whether a quota could be used up, at the strictest that may be: everything stays a 128th and a bit longer.
    fn has_no_room(&self, asked: &[(usize, u64)]) -> bool {
        KEYS.iter().enumerate().any(|(key, _)| {
            let of = |asked: &[(usize, u64)]| {
                asked.iter().filter(|(other, _)| *other == key).map(|(_, cost)| cost).sum::<u64>()
            };
            self.meters[key].quotas().iter().any(|quota| {
                let stays = quota.window() + quota.window() / 40;
                let recent = self.left.iter().filter(|left| left.key == key && self.now - left.at < stays);
                let held: u64 = self.held.iter().map(|(_, asked, _)| of(asked)).sum();
                recent.map(|left| left.units).sum::<u64>() + held + of(asked) > quota.max().get()
            })
        })
    }

    fn most_in_any(&self, key: usize, window: Duration) -> u64 {
        let own: Vec<_> = self.left.iter().filter(|left| left.key == key).collect();
        let starting = |start: Duration| {
            own.iter().filter(|left| left.at >= start && left.at - start < window).map(|left| left.units).sum()
        };
        own.iter().map(|left| starting(left.at)).max().unwrap_or(0)
    }
}

async fn histories_hold(counts: Counts, meters: [Vec<Quota>; 2], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let meters = meters.into_iter().map(meter).collect();
    let mut world = World { counts, meters, held: vec![], left: vec![], now: 100 * HOUR, jumped: false };
    for step in steps {
        world.step(step).await?;
    }
    for (key, meter) in world.meters.iter().enumerate() {
        for quota in meter.quotas() {
            let most = world.most_in_any(key, quota.window());
            prop_assert!(most <= quota.max().get(), "{most} for {} in {quota:?}", KEYS[key]);
        }
    }
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_window_ever_holds_more_than_its_max_in_memory(meters in [quotas(), quotas()], steps in steps()) {
        runtime().block_on(histories_hold(Counts::memory(), meters, steps))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(200)))]

    #[test]
    fn no_window_ever_holds_more_than_its_max_in_redis(meters in [quotas(), quotas()], steps in steps()) {
        runtime().block_on(async {
            match Counts::redis("redis: random histories").await {
                Some(counts) => histories_hold(counts, meters, steps).await,
                None => Ok(()),
            }
        })?;
    }
}
