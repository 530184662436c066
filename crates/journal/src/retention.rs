//! Old segments go, and the journal says which. First a signed statement is in the chain and on the disk; then the files are removed, the
//! oldest first. A crash in between leaves files that are dropped the next time. What nobody said is missing.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::chain::Link;
use crate::folder::{self, Segment};
use crate::recover;

/// Segments that one statement speaks of at most.
const AT_ONCE: usize = 1000;

/// A segment is closed when it is as old as this part of the age that records may reach.
pub(crate) const PART_OF_AGE: u32 = 10;

/// What is kept. The segment that is written always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Records may be dropped when they are older.
    pub age: Option<Duration>,
    /// The oldest are dropped when all take more room.
    pub bytes: Option<u64>,
}

/// A segment that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The numbers of its records, both included.
    pub first: u64,
    pub last: u64,
    pub(crate) link: Link,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Age,
    Bytes,
    /// Earlier statements said so, which may have been dropped themselves.
    Earlier,
}

#[derive(Debug, thiserror::Error)]
pub enum RetainError {
    #[error("the journal's folder cannot be used")]
    Io(#[from] io::Error),
    #[error("`{segment}` is not as it was written, so it stays: {why}")]
    Broken { segment: String, why: String },
    #[error("the journal is closed")]
    Closed,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Bytes => "bytes",
            Self::Earlier => "earlier",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Age, Self::Bytes, Self::Earlier].into_iter().find(|why| why.as_str() == name)
    }
}

impl Keep {
    /// What may go, the oldest first: segments before `cutoff` (in RFC 3339), or for which there is no room. None with a record
    /// after `up_to`.
    pub(crate) fn due(self, folder: &Path, cutoff: Option<&str>, up_to: u64) -> io::Result<Vec<(Segment, Dropped)>> {
        let segments = folder::segments(folder)?;
        let lengths = segments.iter().map(|segment| Ok(std::fs::metadata(&segment.path)?.len()));
        let lengths = lengths.collect::<io::Result<Vec<_>>>()?;
        let mut total: u64 = lengths.iter().sum();
        let mut due = Vec::new();
        for ((segment, next), length) in segments.iter().zip(segments.iter().skip(1)).zip(&lengths).take(AT_ONCE) {
            let header = header(next)?;
            let text = |key: &str| header.get(key).and_then(Value::as_str);
            let why = if self.bytes.is_some_and(|bytes| total > bytes) {
                Why::Bytes
            } else if cutoff.zip(text("time")).is_some_and(|(cutoff, time)| time < cutoff) {
                Why::Age
            } else {
                break;
            };
            let last = next.first - 1;
            let Some(link) = recover::before(&header).filter(|_| last <= up_to) else { break };
            due.push((segment.clone(), Dropped { first: segment.first, last, link, why }));
            total -= length;
        }
        Ok(due)
    }
}

/// The first line of a segment.
pub(crate) fn header(segment: &Segment) -> io::Result<Value> {
    let mut line = Vec::new();
    BufReader::new(File::open(&segment.path)?).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line).unwrap_or_default())
}

/// INVARIANT: what was tampered with is not dropped: it would be the end of the proof.
pub(crate) fn check(segment: &Segment, dropped: &Dropped) -> Result<(), RetainError> {
    let broken = |why: String| RetainError::Broken { segment: segment.name(), why };
    let head = recover::last(segment, &std::fs::read(&segment.path)?).map_err(|error| broken(error.to_string()))?;
    match (head.seq, head.link) == (dropped.last, dropped.link) {
        true => Ok(()),
        false => Err(broken("the next one follows on another record".to_owned())),
    }
}

/// Removes what the statement on the disk speaks of.
pub(crate) fn remove(folder: &Path, due: &[(Segment, Dropped)]) -> io::Result<()> {
    for (segment, _) in due {
        std::fs::remove_file(&segment.path)?;
        match std::fs::remove_file(recover::aside(&segment.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    File::open(folder)?.sync_all()
}

/// All that is not there any more once these have gone: what went before them is said again, as one.
pub(crate) fn all_gone(due: &[(Segment, Dropped)]) -> io::Result<Vec<Dropped>> {
    let mut gone: Vec<_> = due.iter().map(|(_, dropped)| dropped.clone()).collect();
    if let Some((oldest, _)) = due.first().filter(|(oldest, _)| oldest.first > 1) {
        let link = recover::before(&header(oldest)?);
        let link =
            link.ok_or_else(|| io::Error::other(format!("`{}` does not say what it follows on", oldest.name())))?;
        gone.insert(0, Dropped { first: 1, last: oldest.first - 1, link, why: Why::Earlier });
    }
    Ok(gone)
}

/// What a statement says of each segment.
pub(crate) fn told(gone: &[Dropped]) -> Value {
    let one = |dropped: &Dropped| {
        let Dropped { first, last, link, why } = dropped;
        json!({ "first": first, "last": last, "records": last - first + 1, "hash": link.to_hex(), "why": why.as_str() })
    };
    gone.iter().map(one).collect()
}

/// What a line says was dropped; nothing where it is no statement.
pub(crate) fn stated(line: &[u8]) -> Vec<Dropped> {
    if memchr::memmem::find(line, br#""kind":"dropped""#).is_none() {
        return Vec::new();
    }
    let record: Value = serde_json::from_slice(line).unwrap_or_default();
    let is_one = record.get("kind").and_then(Value::as_str) == Some("dropped");
    record.get("segments").filter(|_| is_one).and_then(heard).unwrap_or_default()
}

/// Reads it again; none where it is not one.
pub(crate) fn heard(segments: &Value) -> Option<Vec<Dropped>> {
    let one = |segment: &Value| {
        let number = |key: &str| segment.get(key).and_then(Value::as_u64);
        let text = |key: &str| segment.get(key).and_then(Value::as_str);
        let link = Link::from_hex(text("hash")?)?;
        Some(Dropped { first: number("first")?, last: number("last")?, link, why: Why::named(text("why")?)? })
    };
    segments.as_array()?.iter().map(one).collect()
}
