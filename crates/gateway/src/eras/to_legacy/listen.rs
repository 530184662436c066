//! `subscriptions/listen` over a legacy session: its one event stream, fanned out to whoever listens, and subscriptions counted.

mod ear;
mod hub;

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use mcp::{Id, Method, Object, Params, ServerMessage, ServerMethod, ServerNotice, Verdict, Writer};
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::flight::{declined, event};
use super::pool::Slot;
use super::session::Session;
use super::tasks;
use crate::answering::Answering;
use crate::refusal::Refusal;
use crate::upstream::{Upstream, UpstreamError};
pub(super) use hub::Hub;
use hub::{Listener, Wants, subscribed};

/// Listeners of one session, and resources that one of them may watch.
const MAX_LISTENERS: usize = 64;
const MAX_URIS: usize = 256;

/// How long the first call in a session waits for the session's stream.
const OPENED: Duration = Duration::from_secs(1);

/// Notices that wait for one listener.
const QUEUE: usize = 16;

/// Tasks that are looked up at a time, because the server said that they changed.
const MAX_LOOKUPS: usize = 8;

/// Ends with its client: then nobody listens any more, and the server is told.
struct Listening {
    slot: Arc<Slot>,
    upstream: Upstream,
    ours: u64,
    watched: Vec<Box<str>>,
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
        let mut session = Arc::clone(session);
        for uri in std::mem::take(&mut wants.uris) {
            let watched = match self.watch(&session, upstream, &uri).await {
                Err(UpstreamError::Status(StatusCode::NOT_FOUND)) => {
                    session = self.again(&session, upstream).await?;
                    self.watch(&session, upstream, &uri).await
                }
                watched => watched,
            };
            if watched.is_ok_and(|watched| watched) {
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

    async fn watch(&self, session: &Session, upstream: &Upstream, uri: &str) -> Result<bool, UpstreamError> {
        let mut uris = upstream.turn(self.hub.uris.lock()).await?;
        if let Some(count) = uris.get_mut(uri) {
            *count += 1;
            return Ok(true);
        }
        let watched = subscription(session, upstream, Method::Subscribe, uri).await?;
        if watched {
            uris.insert(uri.into(), 1);
        }
        Ok(watched)
    }

    async fn unwatch(self: &Arc<Self>, upstream: &Upstream, uri: &str) {
        let mut uris = self.hub.uris.lock().await;
        match uris.get_mut(uri) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                uris.remove(uri);
                if let Some(session) = self.current() {
                    _ = subscription(&session, upstream, Method::Unsubscribe, uri).await; // a courtesy
                }
            }
            None => {}
        }
    }

    /// Opens the session's own stream before a call that may come back to it, unless it is known that the server has none.
    pub(super) async fn hear_first(self: &Arc<Self>, session: &Session, upstream: &Upstream) {
        let mut hearing = session.hearing.subscribe();
        if *hearing.borrow() == Some(false) {
            return;
        }
        self.hear(upstream);
        // A server that opens no stream in time is called all the same.
        _ = tokio::time::timeout(OPENED, hearing.wait_for(Option::is_some)).await;
    }

    /// Opens the session's own stream, unless it is open.
    pub(super) fn hear(self: &Arc<Self>, upstream: &Upstream) {
        let mut ear = self.hub.ear();
        if ear.as_ref().is_none_or(AbortHandle::is_finished) {
            let listening = ear::ear_of(Arc::downgrade(self), upstream.clone());
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
                Some(_) | None => {
                    tracing::warn!(server = %self.server_id(), method = %method, outcome = "denied",
                        "reverse: nobody can say which call it is about");
                    session.aside(upstream, declined(id.as_json()));
                }
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
                    Some(ServerNotice::Cancelled) => session.withdraw(message),
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
async fn subscription(
    session: &Session,
    upstream: &Upstream,
    method: Method,
    uri: &str,
) -> Result<bool, UpstreamError> {
    let mut params = Params::default();
    params.add("uri", mcp::string(uri));
    let answer = session.ask(upstream, method, &params).await?;
    Ok(match ServerMessage::read(&answer) {
        Some(ServerMessage::Answer(answer)) => matches!(answer.verdict, Verdict::Result(_)),
        Some(_) | None => false,
    })
}
