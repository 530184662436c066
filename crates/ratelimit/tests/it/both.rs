//! What a limiter promises, asked of both back ends: counts in memory, and counts in Redis under a clock of the test's.

mod cases;
mod laws;

use super::*;
use ratelimit::{Refused, Remaining, Remote, RemoteReservation, Settings};
use redis_link::Address;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// A limiter and its clock.
pub(super) struct Counts {
    pub(super) clock: ManualClock,
    /// How far the clock of whoever counts is behind.
    behind: Duration,
    place: Place,
}

enum Place {
    Memory(Limiter<&'static str, ManualClock>),
    Redis { remote: Arc<Remote>, connection: redis::aio::MultiplexedConnection, key: String },
}

pub(super) enum Ticket {
    Memory(Reservation<ManualClock>),
    Redis(RemoteReservation),
}

impl Counts {
    pub(super) fn memory() -> Self {
        let (limiter, clock) = limiter(100);
        clock.set(100 * HOUR);
        Self { clock, behind: Duration::ZERO, place: Place::Memory(limiter) }
    }

    /// None where there is no Redis for tests.
    pub(super) async fn redis(test: &str) -> Option<Self> {
        let url = testkit::redis_url(test)?;
        let clock = ManualClock::default();
        clock.set(100 * HOUR);
        let settings = settings(&url);
        let key = format!("{{{}}}:clock", settings.prefix.as_str());
        let lua = format!("tonumber(redis.call('GET', '{key}'))");
        let ours = clock.clone();
        let remote = Arc::new(Remote::by_clocks(settings, &lua, move || ours.now()).unwrap());
        let connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
        let mut counts = Self {
            clock,
            behind: Duration::ZERO,
            place: Place::Redis { remote: Arc::clone(&remote), connection, key },
        };
        counts.show_time().await;
        tokio::spawn(async move { remote.keep().await });
        counts.settle().await;
        Some(counts)
    }

    pub(super) async fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.show_time().await;
        self.settle().await;
    }

    /// The clock of whoever counts, and for good.
    pub(super) async fn jump_back(&mut self, by: Duration) {
        match &self.place {
            Place::Memory(_) => self.clock.set(self.clock.now().saturating_sub(by)),
            Place::Redis { .. } => {
                self.behind += by;
                self.show_time().await;
            }
        }
    }

    pub(super) async fn show_time(&mut self) {
        if let Place::Redis { connection, key, .. } = &mut self.place {
            let time = self.clock.now().saturating_sub(self.behind);
            let mut set = redis::cmd("SET");
            set.arg(&*key).arg(u64::try_from(time.as_micros()).unwrap()).exec_async(connection).await.unwrap();
        }
    }

    pub(super) async fn reserve(&self, demands: &[Demand<'_, &'static str>]) -> Result<Ticket, Limited> {
        match &self.place {
            Place::Memory(limiter) => limiter.reserve(demands).map(Ticket::Memory),
            Place::Redis { remote, .. } => match remote.reserve(demands).await {
                Ok(reservation) => Ok(Ticket::Redis(reservation)),
                Err(Refused::Limited(limited)) => Err(limited),
                Err(unavailable @ Refused::Unavailable { .. }) => panic!("{unavailable} ({:?})", remote.status()),
            },
        }
    }

    /// Until the store has heard everything.
    pub(super) async fn settle(&self) {
        let Place::Redis { remote, .. } = &self.place else { return };
        testkit::patiently("the store to hear everything", async {
            while remote.status().trouble.is_some() || remote.status().untold > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    pub(super) async fn one(&self, key: &'static str, meter: &Arc<Meter>) -> Result<Ticket, Limited> {
        self.reserve(&[demand(key, meter, 1)]).await
    }

    /// Asks without taking: what the tightest quota has left.
    pub(super) async fn left(&self, key: &'static str, meter: &Arc<Meter>) -> u64 {
        let asked = self.reserve(&[demand(key, meter, 0)]).await.ok().unwrap();
        let left = asked.remaining(0).unwrap().units;
        asked.spend();
        left
    }

    /// How long a unit stays in a window: Redis counts it from when the call must have left at the latest.
    pub(super) fn stay(&self, window: Duration) -> Duration {
        match self.place {
            Place::Memory(_) => window,
            Place::Redis { .. } => {
                window + Duration::from_micros(u64::try_from(window.as_micros().div_ceil(128)).unwrap())
            }
        }
    }
}

impl Ticket {
    pub(super) fn spend(self) {
        match self {
            Self::Memory(reservation) => reservation.spend(),
            Self::Redis(reservation) => reservation.spend(),
        }
    }

    pub(super) fn remaining(&self, demand: usize) -> Option<Remaining> {
        match self {
            Self::Memory(reservation) => reservation.remaining(demand),
            Self::Redis(reservation) => reservation.remaining(demand),
        }
    }
}

/// Nobody else's keys, and a store that is taken as it is.
pub(super) fn settings(url: &str) -> Settings {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let address: Address = url.parse().unwrap();
    let prefix = format!("test-{}-{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst), random());
    Settings { address, prefix: prefix.parse().unwrap(), timeout: Duration::from_millis(500), settle: Duration::ZERO }
}

fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

/// Each behaviour as two tests.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(crate::both::Counts::memory()).await; })*
        }
        mod redis {
            $(#[tokio::test] async fn $name() {
                if let Some(counts) = crate::both::Counts::redis(concat!("redis::", stringify!($name))).await {
                    super::$name(counts).await;
                }
            })*
        }
    };
}
pub(super) use on_both;
