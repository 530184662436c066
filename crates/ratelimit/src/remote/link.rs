//! The connection, and when it is given up: a circuit breaker. While it is open nobody waits; the keeper alone tries.

use super::{
    Refused, Remote,
    call::{Call, Head, Mode},
    pending,
    reply::{self, Epoch, Reply},
};
use redis::{RedisError, ServerErrorKind, aio::MultiplexedConnection};
use smallvec::SmallVec;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// So many failures in a row open the circuit.
const FAILURES: u32 = 5;

#[derive(Clone)]
pub(super) enum Link {
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

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Why nothing can be counted now, if so.
    pub trouble: Option<Arc<str>>,
    /// Calls that were refused because the store did not answer as it should.
    pub refused: u64,
    /// Calls that left late or never, and that the store has not heard of yet.
    pub untold: usize,
}

impl Remote {
    pub fn status(&self) -> Status {
        let trouble = match &*self.link.borrow() {
            Link::Connecting => Some("it was not reached yet".into()),
            Link::Up(_) => None,
            Link::Down(why) => Some(Arc::clone(why)),
        };
        Status {
            trouble,
            refused: self.refused.load(Ordering::Relaxed),
            untold: pending::lock(&self.pending).untold((self.clock)()),
        }
    }

    /// The connection, at once; only the very first one is waited for.
    pub(super) async fn up(&self) -> Result<Up, Refused> {
        if let Link::Up(up) = &*self.link.borrow() {
            return Ok(up.clone());
        }
        let mut link = self.link.subscribe();
        loop {
            match &*link.borrow_and_update() {
                Link::Up(up) => return Ok(up.clone()),
                Link::Down(_) => return Err(self.unavailable("it is down")),
                Link::Connecting => {}
            }
            if link.changed().await.is_err() {
                return Err(self.unavailable("it is down"));
            }
        }
    }

    /// One run of the script: of its hash, or of its text where the server does not have it.
    pub(super) async fn run(
        &self,
        connection: &MultiplexedConnection,
        call: &Call,
        mode: Mode,
        deadline: u64,
    ) -> Result<Reply, RedisError> {
        self.say(connection, call, (mode, deadline), Epoch::default(), &SmallVec::new()).await
    }

    /// The same of a call that was counted before.
    pub(super) async fn say(
        &self,
        connection: &MultiplexedConnection,
        call: &Call,
        (mode, deadline): (Mode, u64),
        seen: Epoch,
        nows: &SmallVec<[u64; 2]>,
    ) -> Result<Reply, RedisError> {
        let known = *pending::lock(&self.known);
        let head = Head {
            mode,
            known: (known.id, known.sequence),
            new_id: self.new_id(),
            settle: self.settings.settle,
            deadline,
            seen: (seen.id, seen.lost),
        };
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script);
            call.write(&mut command, &self.settings.prefix, &head, nows);
            command
        };
        let mut connection = connection.clone();
        let by_hash: Result<Vec<i64>, _> = command("EVALSHA", &self.hash).query_async(&mut connection).await;
        let numbers = match by_hash {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                command("EVAL", &self.script).query_async(&mut connection).await?
            }
            other => other?,
        };
        let (epoch, reply) = reply::read(&numbers)
            .ok_or_else(|| RedisError::from((redis::ErrorKind::UnexpectedReturnType, "no answer of the script")))?;
        self.learn(epoch);
        Ok(reply)
    }

    /// Nobody else's: 52 bits that no other process has, in all likelihood.
    fn new_id(&self) -> u64 {
        use std::hash::{BuildHasher as _, RandomState};
        (RandomState::new().hash_one(std::process::id()) >> 12).max(1)
    }

    fn learn(&self, epoch: Epoch) {
        let mut known = pending::lock(&self.known);
        if known.id == epoch.id {
            known.sequence = known.sequence.max(epoch.sequence);
        } else {
            (known.id, known.sequence) = (epoch.id, epoch.sequence);
        }
    }

    /// A call failed; `is_end`: so will all others.
    pub(super) fn failed(&self, up: &Up, why: &str, is_end: bool) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if is_end || failures >= FAILURES {
            let opened = self.link.send_if_modified(|link| match link {
                Link::Up(current) if current.number == up.number => {
                    *link = Link::Down(why.into());
                    true
                }
                Link::Up(_) | Link::Connecting | Link::Down(_) => false,
            });
            if opened {
                self.wake.notify_one();
            }
        }
    }

    /// How long the keeper waits for an answer: longer than a call does, since nobody waits for the keeper.
    pub(super) fn patience(&self) -> Duration {
        self.settings.timeout.max(Duration::from_millis(500))
    }
}

/// The connection is over.
pub(super) fn is_end(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
}
