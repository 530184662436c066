//! Where programs live: on a thread of their own, since the threads that serve connections end before them.

use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::line::Line;
use crate::start::{StartError, thread};

/// The thread. When this is dropped, the programs end, but nobody waits for it.
#[derive(Debug)]
pub(crate) struct Nursery {
    place: Place,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// A way to put something there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    runtime: Handle,
    /// Whoever lives there holds one; when there is none left, it is over.
    alive: mpsc::WeakSender<()>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Nursery {
    pub(crate) fn start() -> Result<Self, StartError> {
        let (stop, mut stopped) = watch::channel(false);
        let (alive, mut living) = mpsc::channel(1);
        let (weak, seen) = (alive.downgrade(), stopped.clone());
        let (here, there) = std::sync::mpsc::sync_channel(1);
        let thread = thread("stdio", async move || {
            _ = here.send(Handle::current());
            _ = stopped.wait_for(|stopped| *stopped).await;
            drop(alive);
            while living.recv().await.is_some() {}
        })?;
        let gone = || StartError::Thread(std::io::Error::other("it ended at once"));
        let runtime = there.recv().map_err(|_| gone())?;
        Ok(Self { place: Place { runtime, alive: weak, stop: seen }, stop, thread })
    }

    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Ends all programs, and returns when none is left.
    pub(crate) fn end(self) {
        _ = self.stop.send(true);
        _ = self.thread.join();
    }
}

impl Place {
    /// False when it is too late for that.
    pub(super) fn put(&self, line: Line) -> bool {
        let Some(alive) = self.alive.upgrade() else { return false };
        self.runtime.spawn(line.run(alive));
        true
    }
}
