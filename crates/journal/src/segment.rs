//! The file that is being written: whole lines or nothing, whatever happens in between.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use crate::folder::Segment;

pub(crate) struct Tail {
    /// Shared with whoever forces it to the disk meanwhile.
    file: Arc<File>,
    /// Up to here there are whole lines.
    pub(crate) length: u64,
    /// A part of a line may stand behind them, which could not be taken back.
    torn: bool,
    /// The disk takes nothing.
    #[cfg(test)]
    pub(crate) broken: bool,
}

impl Tail {
    /// A file that must not be there yet.
    pub(crate) fn create(segment: &Segment) -> io::Result<Self> {
        let file = File::options().append(true).create_new(true).mode(0o600).open(&segment.path)?;
        Ok(Self::of(file, 0))
    }

    /// A file that ends with a whole line at `length`.
    pub(crate) fn resume(segment: &Segment, length: u64) -> io::Result<Self> {
        let file = File::options().append(true).open(&segment.path)?;
        Ok(Self::of(file, length))
    }

    fn of(file: File, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            length,
            torn: false,
            #[cfg(test)]
            broken: false,
        }
    }

    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// All of `lines`, or nothing: what a failed write left behind is taken back.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        // A part that could not be taken back last time goes first.
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        match (&*self.file).write_all(lines) {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.torn = self.file.set_len(self.length).is_err();
                Err(error)
            }
        }
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.broken {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.sync_data()
    }
}
