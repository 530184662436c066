//! The pen: whoever holds it writes, and nobody else. What waits is written together: one write for all of them.

use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::chain;
use crate::folder::{self, Segment};
use crate::head::Head;
use crate::job::Job;
use crate::journal::{Settings, Sync};
use crate::retention::{self, Dropped};
use crate::segment::Tail;

const CHECKPOINT: &str = "checkpoint";
const RESUMED: &str = "resumed";

pub(crate) struct Writer {
    settings: Arc<Settings>,
    tail: Option<Tail>,
    head: Head,
    /// Locked, so that one process writes.
    head_file: File,
    /// What is in the file, and `head` does not say so yet.
    owes_head: bool,
    /// What is in the file, and not on the disk, as `sync = "always"` promises.
    owes_sync: bool,
    /// The last record of the journal's own that is in the file: its kind and number.
    own: Option<(&'static str, u64)>,
    /// Used again and again.
    lines: Vec<u8>,
}

/// Why a group is not written as it should be.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nothing of it is in the file: it may be written again.
    Absent(io::Error),
    /// All of it is, under its numbers, but nothing is promised of it.
    // INVARIANT: it is never written again; what is owed for it is made good alone (`settle`)
    Unsure(io::Error),
}

impl Failed {
    pub(crate) fn into_inner(self) -> io::Error {
        match self {
            Self::Absent(error) | Self::Unsure(error) => error,
        }
    }
}

impl Writer {
    pub(crate) fn new(settings: Arc<Settings>, tail: Option<Tail>, head: Head, head_file: File) -> Self {
        let (owes_head, owes_sync) = (false, false);
        Self { settings, tail, head, head_file, owes_head, owes_sync, own: None, lines: Vec::new() }
    }

    /// Another segment must be begun first.
    pub(crate) fn is_at_the_end(&self) -> bool {
        self.tail.as_ref().is_none_or(|tail| tail.length >= self.settings.segment)
    }

    /// The number of the last record that is there.
    pub(crate) fn last(&self) -> u64 {
        self.head.seq
    }

    /// What is written and may not be on the disk yet.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.tail.as_ref().map(Tail::file)
    }

    /// The number of the first of them.
    pub(crate) fn write(&mut self, group: &[Job]) -> Result<u64, Failed> {
        self.make_ready().map_err(Failed::Absent)?;
        if group.is_empty() {
            self.resumed().map_err(Failed::Absent)?;
            return Ok(self.head.seq);
        }
        let (first, mut head) = (self.head.seq + 1, self.head);
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for members in group.iter().filter_map(Job::members) {
            head.seq += 1;
            head.link = chain::seal(&mut lines, head.seq, members, head.link);
        }
        let written = if lines.is_empty() { Ok(()) } else { self.put(&lines, head) };
        self.lines = lines;
        written.map_err(Failed::Absent)?;
        self.settle().map_err(Failed::Unsure)?;
        Ok(first)
    }

    /// All of the lines, or none: then it is an error.
    fn put(&mut self, lines: &[u8], head: Head) -> io::Result<()> {
        self.tail()?.write(lines)?;
        self.owes(head);
        Ok(())
    }

    // INVARIANT: from here on the records up to there are in the journal, whatever else fails
    fn owes(&mut self, head: Head) {
        self.head = head;
        (self.owes_head, self.owes_sync) = (true, self.settings.sync == Sync::Always);
    }

    /// Makes good what is owed for records that are in the journal. Nothing is written after them before that.
    fn settle(&mut self) -> io::Result<()> {
        if self.owes_head {
            self.head.write(&self.head_file)?;
            self.owes_head = false;
        }
        if self.owes_sync {
            self.tail()?.sync()?;
            self.owes_sync = false;
        }
        Ok(())
    }

    fn tail(&mut self) -> io::Result<&mut Tail> {
        self.tail.as_mut().ok_or_else(|| io::Error::other("no segment could be opened"))
    }

    /// Nothing is owed, and there is a segment with room. What failed in the middle goes on where it stopped.
    fn make_ready(&mut self) -> io::Result<()> {
        self.settle()?;
        match &self.tail {
            Some(tail) if tail.length < self.settings.segment => {}
            Some(_) => self.rotate()?,
            None => self.begin()?,
        }
        // A journal is signed from its first line on: one without any signature is nobody's.
        if self.head.seq == 1 { self.checkpoint() } else { Ok(()) }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.checkpoint()?;
        self.tail()?.sync()?;
        self.begin()
    }

    /// A new segment, whose first line says what came before.
    fn begin(&mut self) -> io::Result<()> {
        let segment = Segment::at(&self.settings.folder, self.head.seq + 1);
        // One that a failure left without a whole line is taken over.
        if std::fs::read(&segment.path).is_ok_and(|found| !found.contains(&b'\n')) {
            std::fs::remove_file(&segment.path)?;
        }
        let stamp = self.settings.now();
        let previous = self.head.link.to_hex();
        let node = serde_json::Value::from(self.settings.node.as_str());
        let members = format!(r#""kind":"segment","format":1,"node":{node},"time":"{stamp}","previous":"{previous}""#);
        let (mut line, seq) = (Vec::new(), self.head.seq + 1);
        let link = chain::seal(&mut line, seq, &members, self.head.link);
        let mut tail = Tail::create(&segment)?;
        tail.write(&line)?;
        // INVARIANT: a segment is written to only after its first line
        self.tail = Some(tail);
        self.owes(Head { seq, link });
        self.settle()
    }

    /// The first words of a process: that a crash had cut a record in half, and a signature over what none is over yet.
    pub(crate) fn start(&mut self, torn: usize, is_signed: bool) -> io::Result<()> {
        self.own = is_signed.then_some((CHECKPOINT, self.head.seq));
        if torn > 0 {
            let stamp = self.settings.now();
            self.make_ready()?;
            self.say("recovered", &format!(r#""time":"{stamp}","torn_bytes":{torn}"#))?;
        }
        self.checkpoint()
    }

    /// Says that writing had failed, and works again. Once, if it fails again before it is settled.
    fn resumed(&mut self) -> io::Result<()> {
        let stamp = self.settings.now();
        if !self.ends_with(RESUMED) {
            self.say(RESUMED, &format!(r#""time":"{stamp}""#))?;
        }
        self.own = None;
        Ok(())
    }

    /// The signed statement that these segments go.
    pub(crate) fn dropped(&mut self, due: &[(Segment, Dropped)]) -> io::Result<()> {
        self.make_ready()?;
        let (stamp, seq, segments) = (self.settings.now(), self.head.seq + 1, retention::all_gone(due)?);
        let told = retention::told(&segments);
        let (key, signature) = (self.settings.key.public().to_base64(), self.settings.key.sign_dropped(seq, &segments));
        let rest = format!(r#""time":"{stamp}","segments":{told},"key":"{key}","signature":"{signature}""#);
        self.say("dropped", &rest)?;
        // INVARIANT: files are removed only after this
        self.tail()?.sync()
    }

    /// Closes the segment and begins another, if it was begun before that time.
    pub(crate) fn rotate_if_older(&mut self, than: &str) -> io::Result<()> {
        self.settle()?;
        let Some(segment) = folder::segments(&self.settings.folder)?.pop().filter(|_| self.tail.is_some()) else {
            return Ok(());
        };
        let header = retention::header(&segment)?;
        match header.get("time").and_then(serde_json::Value::as_str).is_some_and(|begun| begun < than) {
            true => self.rotate(),
            false => Ok(()),
        }
    }

    /// The last words: what is there is whole, signed, and on the disk, as far as the disk takes it.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let said = self.settle().and_then(|()| self.checkpoint());
        self.file().map_or(Ok(()), |file| file.sync_data()).and(said)
    }

    /// A signature over all that was written so far: the second line of a journal, and the last of each segment. One is enough.
    fn checkpoint(&mut self) -> io::Result<()> {
        if self.tail.is_none() || self.ends_with(CHECKPOINT) {
            return Ok(());
        }
        let Head { seq, link } = self.head;
        let stamp = self.settings.now();
        let (key, signature) = (self.settings.key.public().to_base64(), self.settings.key.sign(seq, link));
        let link = link.to_hex();
        let rest =
            format!(r#""time":"{stamp}","of":{seq},"previous":"{link}","key":"{key}","signature":"{signature}""#);
        self.say(CHECKPOINT, &rest)
    }

    fn ends_with(&self, kind: &'static str) -> bool {
        self.own == Some((kind, self.head.seq))
    }

    /// A record of the journal's own.
    fn say(&mut self, kind: &'static str, rest: &str) -> io::Result<()> {
        let (mut line, seq) = (Vec::new(), self.head.seq + 1);
        let link = chain::seal(&mut line, seq, &format!(r#""kind":"{kind}",{rest}"#), self.head.link);
        self.put(&line, Head { seq, link })?;
        self.own = Some((kind, seq));
        self.settle()
    }
}

#[cfg(test)]
impl Writer {
    /// From now on `head` is that file.
    pub(crate) fn with_head(&mut self, file: File) -> File {
        std::mem::replace(&mut self.head_file, file)
    }

    /// Whether the disk takes what is forced to it.
    pub(crate) fn with_disk(&mut self, works: bool) {
        self.tail.as_mut().unwrap().broken = !works;
    }
}
