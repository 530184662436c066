//! HTTP+SSE, the transport of 2024-11-05, made to look like Streamable HTTP: a posted `initialize` opens the server's stream, and each
//! request gets an event stream of its own, fed from the one.
//!
//! The stream of a session outlives the request and the thread that opened it, so it is read on a runtime that outlives the workers.

mod auto;
mod line;
mod reading;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method as Verb, Response, StatusCode};
use mcp::Object;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use self::auto::Auto;
use self::line::Line;
use crate::answering::Answering;
use crate::clients::{self, HttpClient};
use crate::config::Bounds;
use crate::limits::Held;
use crate::reply::SESSION_ID;
use crate::server::Endpoint;
use crate::upstream::{self, Departing, Upstream, UpstreamError};

/// Until the server has named its `endpoint`.
const OPENING: Duration = Duration::from_secs(10);

pub(crate) struct OldSse {
    pub(crate) endpoint: Endpoint,
    /// For the streams; messages are posted by the threads that have them.
    client: HttpClient,
    runtime: Handle,
    lines: Arc<Lines>,
    bounds: Arc<Bounds>,
}

/// The open sessions, by their ids.
type Lines = DashMap<Box<str>, Arc<Line>>;

impl OldSse {
    pub(crate) fn new(endpoint: Endpoint, runtime: Handle, bounds: &Arc<Bounds>) -> Self {
        let client = clients::client(&endpoint.road, bounds);
        Self { endpoint, client, runtime, lines: Arc::default(), bounds: Arc::clone(bounds) }
    }

    pub(crate) async fn post(
        &self,
        upstream: &Upstream,
        mut extra: HeaderMap,
        body: Bytes,
        held: Option<Held>,
    ) -> Result<Response<Answering>, UpstreamError> {
        let message = Said::read(&body);
        let (line, opening) = match extra.remove(&SESSION_ID) {
            Some(id) => (self.line(&id), false),
            None if message.is_initialize() => (Some(self.open(upstream).await?), true),
            None => (None, false),
        };
        let Some(line) = line else { return Ok(Answering::empty(StatusCode::NOT_FOUND)) };
        let waiting = message.request.map(|id| line.expect(id, message.token.clone(), opening));
        let body = message.body(body);
        let response = upstream.post_to(&self.endpoint, line.to.clone(), extra, Departing::new(body, held)).await?;
        if !response.status().is_success() {
            if response.status() == StatusCode::NOT_FOUND {
                line.close(); // the server has forgotten it
            }
            return Ok(response);
        }
        let Some((events, guard)) = waiting else { return Ok(Answering::empty(StatusCode::ACCEPTED)) };
        let mut response = Answering::events(events, Some(Box::new(guard)));
        if opening {
            response.headers_mut().insert(SESSION_ID, line.id.clone());
        }
        Ok(response)
    }

    /// What belongs to no request.
    pub(crate) fn get(&self, extra: &HeaderMap) -> Response<Answering> {
        match extra.get(&SESSION_ID).map(|id| self.line(id)) {
            None => Answering::empty(StatusCode::METHOD_NOT_ALLOWED),
            Some(None) => Answering::empty(StatusCode::NOT_FOUND),
            Some(Some(line)) => {
                let (events, guard) = line.listen();
                Answering::events(events, Some(Box::new(guard)))
            }
        }
    }

    pub(crate) fn delete(&self, extra: &HeaderMap) -> Response<Answering> {
        let Some(line) = extra.get(&SESSION_ID).and_then(|id| self.line(id)) else {
            return Answering::empty(StatusCode::NOT_FOUND);
        };
        line.close();
        Answering::empty(StatusCode::NO_CONTENT)
    }

    fn line(&self, id: &HeaderValue) -> Option<Arc<Line>> {
        let line = Arc::clone(self.lines.get(id.to_str().ok()?)?.value());
        line.is_open().then_some(line)
    }

    fn stream_request(&self) -> Result<http::Request<Departing>, UpstreamError> {
        let endpoint = &self.endpoint;
        let mut request = upstream::request(Verb::GET, endpoint.url.clone(), HeaderMap::new(), Departing::default())?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        Ok(request)
    }

    /// Opens a stream, and waits for where to post.
    async fn open(&self, upstream: &Upstream) -> Result<Arc<Line>, UpstreamError> {
        if self.lines.len() >= self.bounds.sessions.get() {
            return Err(UpstreamError::TooManyStreams);
        }
        let mut request = self.stream_request()?;
        self.endpoint.dress(&upstream.agent, upstream.deadline).await?.put_on(request.headers_mut());
        let admitted = self.endpoint.road.health.admit()?;
        let (ready, opened) = oneshot::channel();
        let stream = reading::Stream {
            url: self.endpoint.url.clone(),
            lines: Arc::clone(&self.lines),
            server: Arc::clone(&upstream.server.id),
            bounds: Arc::clone(&self.bounds),
        };
        self.runtime.spawn(stream.run(self.client.clone(), request, ready));
        let patience = upstream.deadline.min(Instant::now() + OPENING);
        let opened = match tokio::time::timeout_at(patience, opened).await {
            Err(_) => Err(UpstreamError::Timeout),
            Ok(Err(_)) => Err(UpstreamError::StreamLost),
            Ok(Ok(opened)) => opened,
        };
        admitted.note(&opened);
        opened
    }
}

/// What a message of ours is, as far as its answer must find its way back.
#[derive(Default)]
struct Said {
    request: Option<u64>,
    method: Option<Box<str>>,
    /// The progress token, as JSON.
    token: Option<Box<str>>,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        let Some(message) = std::str::from_utf8(body).ok().and_then(Object::read) else { return Self::default() };
        let method = message.text("method").map(|method| method.as_ref().into());
        let id = message.get("id").and_then(|id| id.get().parse().ok());
        let meta = message.object("params").and_then(|params| params.object("_meta"));
        let token = meta.and_then(|meta| meta.get("progressToken")).map(|token| token.get().into());
        Self { request: id.filter(|_| method.is_some()), method, token }
    }

    fn is_initialize(&self) -> bool {
        self.request.is_some() && self.method.as_deref() == Some("initialize")
    }

    /// Progress is told under the request's own id, which no other request has.
    fn body(&self, body: Bytes) -> Bytes {
        let (Some(id), Some(_), Ok(text)) = (self.request, &self.token, std::str::from_utf8(&body)) else {
            return body;
        };
        mcp::replace(text, &["params", "_meta", "progressToken"], &id.to_string()).map_or(body, Bytes::from)
    }
}
