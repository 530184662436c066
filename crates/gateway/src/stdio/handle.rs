//! What is handed over to a line, and what it keeps of it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
    /// It was probed, turned out legacy, and nothing else happened: an `initialize` may have it.
    pub(super) spare: Arc<AtomicBool>,
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
