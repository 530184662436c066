//! The file that is being written: whole lines or nothing, whatever happens in between.

use std::fs::File;
use std::io::{self, Write as _};

use crate::folder::Segment;

pub(crate) struct Tail {
    file: File,
    /// Up to here there are whole lines.
    pub(crate) length: u64,
}

impl Tail {
    /// A file that must not be there yet.
    pub(crate) fn create(segment: &Segment) -> io::Result<Self> {
        let file = File::options().append(true).create_new(true).open(&segment.path)?;
        Ok(Self { file, length: 0 })
    }

    /// A file that ends with a whole line at `length`.
    pub(crate) fn resume(segment: &Segment, length: u64) -> io::Result<Self> {
        let file = File::options().append(true).open(&segment.path)?;
        Ok(Self { file, length })
    }

    /// All of `lines`, or nothing: what a failed write left behind is taken back.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        // A part that could not be taken back last time goes first.
        if self.file.metadata()?.len() != self.length {
            self.file.set_len(self.length)?;
        }
        match self.file.write_all(lines) {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                _ = self.file.set_len(self.length); // tried again before the next write
                Err(error)
            }
        }
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
