//! The journal as its users see it: append, and wait until it is written.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::key::SigningKey;
use crate::recover::{self, End, RecoverError};
use crate::segment::Tail;
use crate::writer::{self, Job, Writer};

/// The longest record, in bytes.
const MAX_RECORD: usize = 1 << 20;

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
    /// Records that may wait to be written.
    pub queue: usize,
    /// How long a record may wait before whoever depends on it is told no.
    pub patience: Duration,
    pub key: Arc<SigningKey>,
    /// The time now, in RFC 3339, for records of the journal's own.
    pub stamp: Arc<dyn Fn() -> String + Send + std::marker::Sync>,
}

/// A handle; clones write to the same journal.
#[derive(Clone)]
pub struct Journal {
    jobs: mpsc::Sender<Job>,
    places: Arc<Semaphore>,
    queue: usize,
    patience: Duration,
    trouble: Arc<Mutex<Option<String>>>,
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
    /// Finds the end, sets aside what a crash cut in half, and starts the thread that writes.
    pub fn open(settings: Settings) -> Result<Opened, OpenError> {
        let in_folder = |source| OpenError::Folder { folder: settings.folder.clone(), source };
        std::fs::create_dir_all(&settings.folder).map_err(in_folder)?;
        let head_file = writer::open_head(&settings).map_err(in_folder)?;
        if head_file.try_lock().is_err() {
            return Err(OpenError::Locked(settings.folder.clone()));
        }
        let End { segment, head, torn } = recover::end(&settings.folder)?;
        let tail = match segment {
            None => None,
            Some((segment, length)) => Some(Tail::resume(&segment, length).map_err(in_folder)?),
        };
        let (jobs, waiting) = mpsc::channel();
        let trouble = Arc::default();
        let journal = Self {
            jobs,
            places: Arc::new(Semaphore::new(settings.queue)),
            queue: settings.queue,
            patience: settings.patience,
            trouble: Arc::clone(&trouble),
        };
        let mut writer = Writer { settings, tail, head, head_file, trouble, unsynced: false };
        if torn > 0 {
            writer.recovered(torn);
        }
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || writer.run(&waiting));
        let thread = thread.map_err(|source| OpenError::Folder { folder: "(thread)".into(), source })?;
        Ok(Opened { journal, last: head.seq, torn, thread })
    }

    /// Appends one record, a JSON object on one line. Returns its number once it is written, and only then.
    pub async fn append(&self, record: &str) -> Result<u64, NotWritten> {
        let (done, told) = oneshot::channel();
        let written = async {
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| NotWritten::Closed)?;
            let job = Job { members: members(record)?, done: Some(done), _place: place };
            self.jobs.send(job).map_err(|_| NotWritten::Closed)?;
            told.await.map_err(|_| NotWritten::Closed)?.map_err(NotWritten::Failed)
        };
        match tokio::time::timeout(self.patience, written).await {
            Ok(written) => written,
            Err(_) if self.places.available_permits() == 0 => Err(NotWritten::Full(self.queue)),
            Err(_) => Err(NotWritten::Stuck(self.patience)),
        }
    }

    /// Appends without waiting: for what has happened already. The error says that there is no room.
    pub fn append_later(&self, record: &str) -> Result<(), NotWritten> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NotWritten::Full(self.queue))?;
        self.jobs.send(Job { members: members(record)?, done: None, _place: place }).map_err(|_| NotWritten::Closed)
    }

    /// Returns when nothing waits any more, or when waiting takes too long.
    pub async fn settle(&self) {
        let all = u32::try_from(self.queue).unwrap_or(u32::MAX);
        _ = tokio::time::timeout(self.patience, self.places.acquire_many(all)).await;
    }

    pub fn status(&self) -> Status {
        Status {
            waiting: self.queue.saturating_sub(self.places.available_permits()),
            trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Opened {
    /// Writes what waits, a checkpoint, and ends. Other handles must be gone, or it waits for them.
    pub fn close(self) {
        drop(self.journal);
        _ = self.thread.join();
    }
}

/// What stands between the braces.
fn members(record: &str) -> Result<String, NotWritten> {
    let inner = record.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let lawful = |inner: &&str| !inner.is_empty() && inner.len() <= MAX_RECORD && !inner.contains(['\n', '\r']);
    inner.filter(lawful).map(str::to_owned).ok_or(NotWritten::Unwritable)
}
