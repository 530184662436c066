//! A client that sends bytes, whatever they are, and reads what comes back.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::patiently;
use crate::wire::{self, Head, Incoming, Remaining};

/// One connection. Dropping it closes it.
pub struct RawClient {
    pub(crate) incoming: Incoming<OwnedReadHalf>,
    writing: OwnedWriteHalf,
}

/// One response, whole.
#[derive(Clone, Debug)]
pub struct RawResponse {
    pub status: u16,
    /// In order, in their own case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawClient {
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reading, writing) = stream.into_split();
        Self { incoming: Incoming::new(reading), writing }
    }

    /// Sends the bytes. A peer that closed already is no error here: what it answered before can still be read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.writing.write_all(bytes.as_ref()).await;
    }

    /// Closes the sending side only.
    pub async fn finish(&mut self) {
        let _ = self.writing.shutdown().await;
    }

    /// The next response; `None` when the peer closed instead.
    pub async fn response(&mut self) -> Option<RawResponse> {
        patiently("a response", async {
            let head = self.incoming.head().await.ok().flatten()?;
            let status = status(&head);
            let body = self.incoming.whole(body_of(&head, status)).await.unwrap();
            Some(RawResponse { status, headers: head.headers, body })
        })
        .await
    }

    /// Everything until the peer closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        patiently("the server to close", self.incoming.rest()).await
    }
}

impl RawResponse {
    /// The first value of a header, its name compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        wire::header(&self.headers, name)
    }

    /// The body as JSON; panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }
}

pub(crate) fn status(head: &Head) -> u16 {
    let code = head.first_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no status line: `{}`", head.first_line))
}

pub(crate) fn body_of(head: &Head, status: u16) -> Remaining {
    match status {
        100..=199 | 204 | 304 => Remaining::Nothing,
        _ => head.remaining(Remaining::UntilClose).unwrap(),
    }
}
