//! Finds the end of a journal when it is opened again. A line that a crash cut in half is set aside, never written over.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::chain::{self, Link};
use crate::folder::{self, Segment};
use crate::head::Head;

/// Where to go on.
pub(crate) struct End {
    /// None where the journal has no line yet.
    pub(crate) segment: Option<(Segment, u64)>,
    pub(crate) head: Head,
    /// Bytes of lines that a crash cut in half, and that were set aside.
    pub(crate) torn: usize,
    /// If the last record is a checkpoint: the key that it names.
    pub(crate) signed_by: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the file `head` is missing or empty, so nobody can tell whether records were cut off")]
    NoHead,
    #[error("`{segment}`, line {line}: {why}; `toolgate audit verify` says more")]
    Broken { segment: String, line: usize, why: String },
    #[error(
        "the journal ends at record {found}, but had {expected}: records were cut off; `toolgate audit verify` says more"
    )]
    Cut { found: u64, expected: u64 },
}

/// Only the last segment is read: all of the journal is `verify`'s work.
pub(crate) fn end(folder: &Path) -> Result<End, RecoverError> {
    let remembered = Head::read(folder)?;
    let (mut segment, mut head, mut torn, mut signed_by) = (None, Head { seq: 0, link: Link::START }, 0, None);
    for found in folder::segments(folder)?.into_iter().rev() {
        let bytes = std::fs::read(&found.path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        torn += rest.len();
        set_aside(&found.path, rest)?;
        if whole == 0 {
            std::fs::remove_file(&found.path)?; // it had not even its first line
            continue;
        }
        head = last(&found, lines)?;
        signed_by = signer(lines);
        segment = Some((found, whole as u64));
        break;
    }
    match remembered {
        Some(known) if known.seq > head.seq => Err(RecoverError::Cut { found: head.seq, expected: known.seq }),
        // A crash can come between a journal's first line and its first head, and no later.
        None if head.seq > 1 => Err(RecoverError::NoHead),
        _ => Ok(End { segment, head, torn, signed_by }),
    }
}

pub(crate) fn last(segment: &Segment, lines: &[u8]) -> Result<Head, RecoverError> {
    let (mut seq, mut link) = (segment.first, previous(lines));
    for (number, line) in (1..).zip(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
        link = chain::check(line, seq, link).map_err(|why| {
            let why = why.to_string();
            RecoverError::Broken { segment: segment.name(), line: number, why }
        })?;
        seq += 1;
    }
    Ok(Head { seq: seq - 1, link })
}

/// Of the last line.
fn signer(lines: &[u8]) -> Option<String> {
    let line = lines.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    let record: serde_json::Value = serde_json::from_slice(line).ok()?;
    let text = |key: &str| record.get(key).and_then(serde_json::Value::as_str);
    text("key").filter(|_| text("kind") == Some("checkpoint")).map(str::to_owned)
}

/// INVARIANT: nothing is lost. What a crash left of a line goes into a file of its own before the segment is cut to whole lines.
fn set_aside(segment: &Path, torn: &[u8]) -> io::Result<()> {
    if torn.is_empty() {
        return Ok(());
    }
    let aside = aside(segment);
    let mut kept = STANDARD.encode(torn);
    kept.push('\n');
    let mut file = std::fs::File::options().append(true).create(true).mode(0o600).open(aside)?;
    file.write_all(kept.as_bytes())?;
    file.sync_all()?;
    let file = std::fs::File::options().write(true).open(segment)?;
    let whole = file.metadata()?.len() - torn.len() as u64;
    file.set_len(whole)?;
    file.sync_all()
}

/// Where it goes.
pub(crate) fn aside(segment: &Path) -> PathBuf {
    segment.with_extension("torn")
}

/// What the first line of a segment says of the one before.
pub(crate) fn previous(lines: &[u8]) -> Link {
    let first = lines.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header: serde_json::Value = serde_json::from_slice(first).unwrap_or_default();
    before(&header).unwrap_or(Link::START)
}

/// What the header of a segment says of the one before.
pub(crate) fn before(header: &serde_json::Value) -> Option<Link> {
    header.get("previous").and_then(|link| link.as_str()).and_then(Link::from_hex)
}
