//! The one thread that writes. What waits is written together: one write, one sync, for all of them.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::chain;
use crate::folder::Segment;
use crate::head::{self, Head};
use crate::journal::{Settings, Sync};
use crate::segment::Tail;

/// Records that are written together at most.
const GROUP: usize = 1024;

/// A record on its way to the file.
pub(crate) struct Job {
    pub(crate) members: String,
    /// Told the record's number, or that it was not written. None for who does not wait.
    pub(crate) done: Option<oneshot::Sender<Result<u64, Arc<io::Error>>>>,
    pub(crate) _place: OwnedSemaphorePermit,
}

pub(crate) struct Writer {
    pub(crate) settings: Settings,
    pub(crate) tail: Option<Tail>,
    pub(crate) head: Head,
    pub(crate) head_file: File,
    /// Why the last write failed, if it did; shown to operators.
    pub(crate) trouble: Arc<Mutex<Option<String>>>,
    pub(crate) unsynced: bool,
}

impl Writer {
    /// Until nobody can send any more; then the segment is closed.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let first = match (self.unsynced, self.settings.sync) {
                (true, Sync::Every(span)) => match jobs.recv_timeout(span) {
                    Ok(job) => job,
                    Err(RecvTimeoutError::Timeout) => {
                        self.sync();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
                (_, Sync::Every(_) | Sync::Always) => match jobs.recv() {
                    Ok(job) => job,
                    Err(_) => break,
                },
            };
            let mut group = vec![first];
            group.extend(jobs.try_iter().take(GROUP - 1));
            self.commit(group);
        }
        let closed = self.checkpoint();
        self.note(closed);
        self.sync();
    }

    fn commit(&mut self, group: Vec<Job>) {
        let outcome = self.write(&group).map_err(Arc::new);
        self.note(outcome.as_ref().map(drop).map_err(|error| io::Error::new(error.kind(), error.to_string())));
        for (place, job) in (0..).zip(group) {
            if let Some(done) = job.done {
                // Whoever waited and is gone does not act on it either.
                _ = done.send(outcome.clone().map(|first| first + place));
            }
        }
    }

    /// The number of the first of them.
    fn write(&mut self, group: &[Job]) -> io::Result<u64> {
        self.rotate_if_due()?;
        let (mut lines, mut link) = (Vec::new(), self.head.link);
        let first = self.head.seq + 1;
        for (seq, job) in (first..).zip(group) {
            link = chain::seal(&mut lines, seq, &job.members, link);
        }
        self.put(&lines, Head { seq: self.head.seq + group.len() as u64, link })?;
        if self.settings.sync == Sync::Always {
            self.tail()?.sync()?;
            self.unsynced = false;
        }
        Ok(first)
    }

    fn put(&mut self, lines: &[u8], head: Head) -> io::Result<()> {
        self.tail()?.write(lines)?;
        self.unsynced = true;
        // INVARIANT: from here on the records are in the journal, whatever else fails
        self.head = head;
        self.head.write(&self.head_file)
    }

    fn tail(&mut self) -> io::Result<&mut Tail> {
        self.tail.as_mut().ok_or_else(|| io::Error::other("no segment could be opened"))
    }

    fn rotate_if_due(&mut self) -> io::Result<()> {
        match &self.tail {
            Some(tail) if tail.length < self.settings.segment => Ok(()),
            Some(_) => {
                self.checkpoint()?;
                self.tail()?.sync()?;
                self.begin()
            }
            None => self.begin(),
        }
    }

    /// A new segment, whose first line says what came before.
    fn begin(&mut self) -> io::Result<()> {
        let segment = Segment::at(&self.settings.folder, self.head.seq + 1);
        // One that a failure left without a line is taken over.
        if std::fs::metadata(&segment.path).is_ok_and(|found| found.len() == 0) {
            std::fs::remove_file(&segment.path)?;
        }
        let stamp = (self.settings.stamp)();
        let previous = self.head.link.to_hex();
        let node = serde_json::Value::from(self.settings.node.as_str());
        let members = format!(r#""kind":"segment","format":1,"node":{node},"time":"{stamp}","previous":"{previous}""#);
        let (mut line, seq) = (Vec::new(), self.head.seq + 1);
        let link = chain::seal(&mut line, seq, &members, self.head.link);
        let mut tail = Tail::create(&segment)?;
        tail.write(&line)?;
        // INVARIANT: a segment is written to only after its first line
        self.tail = Some(tail);
        self.unsynced = true;
        self.head = Head { seq, link };
        self.head.write(&self.head_file)
    }

    /// Says that a crash had cut a record in half.
    pub(crate) fn recovered(&mut self, torn: usize) {
        let stamp = (self.settings.stamp)();
        let members = format!(r#""kind":"recovered","time":"{stamp}","torn_bytes":{torn}"#);
        let said = self.rotate_if_due().and_then(|()| self.own(&members));
        self.note(said);
    }

    /// What a segment ends with: a signature over all that was written so far.
    fn checkpoint(&mut self) -> io::Result<()> {
        if self.tail.is_none() {
            return Ok(());
        }
        let Head { seq, link } = self.head;
        let stamp = (self.settings.stamp)();
        let (key, signature) = (self.settings.key.public().to_base64(), self.settings.key.sign(seq, link));
        let link = link.to_hex();
        let members = format!(
            r#""kind":"checkpoint","time":"{stamp}","of":{seq},"previous":"{link}","key":"{key}","signature":"{signature}""#
        );
        self.own(&members)
    }

    /// A record of the journal's own.
    fn own(&mut self, members: &str) -> io::Result<()> {
        let (mut line, seq) = (Vec::new(), self.head.seq + 1);
        let link = chain::seal(&mut line, seq, members, self.head.link);
        self.put(&line, Head { seq, link })
    }

    fn sync(&mut self) {
        let synced = self.tail.as_ref().map_or(Ok(()), Tail::sync);
        self.unsynced = synced.is_err();
        self.note(synced);
    }

    fn note(&self, outcome: io::Result<()>) {
        let why = outcome.err().map(|error| error.to_string());
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

pub(crate) fn open_head(settings: &Settings) -> io::Result<File> {
    head::open(&settings.folder)
}
