//! Where the journal ended when something was last written: without it, nobody could tell that the last records were cut off.
//!
//! INVARIANT: written after the records that it speaks of, so that a crash leaves it behind the journal and never ahead.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::chain::Link;

pub(crate) const NAME: &str = "head";

/// The number of the last record, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) link: Link,
}

impl Head {
    /// None where there is none; an error where it says nothing sensible.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let text = match std::fs::read_to_string(folder.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        if text.is_empty() {
            return Ok(None); // made, and not written yet
        }
        let (seq, link) = text.trim_end().split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        let seq = seq.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Some(Self { seq, link: Link::from_hex(link).ok_or(io::ErrorKind::InvalidData)? }))
    }

    /// In one write, always of the same length.
    pub(crate) fn write(self, file: &File) -> io::Result<()> {
        file.write_all_at(format!("{:020} {}\n", self.seq, self.link.to_hex()).as_bytes(), 0)
    }
}

pub(crate) fn open(folder: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(folder.join(NAME))
}
