//! Bytes of a program's stdout, cut into lines that are not longer than is bearable.

use bytes::BytesMut;

/// Bytes that are read at a time, and the size of an empty buffer that is kept.
const READ: usize = 16 << 10;
const KEPT: usize = 256 << 10;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(BytesMut),
    /// Longer than is kept. It was skipped.
    TooLong,
}

pub(super) struct Lines {
    pub(super) unread: BytesMut,
    /// Of that, what is known to have no line end.
    scanned: usize,
    max: usize,
    skipping: bool,
}

impl Lines {
    pub(super) fn new(max: usize) -> Self {
        Self { unread: BytesMut::new(), scanned: 0, max, skipping: false }
    }

    /// For the next read: without it, a buffer of bytes grows by a few at a time.
    pub(super) fn make_room(&mut self) {
        if self.unread.is_empty() && self.unread.capacity() > KEPT {
            self.unread = BytesMut::new();
        }
        self.unread.reserve(READ);
    }

    /// The next line that is there, without its end.
    pub(super) fn next(&mut self) -> Option<Line> {
        loop {
            let end = self.unread.get(self.scanned..).and_then(|rest| rest.iter().position(|&byte| byte == b'\n'));
            let Some(end) = end else {
                self.scanned = self.unread.len();
                if self.scanned > self.max {
                    self.skipping = true;
                    self.unread.clear();
                    self.scanned = 0;
                }
                return None;
            };
            let mut line = self.unread.split_to(self.scanned + end + 1);
            self.scanned = 0;
            line.truncate(line.len() - 1);
            if std::mem::take(&mut self.skipping) || line.len() > self.max {
                return Some(Line::TooLong);
            }
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if !line.is_empty() {
                return Some(Line::Whole(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines};

    #[test]
    fn however_the_bytes_arrive_the_lines_are_the_same() {
        let text = b"one\r\n\n\ntwo two\n0123456789x\nthree\n0123456789ABCDEF01234\nfour\nfive";
        for piece in 1..=text.len() {
            let mut lines = Lines::new(10);
            let mut seen = Vec::new();
            for bytes in text.chunks(piece) {
                lines.unread.extend_from_slice(bytes);
                while let Some(line) = lines.next() {
                    seen.push(match line {
                        Line::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
                        Line::TooLong => "(too long)".to_owned(),
                    });
                }
            }
            assert_eq!(seen, ["one", "two two", "(too long)", "three", "(too long)", "four"], "by {piece}");
        }
    }
}
