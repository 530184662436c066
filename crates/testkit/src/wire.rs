//! Reads HTTP/1.1 as it stands on the wire, for both directions. Strict where it can tell, so that a sloppy peer fails its test.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) type Headers = Vec<(String, String)>;

/// The bytes of one connection that were read and not yet used, and where more come from.
pub(crate) struct Incoming<R> {
    source: R,
    buffer: Vec<u8>,
}

/// A first line and the header lines below it, in order and in their own case.
pub(crate) struct Head {
    pub(crate) first_line: String,
    pub(crate) headers: Headers,
}

/// How much of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remaining {
    Bytes(u64),
    Chunks,
    UntilClose,
    Nothing,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new() }
    }

    /// The next head; `None` when the peer closed instead.
    pub(crate) async fn head(&mut self) -> Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let text: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return parse_head(&text[..end]).map(Some);
            }
            if self.more().await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// The next piece of a body; `None` at its proper end.
    pub(crate) async fn piece(&mut self, remaining: &mut Remaining) -> Result<Option<Vec<u8>>> {
        match *remaining {
            Remaining::Nothing | Remaining::Bytes(0) => Ok(None),
            Remaining::Bytes(left) => {
                self.at_least_one().await?;
                let taken = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                *remaining = Remaining::Bytes(left - taken as u64);
                Ok(Some(self.buffer.drain(..taken).collect()))
            }
            Remaining::UntilClose => {
                if self.buffer.is_empty() && self.more().await? == 0 {
                    *remaining = Remaining::Nothing;
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
            Remaining::Chunks => self.chunk(remaining).await,
        }
    }

    pub(crate) async fn whole(&mut self, mut remaining: Remaining) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut remaining).await? {
            body.extend(piece);
        }
        Ok(body)
    }

    /// Returns once the peer has closed its side. Bytes that come before are kept.
    pub(crate) async fn closed(&mut self) {
        while matches!(self.more().await, Ok(1..)) {}
    }

    /// Everything up to the close of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        self.closed().await;
        std::mem::take(&mut self.buffer)
    }

    async fn chunk(&mut self, remaining: &mut Remaining) -> Result<Option<Vec<u8>>> {
        // Cancel-safe: nothing is taken from the buffer before the whole chunk is in it.
        loop {
            if let Some(line) = find(&self.buffer, b"\r\n") {
                let text = str::from_utf8(&self.buffer[..line]).map_err(|_| bad("chunk size is not text"))?;
                let size = usize::from_str_radix(text, 16).map_err(|_| bad("chunk size is not a number"))?;
                let end = line + 2 + size;
                if self.buffer.len() >= end + 2 {
                    if &self.buffer[end..end + 2] != b"\r\n" {
                        return Err(bad("chunk does not end with a line break"));
                    }
                    let data = self.buffer[line + 2..end].to_vec();
                    self.buffer.drain(..end + 2);
                    if size == 0 {
                        *remaining = Remaining::Nothing;
                        return Ok(None);
                    }
                    return Ok(Some(data));
                }
            }
            if self.more().await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn at_least_one(&mut self) -> Result<()> {
        if self.buffer.is_empty() && self.more().await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<usize> {
        self.source.read_buf(&mut self.buffer).await
    }
}

impl Head {
    /// The one value of a header, or `None`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// How the body that follows ends; `otherwise` when the head does not say.
    pub(crate) fn remaining(&self, otherwise: Remaining) -> Result<Remaining> {
        match (self.header("transfer-encoding"), self.header("content-length")) {
            (Some(_), Some(_)) => Err(bad("both Transfer-Encoding and Content-Length")),
            (Some("chunked"), None) => Ok(Remaining::Chunks),
            (Some(_), None) => Err(bad("unknown Transfer-Encoding")),
            (None, Some(length)) => length.parse().map(Remaining::Bytes).map_err(|_| bad("bad Content-Length")),
            (None, None) => Ok(otherwise),
        }
    }
}

/// The first value of a header, its name compared without case.
pub(crate) fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

fn parse_head(text: &[u8]) -> Result<Head> {
    let text = str::from_utf8(text).map_err(|_| bad("head is not UTF-8"))?;
    let mut lines = text.split("\r\n");
    let first_line = lines.next().unwrap_or_default().to_owned();
    let headers = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
        .collect::<Option<Headers>>()
        .ok_or_else(|| bad("header line without a colon"))?;
    Ok(Head { first_line, headers })
}

fn bad(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
