//! Reads a whole journal and finds the first record that is not what was written. Needs the files, and no gateway.

use std::io;
use std::path::Path;

use serde_json::Value;

use crate::chain::{self, Link};
use crate::folder::{self, Segment};
use crate::head::Head;
use crate::key::PublicKey;
use crate::recover::previous;
use crate::retention::{self, Dropped, Why};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub segments: usize,
    /// Records that are as they were written, before the first that is not.
    pub records: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// The number of the last good record.
    pub last: u64,
    /// The number of the last checkpoint: all up to it is signed for, and what comes after it anybody who can write the folder can have
    /// written, or taken away.
    pub signed: Option<u64>,
    /// The keys that signed, in base64.
    pub keys: Vec<String>,
    /// Segments that are gone, and of which a signed statement says so; the oldest first.
    pub dropped: Vec<Dropped>,
    /// The first record that is not what was written.
    pub bad: Option<Bad>,
}

/// Where a journal goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    pub segment: String,
    /// From 1; none where a whole segment or the end is missing.
    pub line: Option<usize>,
    /// The record that should be there.
    pub seq: u64,
    pub why: String,
}

/// Verifies all segments in `folder`. With `key`, every checkpoint must be signed by it, and there must be one; without, by the key that
/// it names itself, which proves less: whoever writes the whole journal anew can sign it anew.
pub fn verify(folder: &Path, key: Option<&PublicKey>) -> io::Result<Report> {
    let mut reader = Reader { key, report: Report::default(), link: Link::START, next: None, start: None };
    reader.report.bad = reader.all(folder)?;
    Ok(reader.report)
}

struct Reader<'a> {
    key: Option<&'a PublicKey>,
    report: Report,
    link: Link,
    /// The number of the record that comes next; none before the first.
    next: Option<u64>,
    /// The oldest segment that is there, and the hash on which it follows.
    start: Option<(Segment, Link)>,
}

impl Reader<'_> {
    fn all(&mut self, folder: &Path) -> io::Result<Option<Bad>> {
        for segment in folder::segments(folder)? {
            if let Err(bad) = self.segment(&segment)? {
                return Ok(Some(bad));
            }
            self.report.segments += 1;
        }
        Ok(match self.beginning() {
            Some(bad) => Some(bad),
            None => self.end(folder)?.or_else(|| self.unsigned()),
        })
    }

    fn segment(&mut self, segment: &Segment) -> io::Result<Result<(), Bad>> {
        let bytes = std::fs::read(&segment.path)?;
        let bad = |line, seq, why: String| Ok(Err(Bad { segment: segment.name(), line, seq, why }));
        match self.next {
            // The oldest that is there. A later record must say that what came before was dropped, and with which hash it ended.
            None => {
                self.link = previous(&bytes);
                self.start = Some((segment.clone(), self.link));
            }
            Some(next) if next != segment.first => {
                let why = format!(
                    "records {next} to {} are missing: a segment is not there",
                    segment.first.saturating_sub(1)
                );
                return bad(None, next, why);
            }
            Some(next) if self.report.signed != Some(next - 1) => {
                return bad(None, next, "the segment before it does not end with a checkpoint".to_owned());
            }
            Some(_) => {}
        }
        let mut seq = segment.first;
        for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let Some(line) = line.strip_suffix(b"\n") else {
                return bad(Some(number), seq, "the line is cut off".to_owned());
            };
            let before = self.link;
            match chain::check(line, seq, before) {
                Ok(link) => self.link = link,
                Err(why) => return bad(Some(number), seq, why.to_string()),
            }
            if let Err(why) = self.own(line, seq, before, number == 1) {
                return bad(Some(number), seq, why);
            }
            self.report.records += 1;
            self.report.last = seq;
            seq += 1;
        }
        self.next = Some(seq);
        Ok(Ok(()))
    }

    /// The journal's own records: the first of a segment, and checkpoints.
    fn own(&mut self, line: &[u8], seq: u64, before: Link, first: bool) -> Result<(), String> {
        let record: Value = serde_json::from_slice(line).unwrap_or_default();
        let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("kind") {
            "segment" if !first => Err("a segment begins in the middle of another".to_owned()),
            "segment" if text("previous") != before.to_hex() => {
                Err("the segment does not follow on the one before it".to_owned())
            }
            "dropped" => self.dropped(seq, &record, text("key"), text("signature")),
            "checkpoint" => self.checkpoint(seq, before, text("key"), text("signature")),
            kind if first && kind != "segment" => Err("the first line of the segment is missing".to_owned()),
            _ => Ok(()),
        }
    }

    fn checkpoint(&mut self, seq: u64, before: Link, named: &str, signature: &str) -> Result<(), String> {
        let of = seq.checked_sub(1).ok_or("no record is before the checkpoint")?;
        if !self.signer("checkpoint", named)?.verifies(of, before, signature) {
            return Err("the checkpoint's signature does not hold".to_owned());
        }
        self.report.checkpoints += 1;
        self.report.signed = Some(seq);
        if !self.report.keys.iter().any(|key| key == named) {
            self.report.keys.push(named.to_owned());
        }
        Ok(())
    }

    fn signer(&self, what: &str, named: &str) -> Result<PublicKey, String> {
        let given =
            PublicKey::from_base64(named).map_err(|error| format!("the {what}'s key is unreadable: {error}"))?;
        match self.key.is_some_and(|known| *known != given) {
            true => Err(format!("the {what} is signed by another key, `{named}`")),
            false => Ok(given),
        }
    }

    /// A statement that segments were dropped. Those that are still there were to go when a crash came.
    fn dropped(&mut self, seq: u64, record: &Value, named: &str, signature: &str) -> Result<(), String> {
        let segments = record.get("segments").and_then(retention::heard);
        let segments = segments.ok_or("the statement about dropped segments is unreadable")?;
        if !self.signer("statement about dropped segments", named)?.verifies_dropped(seq, &segments, signature) {
            return Err("the signature of the statement about dropped segments does not hold".to_owned());
        }
        let first = self.start.as_ref().map_or(0, |(segment, _)| segment.first);
        for segment in segments.into_iter().filter(|segment| segment.last < first) {
            let known = &self.report.dropped;
            // What went earlier is said as one. Where the statement of it is still there, that says it better.
            let is_known = match segment.why {
                Why::Earlier => known.iter().any(|known| (known.last, known.link) == (segment.last, segment.link)),
                Why::Age | Why::Bytes => known.contains(&segment),
            };
            if !is_known {
                self.report.dropped.push(segment);
            }
        }
        Ok(())
    }

    /// Does a statement say that what is missing before the first record was dropped?
    fn beginning(&self) -> Option<Bad> {
        let (segment, link) = self.start.as_ref().filter(|(segment, _)| segment.first > 1)?;
        let last = segment.first - 1;
        let is_told = self.report.dropped.iter().any(|dropped| (dropped.last, dropped.link) == (last, *link));
        let why = format!("records up to {last} are missing, and no statement says that they were dropped");
        (!is_told).then(|| Bad { segment: segment.name(), line: None, seq: last, why })
    }

    /// Is there nothing that only the holder of the key can have written?
    fn unsigned(&self) -> Option<Bad> {
        self.key.filter(|_| self.report.signed.is_none())?;
        let segment = self.start.as_ref().map_or_else(|| crate::head::NAME.to_owned(), |(segment, _)| segment.name());
        let why = match self.report.records {
            0 => {
                "there is no record, and nothing is signed by the key: all may have been removed; a gateway signs its first record"
            }
            _ => {
                "nothing is signed by the key, so anybody can have written all of it; a gateway signs the first record, what it finds \
                 when it starts, each file that is full, and what is there when it ends"
            }
        };
        Some(Bad {
            segment,
            line: None,
            seq: self.start.as_ref().map_or(1, |(segment, _)| segment.first),
            why: why.into(),
        })
    }

    /// Is the last record that is there the last one that was written?
    fn end(&self, folder: &Path) -> io::Result<Option<Bad>> {
        let missing =
            |seq, why: &str| Some(Bad { segment: crate::head::NAME.into(), line: None, seq, why: why.into() });
        Ok(match Head::read(folder) {
            Ok(Some(head)) if head.seq > self.report.last => missing(
                self.report.last + 1,
                &format!("the journal had {} records: the last ones were cut off", head.seq),
            ),
            Ok(Some(head)) if head.seq == self.report.last && head.link != self.link => {
                missing(head.seq, "the last record is not the one that was written")
            }
            Ok(Some(_)) => None,
            Ok(None) if self.report.last == 0 => None,
            Ok(None) => {
                missing(self.report.last, "the file `head` is missing: nobody can tell whether records were cut off")
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                missing(self.report.last, "the file `head` is damaged")
            }
            Err(error) => return Err(error),
        })
    }
}
