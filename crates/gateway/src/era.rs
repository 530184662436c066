//! Which era an upstream speaks: asked once by a modern request, then remembered (MCP 2026-07-28, "Backward Compatibility").

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use mcp::{Method, Object, Revision, ServerMessage, Verdict};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::answering::{Answering, Piece};
use crate::server::Server;
use crate::stdio::StdioError;
use crate::upstream::{MCP_METHOD, PROTOCOL_VERSION, Upstream, UpstreamError, is_type};

#[cfg(test)]
pub(crate) mod tests;

/// A server that spoke only legacy is asked again after this long: it may have been replaced.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// A program that says nothing to the question for so long is legacy: such ones may ignore what comes before `initialize`.
/// And who is known to be legacy is not waited for any longer when it is asked again.
const PROBE: Duration = Duration::from_secs(10);

const UNKNOWN: u8 = 0;
const MODERN: u8 = 1;
const LEGACY: u8 = 2;

#[derive(Default)]
pub(crate) struct EraCache {
    known: AtomicU8,
    /// It speaks modern, and refused a legacy `initialize`.
    only: AtomicBool,
    /// Held while asking, so that one asks for all.
    asking: Mutex<Asked>,
}

/// When the server was last asked, and in vain.
#[derive(Default)]
struct Asked {
    answered: Option<Instant>,
    /// It is a program, and does not change while it runs.
    for_good: bool,
    failed: Option<Instant>,
}

/// The `_meta` of requests that the gateway makes for itself.
pub(crate) const OWN_META: &str = concat!(
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"toolgate","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}"#
);

impl EraCache {
    /// Does the server speak 2026-07-28?
    pub(crate) async fn is_modern(&self, upstream: &Upstream) -> Result<bool, UpstreamError> {
        if self.known.load(Ordering::Relaxed) == MODERN {
            return Ok(true);
        }
        let arrived = Instant::now();
        let mut asked = upstream.turn(self.asking.lock()).await?;
        match self.known.load(Ordering::Relaxed) {
            MODERN => return Ok(true),
            LEGACY if asked.for_good || asked.answered.is_some_and(|at| at.elapsed() < ASK_AGAIN) => return Ok(false),
            // Those who waited meanwhile do not ask one after the other.
            _ if asked.failed.is_some_and(|at| at >= arrived) => return Err(UpstreamError::LatelyFailed),
            _ => {}
        }
        let program = upstream.server.way.is_program();
        let legacy = self.known.load(Ordering::Relaxed) == LEGACY;
        let answer = match program || legacy {
            true => tokio::time::timeout(PROBE, probe(upstream)).await.ok(),
            false => Some(probe(upstream).await),
        };
        // A program that ends at such a question is legacy, or broken: `initialize` will tell.
        let ended = matches!(answer, None | Some(Err(UpstreamError::Stdio(StdioError::Died(_)))));
        match answer.filter(|_| !ended).unwrap_or(Ok(false)) {
            Ok(modern) => {
                self.known.store(if modern { MODERN } else { LEGACY }, Ordering::Relaxed);
                *asked = Asked { answered: Some(Instant::now()), for_good: program, failed: None };
                Ok(modern)
            }
            // One that is in trouble says nothing new of itself: the request itself will tell.
            Err(error) if legacy && !matches!(error, UpstreamError::Connect(_)) => {
                asked.answered = Some(Instant::now());
                Ok(false)
            }
            Err(error) => {
                asked.failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    pub(crate) fn is_only_modern(&self) -> bool {
        self.only.load(Ordering::Relaxed)
    }

    pub(crate) fn note_only_modern(&self) {
        self.only.store(true, Ordering::Relaxed);
    }

    /// What was remembered turned out wrong.
    pub(crate) fn forget(&self) {
        self.known.store(UNKNOWN, Ordering::Relaxed);
        self.only.store(false, Ordering::Relaxed);
    }
}

async fn probe(upstream: &Upstream) -> Result<bool, UpstreamError> {
    let response = upstream.post(modern_headers(Method::Discover), discover(&upstream.server), None).await?;
    let status = response.status();
    // None of these says anything of the era: credentials are wrong, it moved, it is busy, it is broken.
    if status.is_server_error() || status.is_redirection() || matches!(status.as_u16(), 401 | 403 | 407 | 429) {
        return Err(UpstreamError::Status(status));
    }
    let (events, body) = (is_type(&response, "text/event-stream"), response.into_body());
    let bytes = if events { first_answer(upstream, body).await? } else { upstream.read(body).await?.to_vec() };
    Ok(speaks_modern(status, &bytes))
}

/// The gateway's own question to a server: what it is.
pub(crate) fn discover(server: &Server) -> Vec<u8> {
    let mut params = mcp::Params::default();
    params.replace_meta(OWN_META.to_owned());
    mcp::Writer::request(server.next_id(), Method::Discover, &params)
}

/// A result, or an error that only a modern server gives.
fn speaks_modern(status: StatusCode, bytes: &[u8]) -> bool {
    let Some(ServerMessage::Answer(answer)) = ServerMessage::read(bytes) else { return false };
    match answer.verdict {
        Verdict::Result(_) => status.is_success(),
        Verdict::Error(error) => match error_code(error.get()) {
            Some(-32022..=-32020) => true,
            Some(-32601) => status == StatusCode::NOT_FOUND,
            _ => false,
        },
    }
}

pub(crate) fn error_code(error: &str) -> Option<i64> {
    Object::read(error)?.get("code")?.get().parse().ok()
}

/// The first event that is an answer.
pub(crate) async fn first_answer(upstream: &Upstream, mut body: Answering) -> Result<Vec<u8>, UpstreamError> {
    let mut reader = mcp::sse::Reader::new(upstream.bounds.event);
    while let Some(piece) = upstream.next(&mut body).await? {
        let mut events = Vec::new();
        match piece {
            Piece::Event(event) => events.push(event),
            Piece::Bytes(data) => reader
                .push(&data, |event| events.push(event))
                .map_err(|_| UpstreamError::TooLarge(upstream.bounds.event))?,
        }
        let answers = |data: &Vec<u8>| matches!(ServerMessage::read(data), Some(ServerMessage::Answer(_)));
        if let Some(answer) = events.into_iter().filter_map(|event| event.data).find(answers) {
            return Ok(answer);
        }
    }
    Err(UpstreamError::NotAnAnswer)
}

pub(crate) fn modern_headers(method: Method) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(Revision::MODERN.as_str()));
    headers.insert(MCP_METHOD, HeaderValue::from_static(method.as_str()));
    headers
}
