//! Sends lawful HTTP requests, each on a connection of its own, and reads JSON or SSE.

use std::net::SocketAddr;

use serde_json::Value;

use crate::patiently;
use crate::raw_client::{self, RawClient};
use crate::sse::SseEvent;
use crate::wire::{self, Remaining};

/// Where to send, and which header lines go with every request.
#[derive(Clone, Debug)]
pub struct HttpClient {
    addr: SocketAddr,
    path: String,
    headers: Vec<(String, String)>,
}

/// A response whose body is read as it is asked for. Dropping it hangs up.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    connection: RawClient,
    remaining: Remaining,
    unread: Vec<u8>,
}

impl HttpClient {
    /// `url` is `http://ADDRESS:PORT/path`.
    pub fn new(url: impl AsRef<str>) -> Self {
        let rest = url.as_ref().strip_prefix("http://").expect("an http:// URL");
        let (addr, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        Self { addr: addr.parse().expect("an IP address and a port"), path: path.to_owned(), headers: Vec::new() }
    }

    /// Adds a header line to every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// POSTs JSON as an MCP client does, and reads the whole answer.
    pub fn post<'c>(&'c self, body: &Value) -> impl Future<Output = raw_client::RawResponse> + Send + use<'c> {
        let reply = self.post_streamed(body);
        async move { reply.await.whole().await }
    }

    /// POSTs JSON as an MCP client does, and returns after the head of the answer.
    pub fn post_streamed<'c>(&'c self, body: &Value) -> impl Future<Output = Reply> + Send + use<'c> {
        let body = body.to_string();
        async move { self.post_text(&body).await }
    }

    /// POSTs text that need not be JSON, with the headers of an MCP client.
    pub async fn post_text(&self, body: &str) -> Reply {
        let headers = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
        self.send("POST", &headers, body.as_bytes()).await
    }

    /// Opens the event stream of a legacy session.
    pub async fn get(&self) -> Reply {
        self.send("GET", &[("Accept", "text/event-stream")], b"").await
    }

    /// Any method, header lines and body. Lines given to the client itself come last.
    pub async fn send(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut text = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", self.path, self.addr);
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in headers.iter().copied().chain(own) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut message = text.into_bytes();
        message.extend_from_slice(body);
        let mut connection = RawClient::connect(self.addr).await;
        connection.send(message).await;
        let head = patiently("the head of a response", connection.incoming.head()).await.unwrap();
        let head = head.expect("the server closed without an answer");
        let status = raw_client::status(&head);
        let remaining = raw_client::body_of(&head, status);
        Reply { status, headers: head.headers, connection, remaining, unread: Vec::new() }
    }
}

impl Reply {
    /// The first value of a header, its name compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        wire::header(&self.headers, name)
    }

    /// The next event of an SSE body; `None` at its end. A body that breaks off panics.
    pub async fn next_event(&mut self) -> Option<SseEvent> {
        patiently("an event", async {
            loop {
                if let Some(event) = SseEvent::take(&mut self.unread) {
                    return Some(event);
                }
                self.unread.extend(self.connection.incoming.piece(&mut self.remaining).await.unwrap()?);
            }
        })
        .await
    }

    /// The next bytes of the body as they come; `None` at its end, an error when it breaks off.
    pub async fn next_piece(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        patiently("bytes of the body", self.connection.incoming.piece(&mut self.remaining)).await
    }

    /// The whole body.
    pub async fn whole(mut self) -> raw_client::RawResponse {
        let body = patiently("the end of the body", self.connection.incoming.whole(self.remaining)).await.unwrap();
        self.unread.extend(body);
        raw_client::RawResponse { status: self.status, headers: self.headers, body: self.unread }
    }

    /// The JSON-RPC answer to `id`, whether the body is JSON or a stream in which other messages come before it.
    pub async fn answer_to(mut self, id: &Value) -> Value {
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            while let Some(event) = self.next_event().await {
                if !event.data.is_empty() && event.json()["id"] == *id && event.json()["method"].is_null() {
                    return event.json();
                }
            }
            panic!("the stream ended without an answer to {id}");
        }
        self.whole().await.json()
    }
}
