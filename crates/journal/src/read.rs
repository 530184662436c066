//! Reads a journal that may still be written: whole lines only, segment after segment.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::folder;

/// Where a reader is. It yields each whole line once, also those that come later.
pub struct Reader {
    folder: PathBuf,
    /// The segment that is read, and up to where.
    at: Option<(PathBuf, u64)>,
    /// Lines that were read and not yet given out.
    lines: std::vec::IntoIter<String>,
}

impl Reader {
    /// From the first record that is still there.
    pub fn from_start(folder: &Path) -> Self {
        Self { folder: folder.into(), at: None, lines: Vec::new().into_iter() }
    }

    /// From the first record of the last segment whose first line `is_early` says is early enough; else from the first that is there.
    pub fn from_last(folder: &Path, is_early: impl Fn(&str) -> bool) -> io::Result<Self> {
        for segment in folder::segments(folder)?.into_iter().rev() {
            let mut line = String::new();
            BufReader::new(File::open(&segment.path)?).read_line(&mut line)?;
            if is_early(line.trim_end()) {
                return Ok(Self { at: Some((segment.path, 0)), ..Self::from_start(folder) });
            }
        }
        Ok(Self::from_start(folder))
    }

    /// From the segment on that has this record, or should have.
    pub fn from_record(folder: &Path, seq: u64) -> io::Result<Self> {
        let segments = folder::segments(folder)?;
        let at = segments.into_iter().rev().find(|segment| segment.first <= seq).map(|segment| (segment.path, 0));
        Ok(Self { at, ..Self::from_start(folder) })
    }

    /// The segment of the line that was given out last, by the number of its first record.
    pub fn segment(&self) -> Option<u64> {
        folder::first(&self.at.as_ref()?.0)
    }

    /// The next record's line; none when there is none yet.
    pub fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            let read = match &self.at {
                Some((path, from)) => self.read(path.clone(), *from)?,
                None => false,
            };
            if !read && !self.next_segment()? {
                return Ok(None);
            }
        }
    }

    /// Some of the lines that a segment has from there on.
    fn read(&mut self, path: PathBuf, from: u64) -> io::Result<bool> {
        const SOME: usize = 1000;
        let mut file = match File::open(&path) {
            // Dropped meanwhile: go on with the next.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => BufReader::new(file?),
        };
        file.seek(SeekFrom::Start(from))?;
        let (mut lines, mut at) = (Vec::new(), from);
        while lines.len() < SOME {
            let mut line = Vec::new();
            let length = file.read_until(b'\n', &mut line)?;
            if line.pop() != Some(b'\n') {
                break; // it is being written, or the end
            }
            at += length as u64;
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        self.at = Some((path, at));
        self.lines = lines.into_iter();
        Ok(self.lines.len() > 0)
    }

    /// A segment ends when there is one after it.
    fn next_segment(&mut self) -> io::Result<bool> {
        let after = self.at.as_ref().map(|(path, _)| path.clone());
        let segments = folder::segments(&self.folder)?;
        let next = segments.into_iter().map(|segment| segment.path).find(|path| Some(path) > after.as_ref());
        let found = next.is_some();
        self.at = next.map(|path| (path, 0)).or(self.at.take());
        Ok(found)
    }
}
