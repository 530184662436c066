//! What all connections to one program share: how it is started, and how many there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::Command;

pub(super) struct House {
    pub(super) server: Arc<str>,
    pub(super) command: Command,
    /// The longest line that is read.
    pub(super) longest: usize,
    pub(super) session_idle: Duration,
    processes: AtomicUsize,
    restarts: AtomicU64,
    noise: AtomicU64,
    retired: AtomicBool,
}

/// How a program is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doing {
    pub(crate) processes: usize,
    /// Processes that ended by themselves, or had to be ended.
    pub(crate) restarts: u64,
    /// Lines on stdout that were no messages.
    pub(crate) noise: u64,
}

impl House {
    pub(super) fn new(server: &str, command: &Command, longest: usize, session_idle: Duration) -> Self {
        Self {
            server: server.into(),
            command: command.clone(),
            longest,
            session_idle,
            processes: AtomicUsize::new(0),
            restarts: AtomicU64::new(0),
            noise: AtomicU64::new(0),
            retired: AtomicBool::new(false),
        }
    }

    pub(super) fn doing(&self) -> Doing {
        Doing {
            processes: self.processes.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            noise: self.noise.load(Ordering::Relaxed),
        }
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Will nobody new come?
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    pub(super) fn started(&self) {
        self.processes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.processes.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn noise(&self) {
        self.noise.fetch_add(1, Ordering::Relaxed);
    }
}
