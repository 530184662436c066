//! The journal as its users see it: append, and wait until it is written.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::desk::Desk;
use crate::head;
use crate::job::{Job, MAX_RECORD, Written};
use crate::keeper::Keeper;
use crate::key::SigningKey;
use crate::recover::{self, End, RecoverError};
use crate::retention::{self, Dropped, Keep, PART_OF_AGE, RetainError};
use crate::segment::Tail;
use crate::writer::Writer;

/// When written records are forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before anybody is told that they are written: they survive the death of the machine.
    Always,
    /// This often: they survive the death of the process.
    Every(Duration),
}

#[derive(Clone)]
pub struct Settings {
    pub folder: PathBuf,
    /// What this journal calls itself.
    pub node: String,
    pub sync: Sync,
    /// A segment that has grown beyond so many bytes is followed by another.
    pub segment: u64,
    /// Records that may wait to be written: so many of those that somebody waits for, and so many others.
    pub queue: usize,
    /// How long a record may wait before whoever depends on it is told no.
    pub patience: Duration,
    pub key: Arc<SigningKey>,
    pub keep: Keep,
    /// The time so long ago, in RFC 3339 in UTC, always of the same length: for records of the journal's own.
    pub stamp: Arc<dyn Fn(Duration) -> String + Send + std::marker::Sync>,
}

impl Settings {
    pub(crate) fn now(&self) -> String {
        (self.stamp)(Duration::ZERO)
    }
}

/// A handle; clones write to the same journal. When all of them are gone, it is closed.
#[derive(Clone)]
pub struct Journal {
    handle: Arc<Handle>,
    settings: Arc<Settings>,
}

struct Handle(Arc<Desk>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A journal that was opened.
pub struct Opened {
    pub journal: Journal,
    /// The last record that was there.
    pub last: u64,
    /// Bytes of a record that a crash cut in half, and that were set aside.
    pub torn: usize,
    thread: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use the folder `{folder}`")]
    Folder { folder: PathBuf, source: io::Error },
    #[error("another process writes this journal (`{0}` is locked)")]
    Locked(PathBuf),
    #[error("the journal cannot be continued")]
    Recover(#[from] RecoverError),
}

/// Why a record is not in the journal. Whatever depends on it must not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotWritten {
    #[error("the journal is full: {0} records wait already")]
    Full(usize),
    #[error("the journal did not take the record within {0:?}")]
    Stuck(Duration),
    #[error("the journal cannot be written: {0}")]
    Failed(Arc<io::Error>),
    #[error("a record is one JSON object on one line, of at most {MAX_RECORD} bytes")]
    Unwritable,
    #[error("the journal is closed")]
    Closed,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Records that wait.
    pub waiting: usize,
    /// Why the last write failed.
    pub trouble: Option<String>,
}

impl Journal {
    /// Finds the end, sets aside what a crash cut in half, and starts the thread that keeps it.
    pub fn open(settings: Settings) -> Result<Opened, OpenError> {
        let folder = settings.folder.clone();
        let in_folder = |source| OpenError::Folder { folder: folder.clone(), source };
        crate::folder::make(&folder).map_err(in_folder)?;
        let head_file = head::open(&folder).map_err(in_folder)?;
        if head_file.try_lock().is_err() {
            return Err(OpenError::Locked(folder));
        }
        let End { segment, head, torn, signed_by } = recover::end(&folder)?;
        let tail = match segment {
            None => None,
            Some((segment, length)) => Some(Tail::resume(&segment, length).map_err(in_folder)?),
        };
        let settings = Arc::new(settings);
        let mut pen = Writer::new(Arc::clone(&settings), tail, head, head_file);
        pen.file().map_or(Ok(()), |file| file.sync_data()).map_err(in_folder)?;
        let is_signed = signed_by.is_some_and(|key| key == settings.key.public().to_base64());
        let said = pen.start(torn, is_signed);
        let said = said.and_then(|()| pen.file().map_or(Ok(()), |file| file.sync_data()));
        let durable = if said.is_ok() { pen.last() } else { head.seq };
        let desk = Arc::new(Desk::new(&settings, pen, durable, said.err()));
        let keeper = Keeper::new(Arc::clone(&desk), settings.sync);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || keeper.run());
        let thread = thread.map_err(|source| OpenError::Folder { folder: "(thread)".into(), source })?;
        let journal = Self { handle: Arc::new(Handle(desk)), settings };
        Ok(Opened { journal, last: head.seq, torn, thread })
    }

    /// Appends one record, a JSON object on one line. Returns its number once it is written, and only then.
    pub async fn append(&self, record: impl Into<String>) -> Result<u64, NotWritten> {
        let (done, told) = oneshot::channel();
        self.desk().put_down(Job::of(record.into(), Some(done))?)?;
        others_first().await;
        self.written(told).await
    }

    /// Appends without waiting: for what has happened already. It is written with the next record, or a little later by itself.
    /// The error says that there is no room.
    pub fn append_later(&self, record: impl Into<String>) -> Result<(), NotWritten> {
        self.desk().put_down(Job::of(record.into(), None)?)
    }

    /// Returns when all that was handed over before is written, or when waiting takes too long.
    pub async fn settle(&self) {
        let (done, told) = oneshot::channel();
        if self.desk().put_down(Job::mark(done)).is_ok() {
            _ = self.written(told).await;
        }
    }

    /// The number of the last record that survives the death of the machine: no other will ever have it.
    pub fn durable(&self) -> u64 {
        self.desk().lock().durable
    }

    pub fn status(&self) -> Status {
        self.desk().status()
    }

    /// Drops old segments as the settings say, and says so in the journal first. None with a record after `up_to`. Takes long: it
    /// reads what it drops, and must not be called where something else is to go on.
    pub fn retain(&self, up_to: u64) -> Result<Vec<Dropped>, RetainError> {
        let Settings { folder, keep, stamp, .. } = &*self.settings;
        if let Some(age) = keep.age {
            let part = stamp(age / PART_OF_AGE);
            self.desk().with_pen(|pen| pen.rotate_if_older(&part))?;
        }
        let cutoff = keep.age.map(|age| stamp(age));
        let due = keep.due(folder, cutoff.as_deref(), up_to)?;
        due.iter().try_for_each(|(segment, dropped)| retention::check(segment, dropped))?;
        if !due.is_empty() {
            self.desk().with_pen(|pen| pen.dropped(&due))?;
            retention::remove(folder, &due)?;
        }
        Ok(due.into_iter().map(|(_, dropped)| dropped).collect())
    }

    async fn written(&self, mut told: oneshot::Receiver<Written>) -> Result<u64, NotWritten> {
        // What was ready beside us may have written for us. If not, we write for all.
        if let Ok(written) = told.try_recv() {
            return written.map_err(NotWritten::Failed);
        }
        self.desk().write();
        if let Ok(written) = told.try_recv() {
            return written.map_err(NotWritten::Failed);
        }
        match tokio::time::timeout(self.settings.patience, told).await {
            Ok(Ok(written)) => written.map_err(NotWritten::Failed),
            Ok(Err(_)) => Err(NotWritten::Closed),
            Err(_) => Err(NotWritten::Stuck(self.settings.patience)),
        }
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.handle.0
    }
}

/// Lets what else is ready on this thread go first: its records are written together with ours.
async fn others_first() {
    let mut went = false;
    let turn = std::future::poll_fn(|context| {
        if std::mem::replace(&mut went, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    });
    turn.await;
}

impl Opened {
    /// Writes what waits, a checkpoint, and ends. Other handles find it closed.
    pub fn close(self) {
        self.journal.desk().close();
        _ = self.thread.join();
    }
}
