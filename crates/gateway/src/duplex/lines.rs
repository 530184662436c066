//! Lines, bounded: one message each. What is longer is skipped to its end, and said so once.

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use crate::refusal::Refusal;

pub(super) struct Lines<R> {
    from: R,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(from: R, max: usize) -> Self {
        Self { from, max }
    }

    /// The next line that is not blank; none at the end. A last line need not be ended.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
        loop {
            match self.line().await {
                Ok(None) => return None,
                Ok(Some(line)) if line.len() > self.max => return Some(Err(Refusal::TooLarge(self.max))),
                Ok(Some(line)) if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Some(line)) => return Some(Ok(line.into())),
                Err(error) => {
                    tracing::warn!(%error, "the client's messages cannot be read any more");
                    return None;
                }
            }
        }
    }

    /// A line without its end; of one that is too long no more than shows it.
    async fn line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let bytes = self.from.fill_buf().await?;
            if bytes.is_empty() {
                return Ok((!line.is_empty()).then_some(line));
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            let room = (self.max + 1).saturating_sub(line.len());
            line.extend(part.iter().take(room));
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_of_any_length() {
        let text = b"{}\r\n\n  \n123456789\n12345678\nlast".as_slice();
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(3, text), 8);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await {
            read.push(line.map_or_else(|why| why.to_string(), |line| String::from_utf8(line.into()).unwrap()));
        }
        assert_eq!(read, ["{}\r", "the body is larger than 8 bytes", "12345678", "last"]);
    }
}
