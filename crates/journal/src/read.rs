//! Reads a journal that may still be written: whole lines only, segment after segment, and none is left out in silence. Whether they are
//! as they were written is `verify`'s question.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::folder::{self, Segment};
use crate::retention;

/// Where a reader is. It yields each whole line once, also those that come later.
///
/// Where a record is missing of which no statement says that it was dropped, it says so once, in an error of the kind `InvalidData`; asked
/// again, it goes on after the gap.
pub struct Reader {
    folder: PathBuf,
    /// The segment that is read, and up to where.
    at: Option<(PathBuf, u64)>,
    /// Lines that were read and not yet given out.
    lines: std::iter::Peekable<std::vec::IntoIter<String>>,
    /// The next record's number is one of these; more than one after lines without a number, which are no records.
    next: Option<(u64, u64)>,
}

impl Reader {
    /// From the first record that is still there.
    pub fn from_start(folder: &Path) -> Self {
        Self { folder: folder.into(), at: None, lines: Vec::new().into_iter().peekable(), next: None }
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
        self.next_line_while(&mut || {})
    }

    /// Between two looks of ours the writer goes on: `meanwhile`, in a test.
    fn next_line_while(&mut self, meanwhile: &mut dyn FnMut()) -> io::Result<Option<String>> {
        loop {
            if let Some(line) = self.lines.peek() {
                let seq = number(line);
                self.count(seq)?;
                return Ok(self.lines.next());
            }
            if self.read_on()? {
                continue;
            }
            meanwhile();
            let Some(next) = self.next_segment()? else { return Ok(None) };
            meanwhile();
            // INVARIANT: a segment that has a successor gets no more lines, so only what is read from here on is all of it
            if !self.read_on()? {
                self.enter(next)?;
            }
        }
    }

    fn read_on(&mut self) -> io::Result<bool> {
        match &self.at {
            Some((path, from)) => self.read(path.clone(), *from),
            None => Ok(false),
        }
    }

    /// An error, once, if that is not the number that comes next.
    fn count(&mut self, seq: Option<u64>) -> io::Result<()> {
        let expected = self.next;
        self.next = match (seq, expected) {
            (Some(seq), _) => Some((seq + 1, seq + 1)),
            (None, Some((from, to))) => Some((from, to + 1)),
            (None, None) => None,
        };
        match (seq, expected) {
            (Some(seq), Some((from, to))) if !(from..=to).contains(&seq) => {
                // Not again.
                self.next = Some((seq, seq));
                let segment = self.at.as_ref().and_then(|(path, _)| path.file_name()).unwrap_or_default().display();
                Err(gap(format!("`{segment}`: record {seq} stands where record {from} should")))
            }
            _ => Ok(()),
        }
    }

    /// Goes on to that segment; an error, once, if what should be before it is not there and nobody dropped it.
    fn enter(&mut self, segment: Segment) -> io::Result<()> {
        let (first, name) = (segment.first, segment.name());
        let missing = self.next.filter(|(_, to)| *to < first);
        let is_told = missing.is_none() || self.is_dropped(first - 1)?;
        // If it is gone by now, so is the statement, perhaps: the segment after it tells.
        let is_there = segment.path.exists();
        self.at = Some((segment.path, 0));
        let Some((from, _)) = missing.filter(|_| is_there) else { return Ok(()) };
        self.next = Some((first, first));
        match is_told {
            true => Ok(()),
            false => Err(gap(format!(
                "records {from} to {} are missing before `{name}`, and no statement says that they were dropped",
                first - 1
            ))),
        }
    }

    /// Does a statement say so of the segment that ended with this record? All before it went earlier.
    fn is_dropped(&self, last: u64) -> io::Result<bool> {
        for segment in folder::segments(&self.folder)? {
            let file = match File::open(&segment.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => BufReader::new(file?),
            };
            for line in file.split(b'\n') {
                if retention::stated(&line?).iter().any(|dropped| dropped.last == last) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
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
        self.lines = lines.into_iter().peekable();
        Ok(self.lines.len() > 0)
    }

    /// The one after that which is read.
    fn next_segment(&self) -> io::Result<Option<Segment>> {
        let after = self.at.as_ref().map(|(path, _)| path);
        Ok(folder::segments(&self.folder)?.into_iter().find(|segment| Some(&segment.path) > after))
    }
}

/// The number with which a line begins; none where it is no record.
fn number(line: &str) -> Option<u64> {
    let (digits, _) = line.strip_prefix(r#"{"seq":"#)?.split_once([',', '}'])?;
    digits.parse().ok().filter(|seq| *seq < u64::MAX)
}

fn gap(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{why}; `toolgate audit verify` says more"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tempfile::TempDir;

    use super::*;

    fn line(seq: u64) -> String {
        format!("{{\"seq\":{seq},\"kind\":\"decision\"}}\n")
    }

    fn append(folder: &TempDir, segment: u64, text: &str) {
        let path = Segment::at(folder.path(), segment).path;
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn journal(segments: &[(u64, &[u64])]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (segment, records) in segments {
            append(&folder, *segment, &records.iter().map(|seq| line(*seq)).collect::<String>());
        }
        folder
    }

    /// The numbers of what is read, and what is said instead.
    fn all(reader: &mut Reader, meanwhile: &mut dyn FnMut()) -> Vec<Result<u64, String>> {
        let mut next = || reader.next_line_while(meanwhile).transpose();
        std::iter::from_fn(|| Some(next()?.map(|line| number(&line).unwrap()).map_err(|error| error.to_string())))
            .collect()
    }

    #[test]
    fn what_a_segment_got_before_it_ended_is_read() {
        // Before the folder is looked through.
        let folder = journal(&[(1, &[1])]);
        let mut looks = 0;
        let mut meanwhile = || {
            looks += 1;
            if looks == 1 {
                append(&folder, 1, &line(2));
                append(&folder, 3, &line(3));
            }
        };
        let mut reader = Reader::from_start(folder.path());
        // The first segment is found, and its first line read.
        assert!(reader.next_line().unwrap().is_some());
        assert_eq!(all(&mut reader, &mut meanwhile), [Ok(2), Ok(3)]);
    }

    #[track_caller]
    fn check(segments: &[(u64, &[u64])], expected: &[Result<u64, &str>]) {
        let folder = journal(segments);
        let found = all(&mut Reader::from_start(folder.path()), &mut || {});
        let found: Vec<_> = found.iter().map(|one| one.as_ref().map(|seq| *seq).map_err(String::as_str)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_gap_is_told_once() {
        check(&[(3, &[3, 4]), (5, &[5])], &[Ok(3), Ok(4), Ok(5)]);
        check(
            &[(1, &[1, 2]), (6, &[6, 7])],
            &[
                Ok(1),
                Ok(2),
                Err(
                    "records 3 to 5 are missing before `journal-00000000000000000006.jsonl`, and no statement says that \
                    they were dropped; `toolgate audit verify` says more",
                ),
                Ok(6),
                Ok(7),
            ],
        );
        let swapped = "`journal-00000000000000000001.jsonl`: record 4 stands where record 2 should; \
            `toolgate audit verify` says more";
        check(&[(1, &[1, 4, 5])], &[Ok(1), Err(swapped), Ok(4), Ok(5)]);
    }

    #[test]
    fn a_segment_that_goes_while_it_is_looked_for_is_no_gap() {
        let folder = journal(&[(1, &[1]), (3, &[3]), (5, &[])]);
        let link = "0".repeat(64);
        let told = format!(r#"[{{"first":1,"last":4,"hash":"{link}","why":"age"}}]"#);
        append(&folder, 5, &format!("{{\"seq\":5,\"kind\":\"dropped\",\"segments\":{told}}}\n"));
        let mut reader = Reader::from_start(folder.path());
        assert!(reader.next_line().unwrap().is_some());
        let mut looks = 0;
        let mut meanwhile = || {
            looks += 1;
            if looks == 2 {
                std::fs::remove_file(Segment::at(folder.path(), 3).path).unwrap();
            }
        };
        assert_eq!(all(&mut reader, &mut meanwhile), [Ok(5)]);
    }
}
