//! The connection, and when it is given up: a circuit breaker. While it is open nobody waits; the keeper alone tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use ratelimit::{Address, InvalidAddress};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline, RedisError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

/// So many failures in a row open the circuit.
const FAILURES: u32 = 5;

/// Requests that may wait for Redis at a time; more are refused.
const IN_FLIGHT: usize = 8_192;

pub(super) struct Link {
    pub(super) client: redis::Client,
    /// Without its password.
    address: Box<str>,
    timeout: Duration,
    state: watch::Sender<State>,
    /// In a row.
    failures: AtomicU32,
    pub(super) refused: AtomicU64,
    places: Semaphore,
    /// It was said that it is away.
    lost: AtomicBool,
}

enum State {
    /// For the first time.
    Connecting,
    Up(Up),
    Down(Arc<str>),
}

#[derive(Clone)]
pub(super) struct Up {
    pub(super) connection: MultiplexedConnection,
    /// Which of the connections that there were.
    pub(super) number: u64,
}

/// Redis does not answer as it should.
#[derive(Debug)]
pub(super) struct Away;

impl Link {
    pub(super) fn new(address: &Address, timeout: Duration) -> Result<Self, InvalidAddress> {
        Ok(Self {
            client: address.client()?,
            address: address.to_string().into(),
            timeout,
            state: watch::Sender::new(State::Connecting),
            failures: AtomicU32::new(0),
            refused: AtomicU64::new(0),
            places: Semaphore::new(IN_FLIGHT),
            lost: AtomicBool::new(false),
        })
    }

    /// The answers to some commands, in time or not at all. Boxed, so that what most calls wait in does not grow with what few wait for.
    pub(super) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Away> {
        Box::pin(self.asked(commands)).await.inspect_err(|_| _ = self.refused.fetch_add(1, Ordering::Relaxed))
    }

    async fn asked<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Away> {
        let deadline = Instant::now() + self.timeout;
        let _place = self.places.try_acquire().map_err(|_| Away)?;
        let mut up = timeout_at(deadline, self.up()).await.map_err(|_| Away)??;
        match timeout_at(deadline, commands.query_async(&mut up.connection)).await {
            Ok(Ok(answer)) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.failed(&up, &error.to_string(), is_end(&error));
                Err(Away)
            }
            Err(_) => {
                self.failed(&up, "it does not answer in time", false);
                Err(Away)
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), Away> {
        match &*self.state.borrow() {
            State::Connecting | State::Up(_) => Ok(()),
            State::Down(_) => Err(Away),
        }
    }

    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        match &*self.state.borrow() {
            State::Connecting => Some("it was not reached yet".into()),
            State::Up(_) => None,
            State::Down(why) => Some(Arc::clone(why)),
        }
    }

    /// The connection, at once; only the very first one is waited for.
    async fn up(&self) -> Result<Up, Away> {
        if let State::Up(up) = &*self.state.borrow() {
            return Ok(up.clone());
        }
        let mut state = self.state.subscribe();
        let there = state.wait_for(|state| !matches!(state, State::Connecting)).await.map_err(|_| Away)?;
        match &*there {
            State::Up(up) => Ok(up.clone()),
            State::Connecting | State::Down(_) => Err(Away),
        }
    }

    pub(super) fn is_up(&self, up: Up) {
        self.failures.store(0, Ordering::Relaxed);
        self.state.send_replace(State::Up(up));
        if self.lost.swap(false, Ordering::Relaxed) {
            tracing::info!(store = %self.address, "the store of sessions (`sessions.store`) is back");
        }
    }

    pub(super) fn is_down(&self, why: Arc<str>) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(store = %self.address, error = %why, "the store of sessions (`sessions.store`) is lost");
        }
        self.state.send_replace(State::Down(why));
    }

    /// Returns when the circuit is open, with why.
    pub(super) async fn broken(&self) -> Arc<str> {
        let mut state = self.state.subscribe();
        match state.wait_for(|state| matches!(state, State::Down(_))).await.as_deref() {
            Ok(State::Down(why)) => Arc::clone(why),
            Ok(State::Connecting | State::Up(_)) | Err(_) => "it is down".into(),
        }
    }

    /// A request failed; `is_end`: so will all others.
    fn failed(&self, up: &Up, why: &str, is_end: bool) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if is_end || failures >= FAILURES {
            self.state.send_if_modified(|state| match state {
                State::Up(current) if current.number == up.number => {
                    *state = State::Down(why.into());
                    true
                }
                State::Up(_) | State::Connecting | State::Down(_) => false,
            });
        }
    }

    /// How long the keeper waits for an answer: longer than a request does, since nobody waits for the keeper.
    pub(super) fn patience(&self) -> Duration {
        self.timeout.max(Duration::from_millis(500))
    }
}

/// The connection is over.
fn is_end(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
}
