//! Is a server there? What each connection and each answer tells of it, and when it is asked again if it is not: a server that is down
//! costs a caller nothing but the word that it is.

mod circuit;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::circuit::Circuit;
use crate::agent::Agent;
use crate::guard::{Forbidden, Slow, Unresolved};
use crate::identity::Proof;
use crate::pipeline::Pipeline;
use crate::server::Server;
use crate::upstream::UpstreamError;

/// Until a probe has its answer.
const PROBE: Duration = Duration::from_secs(10);

/// What kind of failure it was; for people, without addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Unresolved,
    Forbidden,
    Refused,
    Slow,
    Tls,
    Connect,
    Silent,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unresolved => "its name cannot be resolved",
            Self::Forbidden => "its address is forbidden",
            Self::Refused => "connection refused",
            Self::Slow => "no connection in time",
            Self::Tls => "TLS failed",
            Self::Connect => "cannot connect",
            Self::Silent => "no answer in time",
        })
    }
}

pub(crate) struct Health {
    server: Arc<str>,
    /// There is nothing to think about: it answered last, and nothing failed since.
    calm: AtomicBool,
    circuit: Mutex<Circuit>,
}

impl Health {
    pub(crate) fn new(server: &str) -> Self {
        let circuit = Mutex::new(Circuit::new(Instant::now()));
        Self { server: server.into(), calm: AtomicBool::new(false), circuit }
    }

    /// May this be tried? If not, it is worth trying after that long.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Admitted, UpstreamError> {
        let trial = match self.calm.load(Ordering::Relaxed) {
            true => false,
            false => self.circuit().admit(Instant::now()).map_err(UpstreamError::Down)?,
        };
        Ok(Admitted { health: Arc::clone(self), trial })
    }

    /// A connection was made. That is enough for a server that could not be connected to.
    pub(crate) fn connected(&self) {
        if !self.calm.load(Ordering::Relaxed) {
            let up = self.circuit().connected(Instant::now());
            self.up_again(up);
        }
    }

    fn answered(&self) {
        if !self.calm.load(Ordering::Relaxed) {
            let mut circuit = self.circuit();
            let up = circuit.answered(Instant::now());
            self.calm.store(true, Ordering::Relaxed);
            drop(circuit);
            self.up_again(up);
        }
    }

    fn failed(&self, class: Class, trial: bool) {
        let mut circuit = self.circuit();
        self.calm.store(false, Ordering::Relaxed);
        let was_down = circuit.is_down();
        let opened = circuit.failed(class, trial, Instant::now(), fastrand::f64());
        drop(circuit);
        let retry_after_ms = opened.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        match (opened, was_down) {
            (Some(_), false) => {
                tracing::warn!(server = %self.server, error = %class, retry_after_ms, "a server is down");
            }
            (Some(_), true) => {
                tracing::debug!(server = %self.server, error = %class, retry_after_ms, "a server is still down");
            }
            (None, _) => {}
        }
    }

    fn up_again(&self, after: Option<Duration>) {
        if let Some(after) = after {
            tracing::info!(server = %self.server, after_s = after.as_secs(), "a server is up again");
        }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For `/readyz?verbose`.
    pub(crate) fn told(&self) -> String {
        format!("server {} {}", self.server, self.state())
    }

    pub(crate) fn state(&self) -> String {
        self.circuit().told(Instant::now())
    }
}

/// A try that was let through. Dropped without a word, it says nothing of the server, and another may be the trial.
pub(crate) struct Admitted {
    health: Arc<Health>,
    trial: bool,
}

impl Admitted {
    /// What came of it. Whatever a server answers, it is there.
    pub(crate) fn note<T>(self, outcome: &Result<T, UpstreamError>) {
        match outcome {
            Ok(_) => self.health.answered(),
            Err(UpstreamError::Connect(error)) => self.health.failed(class(error), self.trial),
            Err(UpstreamError::Timeout) => self.health.failed(Class::Silent, self.trial),
            Err(_) => {}
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.trial {
            self.health.circuit().given_up();
        }
    }
}

fn class(error: &(dyn Error + 'static)) -> Class {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(class) = class_of(error) {
            return class;
        }
        // An `io::Error` is not the source of what it holds, but the same.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    }
    Class::Connect
}

fn class_of(error: &(dyn Error + 'static)) -> Option<Class> {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let known = [
        (error.is::<Forbidden>(), Class::Forbidden),
        (error.is::<Unresolved>(), Class::Unresolved),
        (error.is::<Slow>() || kind == Some(io::ErrorKind::TimedOut), Class::Slow),
        (error.is::<rustls::Error>(), Class::Tls),
        (kind == Some(io::ErrorKind::ConnectionRefused), Class::Refused),
    ];
    known.into_iter().find_map(|(is, class)| is.then_some(class))
}

/// Asks a server now and then, as long as there is one. What it answers does not matter; while it is down, this is the trial.
pub(crate) async fn probe(pipeline: Pipeline, server: Arc<Server>, every: Duration) {
    let agent = Agent { key: "(probe)".into(), session: None, identity: None, proof: Proof::None };
    let mut rounds = tokio::time::interval(every);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            () = server.retirement() => return,
        }
        let mut upstream = pipeline.upstream(&server, &agent);
        upstream.deadline = upstream.deadline.min(Instant::now() + PROBE);
        if let Err(error) = upstream.knock().await {
            tracing::debug!(server = %server.id, error = %crate::policies::chain(&error), "a probe failed");
        }
    }
}
