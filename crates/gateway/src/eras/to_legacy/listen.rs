//! `subscriptions/listen` over a legacy session: its one event stream, fanned out to whoever listens, and subscriptions counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use mcp::{Id, Method, Object, Params, ServerMessage, ServerMethod, ServerNotice, Verdict, Writer, meta, sse};
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::flight::{QUEUE, declined, event};
use super::parking::Out;
use super::pool::Slot;
use super::session::Session;
use super::tasks;
use crate::answering::{Answering, Piece};
use crate::refusal::Refusal;
use crate::upstream::{LAST_EVENT_ID, Upstream, UpstreamError, is_type};

/// Listeners of one session, and resources that one of them may watch.
const MAX_LISTENERS: usize = 64;
const MAX_URIS: usize = 256;

/// The pause before a stream is asked for again: doubled each time in vain.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Tasks that are looked up at a time, because the server said that they changed.
const MAX_LOOKUPS: usize = 8;

pub(super) struct Hub {
    listeners: Mutex<BTreeMap<u64, Listener>>,
    /// How many listeners watch a resource. Held while telling the server.
    uris: tokio::sync::Mutex<BTreeMap<Box<str>, usize>>,
    ear: Mutex<Option<AbortHandle>>,
    lookups: Arc<Semaphore>,
}

struct Listener {
    wants: Wants,
    out: Out,
}

#[derive(Clone, Debug, Default)]
struct Wants {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: BTreeSet<Box<str>>,
    tasks: BTreeSet<Box<str>>,
}

/// Ends with its client: then nobody listens any more, and the server is told.
struct Listening {
    slot: Arc<Slot>,
    upstream: Upstream,
    ours: u64,
    watched: Vec<Box<str>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            listeners: Mutex::default(),
            uris: tokio::sync::Mutex::default(),
            ear: Mutex::default(),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(ear) = self.ear().take() {
            ear.abort();
        }
    }
}

impl Hub {
    fn listeners(&self) -> MutexGuard<'_, BTreeMap<u64, Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ear(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.ear.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_listened_to(&self) -> bool {
        !self.listeners().is_empty()
    }

    /// Whoever does not take what it is told is told nothing more: its stream ends, and it may begin anew.
    fn tell(&self, notice: ServerNotice, params: Option<&str>, wanted: impl Fn(&Wants) -> bool) {
        self.listeners().retain(|ours, listener| {
            let message = || subscribed(*ours, notice, params);
            !wanted(&listener.wants) || listener.out.try_send(Ok(event(message()))).is_ok()
        });
    }
}

impl Wants {
    /// What of it the server can do.
    fn granted(wanted: Option<&str>, session: &Session) -> Self {
        let wanted = wanted.and_then(Object::read).unwrap_or_default();
        let asks = |key: &str| wanted.get(key).is_some_and(|value| value.get() == "true");
        let names = |key: &str| {
            let names = wanted.get(key).and_then(|names| serde_json::from_str::<Vec<Box<str>>>(names.get()).ok());
            names.unwrap_or_default().into_iter().take(MAX_URIS).collect()
        };
        let can = |what: &str| session.can(&[what, "listChanged"]);
        Self {
            tools: asks("toolsListChanged") && can("tools"),
            prompts: asks("promptsListChanged") && can("prompts"),
            resources: asks("resourcesListChanged") && can("resources"),
            uris: if session.can(&["resources", "subscribe"]) {
                names("resourceSubscriptions")
            } else {
                BTreeSet::new()
            },
            tasks: if session.can(&["tasks"]) { names("taskIds") } else { BTreeSet::new() },
        }
    }

    fn to_json(&self) -> String {
        let mut members = Vec::new();
        for (key, wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if wanted {
                members.push(format!("\"{key}\":true"));
            }
        }
        for (key, names) in [("resourceSubscriptions", &self.uris), ("taskIds", &self.tasks)] {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| mcp::string(name)).collect();
                members.push(format!("\"{key}\":[{}]", names.join(",")));
            }
        }
        format!("{{{}}}", members.join(","))
    }

    /// An update may be about a part of what is watched (2025-11-25, "Resource Updated").
    fn watches(&self, uri: &str) -> bool {
        let is_part =
            |whole: &str| uri.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.uris.iter().any(|whole| is_part(whole.strip_suffix('/').unwrap_or(whole)))
    }
}

impl Slot {
    /// A stream for the client, acknowledged first.
    pub(super) async fn listen(
        self: &Arc<Self>,
        session: &Arc<Session>,
        upstream: &Upstream,
        ours: u64,
        params: &Params<'_>,
    ) -> Result<Response<Answering>, Refusal> {
        if self.hub.listeners().len() >= MAX_LISTENERS {
            return Err(Refusal::TooManyOpen);
        }
        let mut wants = Wants::granted(params.get("notifications"), session);
        let (slot, way) = (Arc::clone(self), upstream.clone());
        let mut listening = Listening { slot, upstream: way, ours, watched: Vec::new() };
        for uri in std::mem::take(&mut wants.uris) {
            if self.watch(session, upstream, &uri).await {
                listening.watched.push(uri.clone());
                wants.uris.insert(uri);
            }
        }
        let (out, events) = mpsc::channel(QUEUE);
        let granted = format!("{{\"notifications\":{}}}", wants.to_json());
        _ = out.try_send(Ok(event(subscribed(ours, ServerNotice::Acknowledged, Some(&granted)))));
        self.hub.listeners().insert(ours, Listener { wants, out });
        self.hear(upstream);
        Ok(Answering::events(events, Some(Box::new(listening))))
    }

    async fn watch(&self, session: &Arc<Session>, upstream: &Upstream, uri: &str) -> bool {
        let mut uris = self.hub.uris.lock().await;
        let known = uris.get_mut(uri);
        if let Some(count) = known {
            *count += 1;
            return true;
        }
        let watched = subscription(session, upstream, Method::Subscribe, uri).await;
        if watched {
            uris.insert(uri.into(), 1);
        }
        watched
    }

    async fn unwatch(self: &Arc<Self>, upstream: &Upstream, uri: &str) {
        let mut uris = self.hub.uris.lock().await;
        match uris.get_mut(uri) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                uris.remove(uri);
                if let Some(session) = self.current() {
                    subscription(&session, upstream, Method::Unsubscribe, uri).await;
                }
            }
            None => {}
        }
    }

    /// Opens the session's own stream, unless it is open.
    pub(super) fn hear(self: &Arc<Self>, upstream: &Upstream) {
        let mut ear = self.hub.ear();
        if ear.as_ref().is_none_or(AbortHandle::is_finished) {
            let listening = ear_of(Arc::downgrade(self), upstream.clone());
            *ear = Some(tokio::spawn(listening).abort_handle());
        }
    }

    /// One message of the session's own stream.
    fn heard(self: &Arc<Self>, session: &Arc<Session>, upstream: &Upstream, message: &[u8]) {
        match ServerMessage::read(message) {
            Some(ServerMessage::Answer(answer)) => {
                if let Some(id) = answer.id.and_then(|id| id.ours()) {
                    session.route(Some(id), false, message);
                }
            }
            Some(ServerMessage::Request { id, method, .. }) => match ServerMethod::named(&method) {
                Some(ServerMethod::Ping) => session.aside(upstream, Writer::result(id.as_json(), "{}")),
                Some(_) if session.route(None, true, message) => {}
                Some(_) | None => session.aside(upstream, declined(id.as_json())),
            },
            Some(ServerMessage::Notification { method, params }) => {
                let params = params.map(RawValue::get);
                let given = params.and_then(Object::read).unwrap_or_default();
                match ServerNotice::named(&method) {
                    Some(ServerNotice::Progress) => {
                        let token = given.get("progressToken").and_then(Id::read).and_then(|token| token.ours());
                        _ = token.is_some_and(|token| session.route(Some(token), false, message));
                    }
                    Some(ServerNotice::Message) => _ = session.route(None, false, message),
                    Some(ServerNotice::Cancelled) => _ = session.route(None, true, message),
                    Some(notice) => self.notice(session, upstream, notice, params),
                    None => {}
                }
            }
            None => {}
        }
    }

    /// What is for whoever listens, on whichever stream it came.
    pub(super) fn notice(
        self: &Arc<Self>,
        session: &Arc<Session>,
        upstream: &Upstream,
        notice: ServerNotice,
        params: Option<&str>,
    ) {
        let given = params.and_then(Object::read).unwrap_or_default();
        match notice {
            ServerNotice::ToolsChanged => {
                session.catalogue.forget();
                session.task_tools.forget();
                self.hub.tell(notice, params, |wants| wants.tools);
            }
            ServerNotice::PromptsChanged => self.hub.tell(notice, params, |wants| wants.prompts),
            ServerNotice::ResourcesChanged => self.hub.tell(notice, params, |wants| wants.resources),
            ServerNotice::ResourceUpdated => {
                if let Some(uri) = given.text("uri") {
                    self.hub.tell(notice, params, |wants| wants.watches(&uri));
                }
            }
            ServerNotice::TaskStatus => {
                if let Some(id) = given.text("taskId") {
                    self.look_up(session, upstream, &id);
                }
            }
            ServerNotice::Cancelled
            | ServerNotice::Progress
            | ServerNotice::Message
            | ServerNotice::ElicitationComplete
            | ServerNotice::Tasks
            | ServerNotice::Acknowledged => {}
        }
    }

    /// A modern notification has the whole task in it, with its result.
    fn look_up(self: &Arc<Self>, session: &Arc<Session>, upstream: &Upstream, id: &str) {
        if !self.hub.listeners().values().any(|listener| listener.wants.tasks.contains(id)) {
            return;
        }
        let Ok(place) = Arc::clone(&self.hub.lookups).try_acquire_owned() else { return };
        let (slot, session, upstream) = (Arc::clone(self), Arc::clone(session), upstream.renewed());
        let id: Box<str> = id.into();
        tokio::spawn(async move {
            if let Ok(Ok(task)) = tasks::detail(&session, &upstream, &id).await {
                slot.hub.tell(ServerNotice::Tasks, Some(&task), |wants| wants.tasks.contains(&id));
            }
            drop(place);
        });
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.slot.hub.listeners().remove(&self.ours);
        let Ok(runtime) = Handle::try_current() else { return }; // the gateway is stopping
        let (slot, watched) = (Arc::clone(&self.slot), std::mem::take(&mut self.watched));
        let upstream = self.upstream.renewed();
        runtime.spawn(async move {
            for uri in watched {
                slot.unwatch(&upstream, &uri).await;
            }
        });
    }
}

/// Tells the server about a resource: did it agree?
async fn subscription(session: &Session, upstream: &Upstream, method: Method, uri: &str) -> bool {
    let mut params = Params::default();
    params.add("uri", mcp::string(uri));
    let answer = session.ask(upstream, method, &params).await;
    let answer = answer.as_deref().ok().and_then(ServerMessage::read);
    matches!(answer, Some(ServerMessage::Answer(answer)) if matches!(answer.verdict, Verdict::Result(_)))
}

/// A notification for the one who listens as `ours`.
fn subscribed(ours: u64, notice: ServerNotice, params: Option<&str>) -> Vec<u8> {
    let params = params.and_then(Object::read).unwrap_or_default();
    let ours = ours.to_string();
    let meta = params.object("_meta").unwrap_or_default().amended(&[], &[(meta::SUBSCRIPTION_ID, &ours)]);
    Writer::server_message(None, notice.as_str(), Some(&params.amended(&[], &[("_meta", &meta)])))
}

/// Reads the session's own stream as long as somebody needs it.
async fn ear_of(slot: Weak<Slot>, upstream: Upstream) {
    let mut pause = FIRST_PAUSE;
    let mut known: Option<(Arc<Session>, Option<HeaderValue>)> = None;
    loop {
        let Some(there) = slot.upgrade() else { return };
        let way = upstream.renewed();
        let session = match there.hub.is_listened_to() {
            true => there.session(&way, None).await.ok(),
            false => there.current(),
        };
        let mut opened = false;
        if let Some(session) = session {
            let last = match known.take() {
                Some((old, last)) if Arc::ptr_eq(&old, &session) => last,
                Some(_) => {
                    watch_again(&there, &session, &way).await;
                    None
                }
                None => None,
            };
            match open(&session, &way, last.clone()).await {
                Ok(Opened::Stream(body)) => {
                    (opened, pause) = (true, FIRST_PAUSE);
                    drop(there); // only the server and the clients keep it open
                    let last = read(&slot, &session, &upstream, body, last).await;
                    known = Some((session, last));
                }
                Ok(Opened::Doubt) => {
                    if is_lost(&session, &way).await {
                        there.lost(&session);
                    }
                    known = Some((session, None));
                }
                Ok(Opened::Nothing) | Err(_) => known = Some((session, last)),
            }
        }
        let Some(there) = slot.upgrade() else { return };
        {
            let mut ear = there.hub.ear();
            let needed =
                there.hub.is_listened_to() || (opened && !there.offers.is_empty() && there.current().is_some());
            if !needed {
                *ear = None;
                return;
            }
        }
        drop(there);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What a request for the session's stream gave.
enum Opened {
    Stream(Answering),
    /// There is none; or the session is gone, which many servers answer alike: a `ping` tells.
    Doubt,
    Nothing,
}

async fn open(session: &Session, upstream: &Upstream, last: Option<HeaderValue>) -> Result<Opened, UpstreamError> {
    let mut headers = session.headers();
    if let Some(last) = last {
        headers.insert(LAST_EVENT_ID, last);
    }
    let response = upstream.get(headers).await?;
    Ok(match response.status() {
        StatusCode::OK if is_type(&response, "text/event-stream") => Opened::Stream(response.into_body()),
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if session.has_id() => Opened::Doubt,
        _ => Opened::Nothing,
    })
}

async fn is_lost(session: &Session, upstream: &Upstream) -> bool {
    let asked = session.ask(upstream, Method::Ping, &Params::default()).await;
    matches!(asked, Err(UpstreamError::Status(StatusCode::NOT_FOUND)))
}

async fn watch_again(slot: &Arc<Slot>, session: &Session, upstream: &Upstream) {
    let uris = slot.hub.uris.lock().await;
    for uri in uris.keys() {
        subscription(session, upstream, Method::Subscribe, uri).await;
    }
}

/// Until the stream ends, or nobody has the slot any more; the id of the last event.
async fn read(
    slot: &Weak<Slot>,
    session: &Arc<Session>,
    upstream: &Upstream,
    mut body: Answering,
    mut last: Option<HeaderValue>,
) -> Option<HeaderValue> {
    let mut reader = sse::Reader::new(upstream.bounds.event);
    while let Some(Ok(piece)) = body.next().await {
        let mut events = Vec::new();
        match piece {
            Piece::Event(event) => events.push(event),
            Piece::Bytes(bytes) => {
                if reader.push(&bytes, |event| events.push(event)).is_err() {
                    break;
                }
            }
        }
        for event in events {
            if let Some(id) = event.id.as_deref().filter(|id| !id.is_empty()) {
                last = HeaderValue::from_str(id).ok();
            }
            let named = event.event.is_some_and(|name| name != "message");
            if let Some(message) = event.data.filter(|data| !data.is_empty() && !named) {
                slot.upgrade()?.heard(session, upstream, &message);
            }
        }
    }
    last
}
