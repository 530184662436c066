//! The connection and the circuit breaker.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Address, InvalidAddress};

/// So many failures in a row open the circuit.
const FAILURES: u32 = 5;

/// Questions that may wait for the server at a time; more are refused.
const IN_FLIGHT: usize = 8_192;

/// The keeper waits so long for an answer at least: longer than a question does, since nobody waits for the keeper.
const PATIENCE: Duration = Duration::from_millis(500);

const LATE: &str = "it does not answer in time";

/// Nothing is asked unless a keeper connects.
pub struct Link {
    client: redis::Client,
    address: Address,
    timeout: Duration,
    state: watch::Sender<State>,
    /// In a row.
    failures: AtomicU32,
    refused: AtomicU64,
    places: Semaphore,
    /// Connections that there were.
    connections: AtomicU64,
}

enum State {
    /// For the first time.
    Connecting,
    Up(Up),
    Down(Arc<str>),
}

#[derive(Clone)]
struct Up {
    connection: MultiplexedConnection,
    /// Which of the connections that there were.
    number: u64,
}

/// The server does not answer as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    #[error("it is down")]
    Down,
    #[error("too many calls wait for it")]
    Crowded,
    #[error("it fails")]
    Fails,
    #[error("{LATE}")]
    Late,
}

impl Link {
    /// `timeout`: how long a question waits for its answer, the very first connecting included.
    pub fn new(address: Address, timeout: Duration) -> Result<Self, InvalidAddress> {
        Ok(Self {
            client: address.client()?,
            address,
            timeout,
            state: watch::Sender::new(State::Connecting),
            failures: AtomicU32::new(0),
            refused: AtomicU64::new(0),
            places: Semaphore::new(IN_FLIGHT),
            connections: AtomicU64::new(0),
        })
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The answer to a question, in time or not at all.
    pub async fn ask<T, F>(&self, question: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, Away>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        self.asked(question).await.inspect_err(|_| self.count_refusal())
    }

    async fn asked<T, F>(&self, question: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, Away>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let deadline = Instant::now() + self.timeout;
        let _place = self.places.try_acquire().map_err(|_| Away::Crowded)?;
        let up = timeout_at(deadline, self.up()).await.map_err(|_| Away::Late)??;
        match timeout_at(deadline, question(up.connection)).await {
            Ok(Ok(answer)) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.failed(up.number, &error.to_string(), is_end(&error));
                Err(Away::Fails)
            }
            Err(_) => {
                self.failed(up.number, LATE, false);
                Err(Away::Late)
            }
        }
    }

    /// The connection, at once; only the very first one is waited for.
    async fn up(&self) -> Result<Up, Away> {
        if let State::Up(up) = &*self.state.borrow() {
            return Ok(up.clone());
        }
        let mut state = self.state.subscribe();
        let there = state.wait_for(|state| !matches!(state, State::Connecting)).await.map_err(|_| Away::Down)?;
        match &*there {
            State::Up(up) => Ok(up.clone()),
            State::Connecting | State::Down(_) => Err(Away::Down),
        }
    }

    /// A question failed; `is_end`: so will all others.
    fn failed(&self, number: u64, why: &str, is_end: bool) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if is_end || failures >= FAILURES {
            self.state.send_if_modified(|state| match state {
                State::Up(current) if current.number == number => {
                    *state = State::Down(why.into());
                    true
                }
                State::Up(_) | State::Connecting | State::Down(_) => false,
            });
        }
    }

    /// It is known that nothing can be asked now.
    pub fn check(&self) -> Result<(), Away> {
        match &*self.state.borrow() {
            State::Connecting | State::Up(_) => Ok(()),
            State::Down(_) => Err(Away::Down),
        }
    }

    /// Why nothing can be asked now, if so.
    pub fn trouble(&self) -> Option<Arc<str>> {
        match &*self.state.borrow() {
            State::Connecting => Some("it was not reached yet".into()),
            State::Up(_) => None,
            State::Down(why) => Some(Arc::clone(why)),
        }
    }

    /// What was asked, and refused because the server did not answer as it should.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// There was an answer, and it was of no use.
    pub fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection that nobody asks anything yet.
    pub async fn connect(&self) -> Result<MultiplexedConnection, Arc<str>> {
        let patience = Some(self.patience());
        let settings = AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&settings);
        match timeout(self.patience(), connecting).await {
            Ok(connected) => connected.map_err(|error| error.to_string().into()),
            Err(_) => Err("it cannot be reached".into()),
        }
    }

    /// A connection that only listens to that channel.
    pub async fn listen(&self, channel: String) -> Result<PubSub, Arc<str>> {
        let listening = async {
            let mut ear = self.client.get_async_pubsub().await?;
            ear.subscribe(channel).await?;
            Ok(ear)
        };
        self.within(listening).await
    }

    /// What the keeper asks, while it has patience.
    pub async fn within<T>(&self, asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, Arc<str>> {
        match timeout(self.patience(), asked).await {
            Ok(answered) => answered.map_err(|error| error.to_string().into()),
            Err(_) => Err(LATE.into()),
        }
    }

    pub fn patience(&self) -> Duration {
        self.timeout.max(PATIENCE)
    }

    /// From here on this connection is asked.
    pub fn is_up(&self, connection: MultiplexedConnection) {
        self.failures.store(0, Ordering::Relaxed);
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        self.state.send_replace(State::Up(Up { connection, number }));
    }

    /// From here on nothing is asked.
    pub fn is_down(&self, why: Arc<str>) {
        self.state.send_replace(State::Down(why));
    }

    /// Returns when the circuit is open, with why.
    pub async fn broken(&self) -> Arc<str> {
        let mut state = self.state.subscribe();
        match state.wait_for(|state| matches!(state, State::Down(_))).await.as_deref() {
            Ok(State::Down(why)) => Arc::clone(why),
            Ok(State::Connecting | State::Up(_)) | Err(_) => "it is down".into(),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.address).field("trouble", &self.trouble()).finish_non_exhaustive()
    }
}

/// The connection is over.
fn is_end(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
}
