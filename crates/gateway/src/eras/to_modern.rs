//! A legacy client before a server that speaks only modern. The session is ours alone; each request of its leaves by itself, with all
//! that the session agreed on in its `_meta`, and what comes back is put in the client's words before the policy sees it.

mod answer;
mod asking;
mod call;
mod feed;
mod listen;
mod local;
mod opening;
mod tasks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Response, StatusCode};
use mcp::{Method, Object, Params, Revision, Verdict, meta};
use tokio::sync::{Semaphore, oneshot};

use self::asking::Asks;
use self::call::{Call, Ready};
use self::feed::{Feed, Head};
use self::listen::Subscriptions;
pub(crate) use self::opening::opened;
use self::opening::{Client, Serves};
use self::tasks::Known;
use crate::agent::Agent;
use crate::answering::Answering;
use crate::approvals::Consent;
use crate::limits::Held;
use crate::pipeline::{Entry, Lawful, Pipeline};
use crate::refusal::{Addressee, Refusal};
use crate::session::Session;
use crate::upstream::{Upstream, UpstreamError};

/// Requests of one session whose client hung up, and that go on all the same: in legacy, hanging up is no cancel. What comes of them
/// is let go, since nothing here can be resumed; but a call that is half done is not undone by a lost connection.
const MAX_LEFT: usize = 16;

/// What a session needs to speak to a modern server.
pub(crate) struct ToModern {
    client: Client,
    serves: Serves,
    /// The JSON text of what `logging/setLevel` asked for.
    level: Mutex<Option<Box<str>>>,
    asks: Asks,
    known: Known,
    subscriptions: Subscriptions,
    /// By our id: dropping it stops the request.
    open: Mutex<HashMap<u64, oneshot::Sender<()>>>,
    left: Arc<Semaphore>,
}

/// A request on its way, with all that saying it once more takes.
pub(crate) struct Outgoing {
    pipeline: Pipeline,
    entry: Entry,
    upstream: Upstream,
    agent: Agent,
    session: Option<Arc<Session>>,
    /// What a person said to it: that holds for each time it is said.
    consent: Option<Consent>,
    method: Method,
    revision: Revision,
    params: Params<'static>,
    /// By our id: what is answered here is judged and put under the client's id like everything else.
    to: Addressee,
    ours: u64,
}

impl Outgoing {
    /// Takes the params, which are written already.
    pub(crate) fn of(
        pipeline: &Pipeline,
        entry: &Entry,
        upstream: &Upstream,
        lawful: &mut Lawful<'_>,
        ours: u64,
        to: &Addressee,
    ) -> Self {
        Self {
            pipeline: pipeline.clone(),
            entry: entry.clone(),
            upstream: upstream.clone(),
            agent: lawful.agent.clone(),
            session: lawful.session.clone(),
            consent: lawful.consent.clone(),
            method: lawful.method,
            revision: lawful.revision,
            params: std::mem::take(&mut lawful.params).into_owned(),
            to: Addressee { id: Some(ours.to_string().into()), ..to.clone() },
            ours,
        }
    }
}

impl ToModern {
    fn new(client: Client, serves: Serves) -> Self {
        Self {
            client,
            serves,
            level: Mutex::default(),
            asks: Asks::default(),
            known: Known::default(),
            subscriptions: Subscriptions::default(),
            open: Mutex::default(),
            left: Arc::new(Semaphore::new(MAX_LEFT)),
        }
    }

    /// Says in the request's `_meta` what the session agreed on. What the policy denies is taken out after this, as from any request.
    pub(crate) fn dress(&self, lawful: &mut Lawful<'_>) {
        let wants = lawful.params.get("task").is_some();
        lawful.params.remove("task");
        // A receiver without tasks ignores the wish (2025-11-25, tasks).
        lawful.to.as_task = wants && self.serves.tasks;
        self.dress_params(&mut lawful.params, lawful.to.as_task || lawful.method.is_of_a_task());
    }

    /// `tasks`: may the answer be a task?
    fn dress_params(&self, params: &mut Params<'_>, tasks: bool) {
        let version = mcp::string(Revision::MODERN.as_str());
        let level = self.level();
        let capabilities = if tasks { &self.client.with_tasks } else { &self.client.capabilities };
        let mut with = vec![(meta::PROTOCOL_VERSION, version.as_str()), (meta::CLIENT_CAPABILITIES, &**capabilities)];
        // INVARIANT: what the session did not agree on, no request claims
        let mut without = vec![meta::SUBSCRIPTION_ID];
        for (key, agreed) in [(meta::CLIENT_INFO, self.client.info.as_deref()), (meta::LOG_LEVEL, level.as_deref())] {
            match agreed {
                Some(agreed) => with.push((key, agreed)),
                None => without.push(key),
            }
        }
        let dressed = params.meta().and_then(Object::read).unwrap_or_default().amended(&without, &with);
        params.replace_meta(dressed);
    }

    /// Sends a request that was judged, and gives back what the server said, in the words of a legacy one.
    pub(crate) async fn send(
        self: Arc<Self>,
        out: Outgoing,
        message: Vec<u8>,
        held: Option<Held>,
    ) -> Result<Response<Answering>, UpstreamError> {
        if let Some(answer) = self.locally(&out) {
            if let Some(held) = held {
                held.spend();
            }
            return Ok(Answering::json(StatusCode::OK, answer));
        }
        let (feed, head) = Feed::new();
        let (here, gone) = oneshot::channel::<()>();
        let (cancel, cancelled) = oneshot::channel();
        let ready = Ready { id: out.ours, message, held };
        self.open().insert(out.ours, cancel);
        tokio::spawn(call::run(Call::new(self, out, feed), ready, gone, cancelled));
        match head.await {
            Ok(Head::Whole(answer)) => Ok(Answering::json(StatusCode::OK, answer)),
            Ok(Head::Events(events)) => Ok(Answering::events(events, Some(Box::new(here)))),
            Ok(Head::Failed(why)) => Err(why),
            Err(_) => Err(UpstreamError::Cancelled),
        }
    }

    /// The client's answer to what was asked of it.
    pub(crate) fn answered(&self, asked: &str, verdict: Verdict<'_>) -> Result<(), Refusal> {
        match self.asks.answered(asked, verdict) {
            true => Ok(()),
            false => Err(Refusal::UnaskedAnswer),
        }
    }

    /// The policy denies what was to be asked of the client.
    pub(crate) fn declined(&self, asked: &str) {
        self.asks.declined(asked);
    }

    /// The client no longer wants the answer: the server's stream is closed, which is what cancels there.
    pub(crate) fn cancelled(&self, ours: u64) {
        self.open().remove(&ours);
    }

    /// The session is over.
    pub(crate) fn end(&self) {
        self.open().clear();
        self.subscriptions.end();
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<()>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn level(&self) -> Option<Box<str>> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
