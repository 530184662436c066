//! A legacy session of the aggregate: one of ours for the client, and in it one with each server, opened when it is first needed.
//!
//! All of them count limits for one agent, the session's own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use http::{HeaderMap, HeaderValue};
use mcp::{Method, Object, Revision, ServerMessage, Verdict};
use tokio::time::Instant;

use super::asker::message;
use super::events;
use super::seen::Seen;
use crate::agent::Agent;
use crate::pipeline::{Entry, Pipeline};
use crate::refusal::Refusal;
use crate::reply::SESSION_ID;
use crate::server::Server;
use crate::session::random_id;
use crate::upstream::{PROTOCOL_VERSION, UpstreamError};

pub(crate) struct Joint {
    pub(super) id: Box<str>,
    pub(super) agent: Agent,
    pub(super) revision: Revision,
    /// The params of the client's `initialize`: what each server is told of it.
    hello: String,
    /// One for each server that was met, by its key.
    slots: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
    /// The params of the last `logging/setLevel`: servers that are met later are told, too.
    level: Mutex<Option<String>>,
    /// What the client has seen of each server's lists.
    pub(super) seen: Arc<Seen>,
    used: Mutex<Instant>,
}

struct Slot {
    server: Arc<Server>,
    /// Held while opening, so that one opens for all.
    opening: Arc<tokio::sync::Mutex<()>>,
    inner: Mutex<Option<Inner>>,
}

/// A session of a mount in this process.
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) id: HeaderValue,
    /// The server's `initialize` result, as JSON text.
    pub(super) greeting: Arc<str>,
}

impl Joint {
    pub(super) fn new(agent: Agent, revision: Revision, hello: String) -> Result<Self, Refusal> {
        Ok(Self {
            id: random_id()?,
            agent,
            revision,
            hello,
            slots: Mutex::default(),
            level: Mutex::default(),
            seen: Arc::default(),
            used: Mutex::new(Instant::now()),
        })
    }

    /// The session with a server; one that does not exist yet, or not any more, is opened.
    pub(super) async fn with(
        self: &Arc<Self>,
        pipeline: &Pipeline,
        agent: &Agent,
        server: &Arc<Server>,
    ) -> Result<Inner, Refusal> {
        let slot = self.slot(server);
        if let Some(inner) = slot.get().clone() {
            return Ok(inner);
        }
        let turn = Arc::clone(&slot.opening).lock_owned().await;
        if let Some(inner) = slot.get().clone() {
            return Ok(inner);
        }
        let (joint, agent) = (Arc::clone(self), agent.clone());
        let (pipeline, server) = (pipeline.clone(), Arc::clone(server));
        // A task of its own: a list does not wait for a program that starts slowly, and the next list finds it started.
        let opened = tokio::spawn(async move {
            let _turn = turn;
            let inner = joint.begin(&pipeline, &agent, &server).await?;
            *slot.get() = Some(inner.clone());
            Ok(inner)
        });
        opened.await.unwrap_or_else(|_| Err(UpstreamError::LatelyFailed.into()))
    }

    /// The session with a server, if there is one now.
    pub(super) fn existing(&self, server: &Server) -> Option<Inner> {
        self.slots().get(&server.key)?.get().clone()
    }

    /// All that there are now.
    pub(super) fn open(&self) -> Vec<(Arc<Server>, Inner)> {
        let slots = self.slots();
        slots.values().filter_map(|slot| Some((Arc::clone(&slot.server), slot.get().clone()?))).collect()
    }

    /// That session is gone, if nobody has opened another since.
    pub(super) fn forget(&self, server: &Server, gone: &Inner) {
        let Some(slot) = self.slots().get(&server.key).cloned() else { return };
        slot.get().take_if(|inner| inner.id == gone.id);
    }

    pub(super) fn entry(&self, agent: &Agent, server: &Arc<Server>, inner: &Inner) -> Entry {
        let mut headers = self.headers();
        headers.insert(SESSION_ID, inner.id.clone());
        unopened(agent, server, headers)
    }

    pub(super) fn set_level(&self, params: String) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(params);
    }

    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Where the session with a server is, or will be. Servers that came and went leave nothing behind.
    fn slot(&self, server: &Arc<Server>) -> Arc<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&server.key) {
            return Arc::clone(slot);
        }
        slots.retain(|_, slot| !slot.server.is_retired());
        let slot = Arc::new(Slot { server: Arc::clone(server), opening: Arc::default(), inner: Mutex::default() });
        slots.insert(Arc::clone(&server.key), Arc::clone(&slot));
        slot
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self, pipeline: &Pipeline, agent: &Agent, server: &Arc<Server>) -> Result<Inner, Refusal> {
        let entry = unopened(agent, server, HeaderMap::new());
        let hello = message("0", Method::Initialize, &self.hello);
        let reply = pipeline.read(&entry, &hello).await.map_err(|refused| refused.why)?;
        let id = reply.headers().get(SESSION_ID).cloned();
        let answer = events::answer(reply, pipeline.shared.bounds.event).await;
        let greeting = answer.as_deref().and_then(ServerMessage::read).and_then(|message| match message {
            ServerMessage::Answer(mcp::Answer { verdict: Verdict::Result(result), .. }) => Some(result.get().into()),
            ServerMessage::Answer(_) | ServerMessage::Request { .. } | ServerMessage::Notification { .. } => None,
        });
        let (Some(id), Some(greeting)) = (id, greeting) else { return Err(UpstreamError::NotAnAnswer.into()) };
        let inner = Inner { id, greeting };
        let entry = self.entry(agent, server, &inner);
        let ready = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        pipeline.read(&entry, ready).await.map_err(|refused| refused.why)?;
        let level = self.level.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(level) = level.filter(|_| inner.can("logging")) {
            // A server that does not take the level logs as it likes, as it would without us.
            if let Ok(reply) = pipeline.read(&entry, &message("0", Method::SetLevel, &level)).await {
                events::answer(reply, pipeline.shared.bounds.event).await;
            }
        }
        Ok(inner)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(self.revision.as_str()));
        headers
    }
}

fn unopened(agent: &Agent, server: &Arc<Server>, headers: HeaderMap) -> Entry {
    Entry::new(Arc::clone(server), Arc::new(headers), agent.clone()).own()
}

impl Slot {
    fn get(&self) -> MutexGuard<'_, Option<Inner>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Did the server declare this capability?
    pub(super) fn can(&self, capability: &str) -> bool {
        let greeting = Object::read(&self.greeting);
        greeting.and_then(|greeting| greeting.object("capabilities")?.get(capability)).is_some()
    }
}

/// All sessions of the aggregate.
pub(crate) struct Joints {
    all: DashMap<Box<str>, Arc<Joint>>,
    max: usize,
}

impl Joints {
    pub(super) fn new(max: usize) -> Self {
        Self { all: DashMap::new(), max }
    }

    /// Two that come at the same moment may both find the last place: the bound is on memory, and that near it holds.
    pub(super) fn insert(&self, joint: Arc<Joint>) -> Result<(), Refusal> {
        if self.all.len() >= self.max {
            return Err(Refusal::SessionsFull);
        }
        self.all.insert(joint.id.clone(), joint);
        Ok(())
    }

    /// Only for whom opened it.
    pub(super) fn find(&self, id: &str, agent: &Agent) -> Option<Arc<Joint>> {
        let joint = Arc::clone(self.all.get(id)?.value());
        joint.agent.is_who(agent).then(|| {
            joint.touch();
            joint
        })
    }

    pub(super) fn remove(&self, id: &str) -> Option<Arc<Joint>> {
        self.all.remove(id).map(|(_, joint)| joint)
    }

    /// Lets go of what nobody used for that long. The sessions inside are idle as well, and expire by themselves.
    pub(super) fn expire(&self, idle: Duration) {
        let used = |joint: &Joint| joint.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        self.all.retain(|_, joint| used(joint) <= idle);
    }
}
