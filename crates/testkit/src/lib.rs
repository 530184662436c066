//! Tests only: servers that record, clients that say exactly what they are told, and (feature `fixture`) an MCP server on rmcp.
//! Everything binds port 0 on loopback. What goes wrong panics, for a failed expectation is a failed test, and every wait ends after
//! [`PATIENCE`] with the name of what was waited for.
//!
//! **An upstream that records** ([`Recorder`]). Each request is kept as it came: method, target, headers in order and in their own
//! case, body bytes, the number of the connection. What it answers is a closure, or a hand-written exchange:
//!
//! ```
//! # use testkit::{Answer, HttpClient, Recorder};
//! # use serde_json::json;
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! // by a script
//! let upstream = Recorder::start(|request| match request.method.as_str() {
//!     "POST" => Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": {} })),
//!     _ => Answer::status(405).header("Allow", "POST"),
//! }).await;
//! let reply = HttpClient::new(upstream.url("/mcp")).post(&json!({ "id": 1 })).await;
//! assert_eq!(reply.status, 200);
//! assert_eq!(upstream.requests().len(), 1);
//! assert_eq!(upstream.requests()[0].header("content-type"), Some("application/json"));
//!
//! // by hand: the test decides when and how each request is answered
//! let upstream = Recorder::by_hand().await;
//! let client = HttpClient::new(upstream.url("/mcp"));
//! let (mut reply, mut stream) = tokio::join!(client.post_streamed(&json!({ "id": 2 })), async {
//!     upstream.next_exchange().await.answer_with_events()
//! });
//! stream.event(&json!({ "method": "notifications/progress" }));
//! assert_eq!(reply.next_event().await.unwrap().json()["method"], "notifications/progress");
//! drop(reply);            // the client hangs up
//! stream.hung_up().await; // and the upstream notices
//! # });
//! ```
//!
//! [`Answer`]: `json`, `status`, `text`, `events` (SSE, whole), `stream` (SSE or other, fed by an [`AnswerStream`]: `event`, `send`,
//! `end`, `cut`, `hung_up`), `later` (a promise kept by a oneshot sender), `raw` (any bytes, then close), `cut` (close without a word);
//! `.header(name, value)` adds to each. [`Recorder::mcp`] is a small complete MCP server of both eras whose tool definitions are given
//! as raw text, so that a test can see vendor fields survive; [`Recorder::legacy_mcp`] is the same of the legacy era only. [`Recorder::next_request`] waits for the next one not yet taken.
//!
//! **Clients.** [`RawClient`] writes bytes to a socket and reads responses (request smuggling, slow heads, pipelining). [`HttpClient`]
//! sends well-formed requests and reads JSON or SSE answers. [`McpClient`] speaks MCP of either era on top: `legacy(url)` initializes
//! a session, `modern(url)` adds the `_meta` and the headers; `call`, `list_tools` and `request` return the JSON-RPC answer.
//!
//! **A real server** (feature `fixture`, which pulls in rmcp): `fixture::serve` starts the conformance fixture in process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests only: what panics here fails a test"
)]

mod answer;
#[cfg(feature = "fixture")]
#[allow(deprecated, reason = "the suite still tests logging, sampling and roots, which rmcp marks as going")]
pub mod fixture;
mod http_client;
#[cfg(feature = "issuer")]
mod issuer;
mod mcp_client;
mod raw_client;
mod recorder;
mod redis;
mod small_mcp;
mod sse;
mod wire;

use std::time::Duration;

pub use answer::{Answer, AnswerStream};
pub use http_client::{HttpClient, Reply};
#[cfg(feature = "issuer")]
pub use issuer::{Issuer, SigningKey};
pub use mcp_client::McpClient;
pub use raw_client::{RawClient, RawResponse};
pub use recorder::{Exchange, Recorded, Recorder};
pub use redis::{Redis, redis_url};
pub use sse::SseEvent;

/// How long any wait lasts before it fails the test. Long, since a busy machine is slow and only a broken program gets here.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, and panics with the name of what was waited for when it does not come.
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}
