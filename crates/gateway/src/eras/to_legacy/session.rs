//! One session with a legacy server, as the pool keeps it: what the server said of itself, and what is under way in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use mcp::{Answer, Era, Method, Object, Params, Revision, ServerMessage, Verdict, Writer};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::level::Level;
use super::offers::Offers;
use super::source::unless_lost;
use super::tools::TaskTools;
use crate::agent::Agent;
use crate::answering::Answering;
use crate::catalogue::Catalogue;
use crate::era::first_answer;
use crate::reply::SESSION_ID;
use crate::upstream::{PROTOCOL_VERSION, Upstream, UpstreamError, is_type};

/// Small messages that nobody waits for (cancellations, declined requests, answers to `ping`), for each session at a time; and how
/// long each may take.
const MAX_ASIDES: usize = 64;
const ASIDE: Duration = Duration::from_secs(10);

/// What the client's name is to a server when it does not say.
const NOBODY: &str = concat!(r#"{"name":"toolgate","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

pub(crate) struct Session {
    id: Option<HeaderValue>,
    pub(super) revision: Revision,
    /// JSON text, as the server said it.
    pub(super) capabilities: Box<str>,
    pub(super) server_info: Option<Box<str>>,
    pub(super) instructions: Option<Box<str>>,
    /// What this session's server lists.
    pub(crate) catalogue: Catalogue,
    pub(super) task_tools: TaskTools,
    pub(super) level: tokio::sync::Mutex<Option<Level>>,
    /// Has it a stream of its own? None before that was tried.
    pub(super) hearing: watch::Sender<Option<bool>>,
    flights: Mutex<BTreeMap<u64, Wing>>,
    asides: Arc<Semaphore>,
}

/// A request under way, as far as messages on the session's own stream concern it.
struct Wing {
    /// May the server ask its client for something?
    may_ask: bool,
    messages: mpsc::Sender<Bytes>,
}

impl Wing {
    /// A request that became a task is known by two ids.
    fn is_of(&self, other: &Self) -> bool {
        self.messages.same_channel(&other.messages)
    }
}

/// INVARIANT: what may be of several requests is of none.
fn only(flights: &BTreeMap<u64, Wing>, asks: bool) -> Option<&Wing> {
    let mut able = flights.values().filter(|wing| wing.may_ask || !asks);
    let first = able.next()?;
    able.all(|other| other.is_of(first)).then_some(first)
}

/// Keeps a request known to its session.
pub(super) struct Aloft {
    session: Arc<Session>,
    id: u64,
}

impl Drop for Aloft {
    fn drop(&mut self) {
        self.session.flights().remove(&self.id);
    }
}

impl Session {
    /// Introduces a client that offers this.
    pub(super) async fn open(upstream: &Upstream, offers: Offers, info: Option<&str>) -> Result<Self, UpstreamError> {
        let mut params = Params::default();
        params.add("protocolVersion", mcp::string(Revision::LATEST_LEGACY.as_str()));
        params.add("capabilities", offers.to_json());
        params.add("clientInfo", info.unwrap_or(NOBODY).to_owned());
        let hello = Writer::request(upstream.server.next_id(), Method::Initialize, &params);
        let response = upstream.post(HeaderMap::new(), hello, None).await.inspect_err(|why| {
            if why.is_the_end() {
                upstream.server.era.forget();
            }
        })?;
        if !response.status().is_success() {
            upstream.server.era.forget();
            return Err(UpstreamError::Status(response.status()));
        }
        let id = response.headers().get(SESSION_ID).cloned();
        let answer = read(upstream, response).await?;
        let session = Self::agreed(id, &answer).ok_or_else(|| {
            upstream.server.era.forget(); // not legacy after all
            UpstreamError::NotAnAnswer
        })?;
        let announced = Writer::notification(mcp::Notice::Initialized, &Params::default());
        let response = upstream.post(session.headers(), announced, None).await?;
        match response.status().is_success() {
            true => Ok(session),
            false => Err(UpstreamError::Status(response.status())),
        }
    }

    fn agreed(id: Option<HeaderValue>, answer: &[u8]) -> Option<Self> {
        let Some(ServerMessage::Answer(Answer { verdict: Verdict::Result(result), .. })) = ServerMessage::read(answer)
        else {
            return None;
        };
        let result = Object::read(result.get())?;
        let revision = Revision::named(&result.text("protocolVersion")?)?;
        let text = |key| result.get(key).map(|raw| raw.get().into());
        let object = |key| result.object(key).and_then(|_| text(key));
        (revision.era() == Era::Legacy).then(|| Self {
            id,
            revision,
            capabilities: object("capabilities").unwrap_or_else(|| "{}".into()),
            server_info: object("serverInfo"),
            instructions: result.text("instructions").and_then(|_| text("instructions")),
            catalogue: Catalogue::default(),
            task_tools: TaskTools::default(),
            level: tokio::sync::Mutex::default(),
            hearing: watch::Sender::default(),
            flights: Mutex::default(),
            asides: Arc::new(Semaphore::new(MAX_ASIDES)),
        })
    }

    /// The headers of every request within it.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(self.revision.as_str()));
        if let Some(id) = &self.id {
            headers.insert(SESSION_ID, id.clone());
        }
        headers
    }

    /// Is there something to end?
    pub(super) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Does the server have this capability? `path` goes through objects; a last `false` is none.
    pub(super) fn can(&self, path: &[&str]) -> bool {
        let Some((last, chain)) = path.split_last() else { return false };
        let mut object = Object::read(&self.capabilities);
        for step in chain {
            object = object.and_then(|object| object.object(step));
        }
        object.and_then(|object| object.get(last)).is_some_and(|value| !matches!(value.get(), "false" | "null"))
    }

    /// A request of our own: its answer; 404 if the session is gone, whatever the server says to that.
    pub(super) async fn ask(
        &self,
        upstream: &Upstream,
        method: Method,
        params: &Params<'_>,
    ) -> Result<Vec<u8>, UpstreamError> {
        let message = Writer::request(upstream.server.next_id(), method, params);
        let response = upstream.post(self.headers(), message, None).await?;
        match unless_lost(self, upstream, response).await? {
            Some(response) => read(upstream, response).await,
            None => Err(UpstreamError::Status(StatusCode::NOT_FOUND)),
        }
    }

    /// Makes the server tell what a request wants to be told: as much as the one that wants most.
    pub(super) async fn log_from(&self, wanted: Option<Level>, upstream: &Upstream) -> Result<(), UpstreamError> {
        let Some(wanted) = wanted.filter(|_| self.can(&["logging"])) else { return Ok(()) };
        let mut level = upstream.turn(self.level.lock()).await?;
        if level.is_none_or(|level| wanted < level) {
            let mut params = Params::default();
            params.add("level", mcp::string(wanted.as_str()));
            // A server that does not keep to it tells too much or too little; the call itself goes on.
            if self.ask(upstream, Method::SetLevel, &params).await.is_ok() {
                *level = Some(wanted);
            }
        }
        Ok(())
    }

    /// Posts what has no answer, beside everything else. A few at a time: what is more is dropped, and only costs the server.
    pub(super) fn aside(self: &Arc<Self>, upstream: &Upstream, message: Vec<u8>) {
        let Ok(place) = Arc::clone(&self.asides).try_acquire_owned() else {
            tracing::warn!(server = %upstream.server.id, "too many small messages at once: one was dropped");
            return;
        };
        let Ok(runtime) = Handle::try_current() else { return }; // the gateway is stopping
        let (session, upstream) = (Arc::clone(self), Upstream { deadline: Instant::now() + ASIDE, ..upstream.clone() });
        runtime.spawn(async move {
            if let Err(error) = upstream.post(session.headers(), message, None).await {
                tracing::debug!(server = %upstream.server.id, error = %crate::policies::chain(&error), "a small message did not arrive");
            }
            drop(place);
        });
    }

    /// Makes a request known: what the server says of it on the session's own stream goes to `messages`.
    pub(super) fn aloft(self: &Arc<Self>, id: u64, may_ask: bool, messages: mpsc::Sender<Bytes>) -> Aloft {
        self.flights().insert(id, Wing { may_ask, messages });
        Aloft { session: Arc::clone(self), id }
    }

    /// Hands a message to the request that it belongs to: by its id; where it has none, to the only one that it can be about. If there
    /// are more, nobody can say whose it is, and nobody gets it.
    pub(super) fn route(&self, about: Option<u64>, asks: bool, message: &[u8]) -> bool {
        let flights = self.flights();
        let wing = match about {
            Some(id) => flights.get(&id),
            None => only(&flights, asks),
        };
        // Full: whoever reads nothing is told nothing more.
        wing.is_some_and(|wing| wing.messages.try_send(Bytes::copy_from_slice(message)).is_ok())
    }

    /// Is it this request that a question, or a message, must be about, since it can be about no other?
    pub(super) fn is_only(&self, id: u64, asks: bool) -> bool {
        let flights = self.flights();
        only(&flights, asks).zip(flights.get(&id)).is_some_and(|(only, wing)| only.is_of(wing))
    }

    /// What a question that is withdrawn is about, its id says: whoever has it will know.
    pub(super) fn withdraw(&self, message: &[u8]) {
        for wing in self.flights().values().filter(|wing| wing.may_ask) {
            _ = wing.messages.try_send(Bytes::copy_from_slice(message)); // full: it asks too late, and its answer goes nowhere
        }
    }

    fn flights(&self) -> MutexGuard<'_, BTreeMap<u64, Wing>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one answer that a response holds.
pub(super) async fn read(upstream: &Upstream, response: http::Response<Answering>) -> Result<Vec<u8>, UpstreamError> {
    match is_type(&response, "text/event-stream") {
        true => first_answer(upstream, response.into_body()).await,
        false if is_type(&response, "application/json") => Ok(upstream.read(response.into_body()).await?.to_vec()),
        false => Err(UpstreamError::Status(response.status())),
    }
}

/// Ends it at the server: a courtesy.
pub(super) async fn end(session: Arc<Session>, upstream: Upstream, agent: Agent) {
    let upstream = Upstream { deadline: Instant::now() + ASIDE, ..upstream };
    if let Err(error) = upstream.delete(session.headers()).await {
        tracing::debug!(server = %upstream.server.id, agent = %agent.key, error = %crate::policies::chain(&error), "a session was not ended");
    }
}
