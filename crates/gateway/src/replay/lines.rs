//! Lines of bounded length, whatever is in them.

use std::io::{self, BufRead, Read as _};

/// Longer than a record with the arguments of the largest call that the gateway takes when nobody says otherwise.
const LONGEST: usize = 8 * 1024 * 1024;

pub(super) struct Lines<R> {
    input: R,
    number: u64,
    line: Vec<u8>,
}

/// A line, or why it is none.
pub(super) type Text<'t> = Result<&'t str, &'static str>;

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0, line: Vec::new() }
    }

    /// The next line with its number, counted from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Text<'_>)>> {
        self.line.clear();
        let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        if self.input.by_ref().take(limit).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.len() == LONGEST && self.line.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
            return Ok(Some((self.number, Err("longer than 8 MiB"))));
        }
        Ok(Some((self.number, std::str::from_utf8(&self.line).map_err(|_| "not UTF-8"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let long = "x".repeat(LONGEST + 5);
        let text = format!("a\n{long}\n\nb\n{}\n{}", "y".repeat(LONGEST), "z".repeat(LONGEST - 1));
        let mut lines = Lines::new(text.as_bytes());
        let mut seen = Vec::new();
        while let Some((number, text)) = lines.next().unwrap() {
            seen.push((number, text.map(|text| text.get(..1).unwrap_or_default().to_owned()).map_err(str::to_owned)));
        }
        let (ok, long) = (|text: &str| Ok(text.to_owned()), || Err("longer than 8 MiB".to_owned()));
        assert_eq!(seen, [(1, ok("a")), (2, long()), (3, ok("\n")), (4, ok("b")), (5, long()), (6, ok("z"))]);
        let mut lines = Lines::new(&b"\xff\nb"[..]);
        assert_eq!(lines.next().unwrap(), Some((1, Err("not UTF-8"))));
        assert_eq!(lines.next().unwrap(), Some((2, Ok("b"))));
        assert_eq!(lines.next().unwrap(), None);
    }
}
