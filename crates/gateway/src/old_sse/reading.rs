//! Reads the one stream of a session, for as long as it lasts.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Uri};
use mcp::sse;
use tokio::sync::oneshot;
use url::Url;

use super::Lines;
use super::line::{Delivery, Line};
use crate::answering::{Answering, Piece};
use crate::clients::HttpClient;
use crate::config::Bounds;
use crate::policies::chain;
use crate::session::random_id;
use crate::upstream::{Departing, UpstreamError, content_type, is_type};

/// The longest `endpoint` that a server may name.
const MAX_ENDPOINT: usize = 8 << 10;

/// How often it is looked whether a session is used.
const LOOK: Duration = Duration::from_secs(30);

pub(super) struct Stream {
    pub(super) url: Uri,
    pub(super) lines: Arc<Lines>,
    pub(super) server: Arc<str>,
    pub(super) bounds: Arc<Bounds>,
}

/// The bytes of the stream, as events.
struct Events {
    body: Answering,
    reader: sse::Reader,
    max: usize,
}

type Ready = oneshot::Sender<Result<Arc<Line>, UpstreamError>>;

impl Stream {
    /// Opens the stream, tells that it is ready, and hands out what comes until it ends.
    pub(super) async fn run(self, client: HttpClient, request: Request<Departing>, mut ready: Ready) {
        let opened = tokio::select! {
            opened = self.open(&client, request) => opened,
            () = ready.closed() => return, // nobody waits any more
        };
        let (line, rest, mut events) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                _ = ready.send(Err(error));
                return;
            }
        };
        let key: Box<str> = line.id.to_str().unwrap_or_default().into();
        self.lines.insert(key.clone(), Arc::clone(&line));
        if ready.send(Ok(Arc::clone(&line))).is_ok() {
            tokio::select! {
                why = self.read(&line, rest, &mut events) => {
                    tracing::warn!(server = %self.server, error = %chain(&why), "a session's stream broke off");
                }
                () = line.closed() => {}
                () = self.unused(&line) => tracing::debug!(server = %self.server, "a session that nobody used was ended"),
            }
        }
        line.end();
        self.lines.remove(&key);
    }

    async fn open(
        &self,
        client: &HttpClient,
        request: Request<Departing>,
    ) -> Result<(Arc<Line>, Vec<sse::Event>, Events), UpstreamError> {
        let response = client.request(request).await.map_err(UpstreamError::of_request)?.map(Answering::Http);
        if !response.status().is_success() {
            return Err(UpstreamError::Status(response.status()));
        }
        if !is_type(&response, "text/event-stream") {
            return Err(UpstreamError::ContentType(content_type(&response)));
        }
        let max = self.bounds.event;
        let mut events = Events { body: response.into_body(), reader: sse::Reader::new(max), max };
        loop {
            let mut all = events.next().await?.into_iter();
            if let Some(named) = all.find(|event| event.event.as_deref() == Some("endpoint")) {
                let to = endpoint(&self.url, &named.data.unwrap_or_default())?;
                let id = random_id().ok().and_then(|id| HeaderValue::from_str(&id).ok());
                let id = id.ok_or(UpstreamError::StreamLost)?;
                return Ok((Arc::new(Line::new(id, to)), all.collect(), events));
            }
        }
    }

    /// Only ever ends because the stream did.
    async fn read(&self, line: &Line, rest: Vec<sse::Event>, events: &mut Events) -> UpstreamError {
        let mut came = rest;
        loop {
            for delivery in came.into_iter().filter_map(|event| line.route(event)) {
                self.deliver(delivery).await;
            }
            came = match events.next().await {
                Ok(came) => came,
                Err(why) => return why,
            };
        }
    }

    /// A client that takes nothing holds up its own session only, and not for longer than its connection lasts.
    async fn deliver(&self, Delivery { to, event }: Delivery) {
        if tokio::time::timeout(self.bounds.write_timeout, to.send(Ok(event))).await.is_err() {
            tracing::debug!(server = %self.server, "a client did not take what the server said");
        }
    }

    async fn unused(&self, line: &Line) {
        let span = self.bounds.session_idle * 2; // the gateway's own session ends first, and takes this one with it
        let mut looks = tokio::time::interval(LOOK.min(span));
        while !line.is_idle(span) {
            looks.tick().await;
        }
    }
}

impl Events {
    /// What came next; the stream's end is an error.
    async fn next(&mut self) -> Result<Vec<sse::Event>, UpstreamError> {
        let mut events = Vec::new();
        match self.body.next().await.ok_or(UpstreamError::StreamLost)?? {
            Piece::Event(event) => events.push(event),
            Piece::Bytes(bytes) => {
                let read = self.reader.push(&bytes, |event| events.push(event));
                read.map_err(|_| UpstreamError::TooLarge(self.max))?;
            }
        }
        Ok(events)
    }
}

/// Where a server wants messages posted.
///
/// INVARIANT: nowhere but at its own origin, whoever wrote the event: our credentials go there.
pub(super) fn endpoint(base: &Uri, said: &[u8]) -> Result<Uri, UpstreamError> {
    let foreign = || UpstreamError::Endpoint;
    let said = std::str::from_utf8(said).ok().filter(|said| said.len() <= MAX_ENDPOINT).ok_or_else(foreign)?;
    let base = Url::parse(&base.to_string()).map_err(|_| foreign())?;
    let mut url = base.join(said).map_err(|_| foreign())?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    if url.origin() != base.origin() || !anonymous {
        return Err(foreign());
    }
    url.set_fragment(None);
    url.as_str().parse().map_err(|_| foreign())
}
