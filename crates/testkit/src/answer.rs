//! What a [`Recorder`](crate::Recorder) answers: whole, in pieces, later, or not at all.

use std::io::{Error, ErrorKind, Result};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::wire::{Headers, Incoming};

/// One answer to one request.
pub struct Answer {
    status: u16,
    headers: Headers,
    body: Body,
}

/// Feeds an answer whose head was sent already. Dropping it ends the body as it should end.
pub struct AnswerStream {
    pieces: mpsc::UnboundedSender<Piece>,
    gone: Option<oneshot::Receiver<()>>,
}

enum Body {
    Whole(Vec<u8>),
    Stream(mpsc::UnboundedReceiver<Piece>, oneshot::Sender<()>),
    Later(oneshot::Receiver<Answer>),
    Raw(Vec<u8>),
}

enum Piece {
    Bytes(Vec<u8>),
    Cut,
}

impl Answer {
    /// JSON with its `Content-Type`.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// Any body that is known at once.
    pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let answer = Self { status, headers: Headers::new(), body: Body::Whole(body.into()) };
        answer.header("Content-Type", content_type)
    }

    /// A status and an empty body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Headers::new(), body: Body::Whole(Vec::new()) }
    }

    /// A whole SSE stream: one `message` event for each value, then its end.
    pub fn events<'v>(values: impl IntoIterator<Item = &'v Value>) -> Self {
        let body: String = values.into_iter().map(|value| format!("data: {value}\n\n")).collect();
        Self::text(200, "text/event-stream", body)
    }

    /// An answer whose head is sent now and whose body the test feeds.
    pub fn stream(status: u16, content_type: &str) -> (Self, AnswerStream) {
        let (pieces, receiver) = mpsc::unbounded_channel();
        let (tell, gone) = oneshot::channel();
        let answer = Self { status, headers: Headers::new(), body: Body::Stream(receiver, tell) };
        (answer.header("Content-Type", content_type), AnswerStream { pieces, gone: Some(gone) })
    }

    /// Nothing is sent until the test sends the real answer through the channel. Dropping the sender closes the connection.
    pub fn later() -> (Self, oneshot::Sender<Answer>) {
        let (promise, receiver) = oneshot::channel();
        (Self { status: 200, headers: Headers::new(), body: Body::Later(receiver) }, promise)
    }

    /// These bytes, head and all, then the connection is closed. For peers that do not keep to HTTP.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { status: 0, headers: Headers::new(), body: Body::Raw(bytes.into()) }
    }

    /// The connection is closed without a word.
    pub fn cut() -> Self {
        Self::raw(Vec::new())
    }

    /// Adds a header line (without effect on `raw` and `later`).
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends itself. An error means that the connection is of no further use.
    pub(crate) async fn write<R, W>(self, incoming: &mut Incoming<R>, to: &mut W) -> Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        match self.body {
            Body::Whole(ref bytes) => {
                let mut message = head(self.status, &self.headers, &format!("Content-Length: {}", bytes.len()));
                message.extend_from_slice(bytes);
                to.write_all(&message).await
            }
            Body::Stream(pieces, gone) => {
                to.write_all(&head(self.status, &self.headers, "Transfer-Encoding: chunked")).await?;
                tokio::select! {
                    sent = feed(pieces, to) => {
                        // A write that failed is a client that hung up, seen from the other side.
                        if sent.is_err() {
                            let _ = gone.send(());
                        }
                        sent
                    }
                    () = incoming.closed() => {
                        let _ = gone.send(());
                        Err(ErrorKind::ConnectionAborted.into())
                    }
                }
            }
            Body::Later(promise) => {
                let answer = tokio::select! {
                    answer = promise => answer.map_err(|_| Error::from(ErrorKind::ConnectionAborted))?,
                    () = incoming.closed() => return Err(ErrorKind::ConnectionAborted.into()),
                };
                Box::pin(answer.write(incoming, to)).await
            }
            Body::Raw(bytes) => {
                to.write_all(&bytes).await?;
                Err(ErrorKind::ConnectionAborted.into())
            }
        }
    }
}

impl AnswerStream {
    /// One SSE `message` event.
    pub fn event(&mut self, data: &Value) {
        self.send(format!("data: {data}\n\n"));
    }

    /// Bytes as they are, as one chunk. What comes after the client hung up is dropped.
    pub fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        let _ = self.pieces.send(Piece::Bytes(bytes.into()));
    }

    /// Ends the body properly.
    pub fn end(self) {}

    /// Closes the connection in the middle of the body.
    pub fn cut(self) {
        let _ = self.pieces.send(Piece::Cut);
    }

    /// Waits until the client has closed its connection.
    pub async fn hung_up(&mut self) {
        if let Some(gone) = self.gone.take() {
            crate::patiently("the client to hang up", gone).await.expect("the answer was never sent, or ended first");
        }
    }
}

async fn feed<W: AsyncWrite + Unpin>(mut pieces: mpsc::UnboundedReceiver<Piece>, to: &mut W) -> Result<()> {
    while let Some(piece) = pieces.recv().await {
        match piece {
            // An empty chunk would end the body.
            Piece::Bytes(bytes) if bytes.is_empty() => {}
            Piece::Bytes(bytes) => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend(bytes);
                chunk.extend(b"\r\n");
                to.write_all(&chunk).await?;
            }
            Piece::Cut => return Err(ErrorKind::ConnectionAborted.into()),
        }
    }
    to.write_all(b"0\r\n\r\n").await
}

fn head(status: u16, headers: &[(String, String)], framing: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(framing);
    text.push_str("\r\n\r\n");
    text.into_bytes()
}
