//! Lines of a reader, one at a time, none longer than memory allows.

use std::io::{self, BufRead};

/// The longest line that is looked at, in bytes.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;

pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// How many bytes were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The memory that is held, in bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.line.capacity()
    }

    /// The next line and its number, from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.line.clear();
        let mut length: usize = 0;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            // What is beyond the bound is counted and forgotten.
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend(buffer.iter().take(taken.min(room)));
            let is_over = end.is_some() || buffer.is_empty();
            self.reader.consume(taken);
            length = length.saturating_add(taken);
            self.bytes += taken as u64;
            if is_over {
                break;
            }
        }
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = if length > LONGEST { Line::TooLong } else { Line::Whole(&self.line) };
        Ok(Some((self.number, line)))
    }
}
