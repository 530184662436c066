//! What is handed over to a line, and what it keeps of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::error::StdioError;
use super::message::{Asked, Message};
use super::outlet::Outlet;
use crate::limits::Held;

pub(super) enum Command {
    Post(Box<Post>),
    /// A session's stream.
    Listen(Arc<str>, Outlet),
}

pub(super) struct Post {
    pub(super) session: Option<Arc<str>>,
    pub(super) modern: bool,
    pub(super) message: Message,
    pub(super) held: Option<Held>,
    /// For requests.
    pub(super) outlet: Option<Outlet>,
}

impl Post {
    pub(super) fn fail(self, why: StdioError) {
        if let Some(outlet) = self.outlet {
            outlet.fail(why);
        }
    }
}

pub(super) enum Note {
    /// Nobody waits for that request any more.
    Left(u64),
    /// The session is over.
    End(Arc<str>),
    /// Nobody needs the line.
    Retire,
}

/// The other end of a line.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    /// One for each request at most, and one for each session; so it need not wait.
    pub(super) notes: mpsc::UnboundedSender<Note>,
    pub(super) spare: Arc<Spare>,
}

/// Whether an `initialize` may have the line: it was probed, turned out legacy, and nothing else happened.
#[derive(Default)]
pub(super) struct Spare {
    free: AtomicBool,
    /// It was asked something that was no probe.
    used: AtomicBool,
}

impl Spare {
    /// What a probe told. A program that is not modern, and was asked nothing else, is as good as new.
    pub(super) fn probed(&self, modern: bool) {
        self.free.store(!modern && !self.used.load(Ordering::Acquire), Ordering::Release);
    }

    pub(super) fn used(&self) {
        self.used.store(true, Ordering::Release);
        self.free.store(false, Ordering::Release);
    }

    /// Takes it, if it is free.
    pub(super) fn take(&self) -> bool {
        self.free.swap(false, Ordering::AcqRel)
    }

    pub(super) fn is_free(&self) -> bool {
        self.free.load(Ordering::Acquire)
    }
}

impl Handle {
    pub(super) fn note(&self, note: Note) {
        _ = self.notes.send(note); // whoever is gone needs to be told nothing
    }
}

/// A request that the program has not answered.
pub(super) struct Open {
    pub(super) waiter: Waiter,
    pub(super) asked: Asked,
    pub(super) modern: bool,
    pub(super) session: Option<Arc<str>>,
}

pub(super) enum Waiter {
    Client(Outlet),
    Greeting,
    /// Its answer does not matter.
    Nobody,
}
