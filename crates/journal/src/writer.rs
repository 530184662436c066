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

pub(crate) struct Writer {
    settings: Arc<Settings>,
    tail: Option<Tail>,
    head: Head,
    /// Locked, so that one process writes.
    head_file: File,
    /// Used again and again.
    lines: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(settings: Arc<Settings>, tail: Option<Tail>, head: Head, head_file: File) -> Self {
        Self { settings, tail, head, head_file, lines: Vec::new() }
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
    pub(crate) fn write(&mut self, group: &[Job]) -> io::Result<u64> {
        self.rotate_if_due()?;
        if group.is_empty() {
            return self.resumed();
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
        written?;
        if self.settings.sync == Sync::Always {
            self.tail()?.sync()?;
        }
        Ok(first)
    }

    fn put(&mut self, lines: &[u8], head: Head) -> io::Result<()> {
        self.tail()?.write(lines)?;
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
            Some(_) => self.rotate(),
            None => self.begin(),
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.checkpoint()?;
        self.tail()?.sync()?;
        self.begin()
    }

    /// A new segment, whose first line says what came before.
    fn begin(&mut self) -> io::Result<()> {
        let segment = Segment::at(&self.settings.folder, self.head.seq + 1);
        // One that a failure left without a line is taken over.
        if std::fs::metadata(&segment.path).is_ok_and(|found| found.len() == 0) {
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
        self.head = Head { seq, link };
        self.head.write(&self.head_file)
    }

    /// Says that a crash had cut a record in half.
    pub(crate) fn recovered(&mut self, torn: usize) -> io::Result<()> {
        let stamp = self.settings.now();
        self.rotate_if_due()?;
        self.own(&format!(r#""kind":"recovered","time":"{stamp}","torn_bytes":{torn}"#))
    }

    /// Says that writing had failed, and works again.
    fn resumed(&mut self) -> io::Result<u64> {
        let stamp = self.settings.now();
        self.own(&format!(r#""kind":"resumed","time":"{stamp}""#))?;
        Ok(self.head.seq)
    }

    /// The signed statement that these segments go.
    pub(crate) fn dropped(&mut self, due: &[(Segment, Dropped)]) -> io::Result<()> {
        self.rotate_if_due()?;
        let (stamp, seq, told) = (self.settings.now(), self.head.seq + 1, retention::told(due));
        let segments: Vec<_> = due.iter().map(|(_, dropped)| dropped.clone()).collect();
        let (key, signature) = (self.settings.key.public().to_base64(), self.settings.key.sign_dropped(seq, &segments));
        self.own(&format!(
            r#""kind":"dropped","time":"{stamp}","segments":{told},"key":"{key}","signature":"{signature}""#
        ))?;
        // INVARIANT: files are removed only after this
        self.tail()?.sync()
    }

    /// Closes the segment and begins another, if it was begun before that time.
    pub(crate) fn rotate_if_older(&mut self, than: &str) -> io::Result<()> {
        let Some(segment) = folder::segments(&self.settings.folder)?.pop().filter(|_| self.tail.is_some()) else {
            return Ok(());
        };
        let header = retention::header(&segment)?;
        match header.get("time").and_then(serde_json::Value::as_str).is_some_and(|begun| begun < than) {
            true => self.rotate(),
            false => Ok(()),
        }
    }

    /// What a segment ends with: a signature over all that was written so far.
    pub(crate) fn checkpoint(&mut self) -> io::Result<()> {
        if self.tail.is_none() {
            return Ok(());
        }
        let Head { seq, link } = self.head;
        let stamp = self.settings.now();
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
}
