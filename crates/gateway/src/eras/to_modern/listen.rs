//! The GET stream of a legacy session, fed by `subscriptions/listen`. Upstream listens only while the client does: before, there is
//! nobody to tell.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use mcp::{Method, Object, Params, ServerMessage, ServerNotice, Writer, meta, sse};
use policy::Subject;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::ToModern;
use crate::answering::{Answering, Piece};
use crate::era::modern_headers;
use crate::pipeline::{Entry, Pipeline};
use crate::reply::{self, Reply};
use crate::session::Session;
use crate::upstream::{Upstream, UpstreamError, is_type};

/// Resources that one session may be subscribed to.
const MAX_SUBSCRIPTIONS: usize = 256;

/// Notices that wait for a slow client; then the server waits.
const WAITING: usize = 16;

/// A stream that broke is opened again after this long, and after twice as long each time it fails, up to a limit.
const BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

type Uris = BTreeSet<Box<str>>;

/// What the session is subscribed to, and the stream that tells.
pub(super) struct Subscriptions {
    uris: watch::Sender<Uris>,
    /// Dropping it ends the stream. A session has one: the latest.
    stream: Mutex<Option<oneshot::Sender<()>>>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { uris: watch::Sender::new(Uris::new()), stream: Mutex::default() }
    }
}

impl Subscriptions {
    /// False when there are too many.
    pub(super) fn add(&self, uri: &str) -> bool {
        let mut room = true;
        self.uris.send_if_modified(|uris| {
            room = uris.contains(uri) || uris.len() < MAX_SUBSCRIPTIONS;
            room && uris.insert(uri.into())
        });
        room
    }

    pub(super) fn remove(&self, uri: &str) {
        self.uris.send_if_modified(|uris| uris.remove(uri));
    }

    pub(super) fn end(&self) {
        self.replace(None);
    }

    /// The stream that was there ends.
    fn replace(&self, stream: Option<oneshot::Sender<()>>) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = stream;
    }
}

impl Pipeline {
    /// GET: what the server has to say beside its answers.
    pub(crate) fn translated_stream(
        &self,
        entry: &Entry,
        session: Arc<Session>,
        translated: &Arc<ToModern>,
        upstream: Upstream,
    ) -> Reply {
        if !translated.serves.listens() {
            return reply::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let (feed, events) = mpsc::channel(WAITING);
        let (stream, ended) = oneshot::channel();
        translated.subscriptions.replace(Some(stream));
        let listener = Listener { translated: Arc::clone(translated), upstream: upstream.clone(), feed };
        tokio::spawn(listener.run(translated.subscriptions.uris.subscribe(), ended));
        self.own_stream(entry, session, upstream, Answering::events(events, None).into_body())
    }
}

/// Keeps one `subscriptions/listen` open for what the session wants to hear.
#[derive(Clone)]
struct Listener {
    translated: Arc<ToModern>,
    upstream: Upstream,
    feed: mpsc::Sender<Result<sse::Event, UpstreamError>>,
}

/// A stream of the server's, and what was read of it.
struct Heard {
    body: Answering,
    reader: sse::Reader,
    since: Instant,
}

type Opening = Pin<Box<dyn Future<Output = Result<Heard, UpstreamError>> + Send>>;

impl Listener {
    /// Until the client hangs up, or another stream takes the place of this one.
    async fn run(self, uris: watch::Receiver<Uris>, ended: oneshot::Receiver<()>) {
        let hung_up = self.feed.clone();
        tokio::select! {
            () = self.listen(uris) => {}
            () = hung_up.closed() => {}
            _ = ended => {}
        }
    }

    async fn listen(self, mut uris: watch::Receiver<Uris>) {
        let mut failures = 0;
        let mut heard: Option<Heard> = None;
        let mut opening = self.opening(&mut uris, Duration::ZERO);
        loop {
            // INVARIANT: the old stream is heard until the new one is acknowledged: nothing is missed between them
            let over = tokio::select! {
                opened = wait(&mut opening) => {
                    opening = None;
                    match opened {
                        Ok(opened) => {
                            heard = Some(opened);
                            false
                        }
                        Err(error) => {
                            tracing::debug!(server = %self.upstream.server.id, error = %crate::policies::chain(&error), "cannot listen");
                            true
                        }
                    }
                }
                events = next(&mut heard) => match events {
                    Some(events) => {
                        self.pass(&events).await;
                        false
                    }
                    None => {
                        let lasted = heard.take().is_some_and(|heard| heard.since.elapsed() >= MAX_BACKOFF);
                        failures = if lasted { 0 } else { failures };
                        opening.is_none()
                    }
                },
                _ = uris.changed() => {
                    opening = self.opening(&mut uris, Duration::ZERO);
                    heard = heard.filter(|_| opening.is_some());
                    false
                }
            };
            if over {
                let wait = BACKOFF * 2_u32.saturating_pow(failures);
                failures = (failures + 1).min(8);
                opening = self.opening(&mut uris, wait.min(MAX_BACKOFF));
            }
        }
    }

    /// Asks after a while for what the session wants to hear; not at all, when that is nothing.
    fn opening(&self, uris: &mut watch::Receiver<Uris>, after: Duration) -> Option<Opening> {
        let wanted = self.wanted(&uris.borrow_and_update())?;
        let listener = self.clone();
        Some(Box::pin(async move {
            tokio::time::sleep(after).await;
            listener.open(wanted).await
        }))
    }

    /// Returns when the server acknowledged.
    async fn open(self, wanted: String) -> Result<Heard, UpstreamError> {
        let upstream = self.upstream.renewed();
        let mut params = Params::default();
        params.add("notifications", wanted);
        self.translated.dress_params(&mut params, false);
        let body = Writer::request(upstream.server.next_id(), Method::Listen, &params);
        let response = upstream.post(modern_headers(Method::Listen), body, None).await?;
        if !response.status().is_success() {
            return Err(UpstreamError::Status(response.status()));
        }
        if !is_type(&response, "text/event-stream") {
            return Err(UpstreamError::NotAnAnswer);
        }
        let reader = sse::Reader::new(upstream.bounds.event);
        let mut heard = Heard { body: response.into_body(), reader, since: Instant::now() };
        loop {
            let events = upstream.turn(heard.next()).await?.ok_or(UpstreamError::NotAnAnswer)?;
            self.pass(&events).await;
            if events.iter().any(|data| is(data, ServerNotice::Acknowledged)) {
                return Ok(heard);
            }
        }
    }

    /// What to ask for, as JSON text: what the server offers, and of the resources those that the policy of now allows.
    fn wanted(&self, uris: &Uris) -> Option<String> {
        let serves = &self.translated.serves;
        let bound = self.upstream.policy().current();
        let allowed = uris.iter().filter(|uri| bound.policy.lists(Subject::Resource(uri)));
        let uris: Vec<String> = allowed.map(|uri| mcp::string(uri)).collect();
        let uris = format!("[{}]", uris.join(","));
        let mut wanted = Vec::new();
        for (key, value, offered) in [
            ("toolsListChanged", "true", serves.tools_changed),
            ("promptsListChanged", "true", serves.prompts_changed),
            ("resourcesListChanged", "true", serves.resources_changed),
            ("resourceSubscriptions", &uris, uris != "[]"),
        ] {
            if offered {
                wanted.push((key, value));
            }
        }
        (!wanted.is_empty()).then(|| Object::default().amended(&[], &wanted))
    }

    /// Notices for the client, in its words. What the policy lets through is decided behind this.
    async fn pass(&self, events: &[Vec<u8>]) {
        for data in events {
            let Some(ServerMessage::Notification { method, params }) = ServerMessage::read(data) else { continue };
            match ServerNotice::named(&method) {
                Some(ServerNotice::ToolsChanged) => self.upstream.server.catalogue.forget(),
                Some(ServerNotice::PromptsChanged | ServerNotice::ResourcesChanged | ServerNotice::ResourceUpdated) => {
                }
                Some(
                    ServerNotice::Cancelled
                    | ServerNotice::Progress
                    | ServerNotice::Message
                    | ServerNotice::ElicitationComplete
                    | ServerNotice::TaskStatus
                    | ServerNotice::Tasks
                    | ServerNotice::Acknowledged,
                )
                | None => continue,
            }
            let params = params.and_then(|params| Object::read(params.get()));
            let params = params.map(|params| without_subscription(&params));
            let message = Writer::server_message(None, &method, params.as_deref());
            let event = sse::Event { data: Some(message), ..sse::Event::default() };
            _ = self.feed.send(Ok(event)).await; // that the client hung up ends all of this elsewhere
        }
    }
}

/// Pending where there is nothing to wait for.
async fn wait(opening: &mut Option<Opening>) -> Result<Heard, UpstreamError> {
    match opening {
        Some(opening) => opening.await,
        None => std::future::pending().await,
    }
}

/// The data of the next events; none when the stream is over, pending where there is no stream.
async fn next(heard: &mut Option<Heard>) -> Option<Vec<Vec<u8>>> {
    match heard {
        Some(heard) => heard.next().await,
        None => std::future::pending().await,
    }
}

impl Heard {
    /// The data of the next events; none at the end, however it came.
    async fn next(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut events = Vec::new();
        match self.body.next().await?.ok()? {
            Piece::Event(event) => events.push(event),
            Piece::Bytes(data) => self.reader.push(&data, |event| events.push(event)).ok()?,
        }
        Some(events.into_iter().filter_map(|event| event.data).collect())
    }
}

fn is(data: &[u8], notice: ServerNotice) -> bool {
    matches!(ServerMessage::read(data), Some(ServerMessage::Notification { method, .. }) if method == notice.as_str())
}

/// Legacy knows no ids of subscriptions.
fn without_subscription(params: &Object<'_>) -> String {
    let Some(meta) = params.object("_meta") else { return params.amended(&[], &[]) };
    let kept = meta.amended(&[meta::SUBSCRIPTION_ID], &[]);
    match kept == "{}" {
        true => params.amended(&["_meta"], &[]),
        false => params.amended(&[], &[("_meta", &kept)]),
    }
}
