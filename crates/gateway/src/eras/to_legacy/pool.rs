//! Sessions with legacy servers, one for each server, agent and set of capabilities; opened once however many ask at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use tokio::time::Instant;

use super::listen::Hub;
use super::offers::Offers;
use super::session::{self, Session};
use crate::agent::Agent;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::upstream::{Upstream, UpstreamError};

/// Sessions with legacy servers, in all.
const MAX_SESSIONS: usize = 10_000;

/// Sessions that are ended in one sweep; the rest in the next.
const FAREWELLS: usize = 64;

/// INVARIANT: the agent is part of the key, so that nobody is ever in another's session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Its key.
    server: Arc<str>,
    agent: Arc<str>,
    offers: Offers,
}

/// Where a session is, or will be. It is in use as long as anybody but the pool holds it.
pub(crate) struct Slot {
    server: Arc<Server>,
    agent: Agent,
    pub(super) offers: Offers,
    current: ArcSwapOption<Session>,
    /// Held while opening, so that one opens for all; says when that failed.
    opening: Arc<tokio::sync::Mutex<Option<Instant>>>,
    used: std::sync::Mutex<Instant>,
    pub(super) hub: Hub,
}

#[derive(Default)]
pub(super) struct Pool {
    slots: DashMap<Key, Arc<Slot>>,
    count: AtomicUsize,
}

impl Pool {
    /// The place of this agent's session.
    pub(super) fn slot(&self, upstream: &Upstream, agent: &Agent, offers: Offers) -> Result<Arc<Slot>, Refusal> {
        let key = Key { server: Arc::clone(&upstream.server.key), agent: Arc::clone(&agent.key), offers };
        if let Some(slot) = self.slots.get(&key) {
            slot.touch();
            return Ok(Arc::clone(&slot));
        }
        if self.count.load(Ordering::Relaxed) >= MAX_SESSIONS {
            return Err(Refusal::SessionsFull);
        }
        let slot = self.slots.entry(key).or_insert_with(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            Arc::new(Slot::new(Arc::clone(&upstream.server), agent.clone(), offers))
        });
        Ok(Arc::clone(&slot))
    }

    /// Takes out what nobody used for that long, and ends it at the servers.
    pub(super) fn expire(&self, idle: Duration, way: impl Fn(&Arc<Server>, &Agent) -> Upstream) {
        let mut farewells = FAREWELLS;
        self.slots.retain(|_, slot| {
            let wanted = slot.idle() < idle && !slot.server.is_retired();
            let keep = Arc::strong_count(slot) > 1 || wanted || farewells == 0;
            if !keep {
                farewells -= 1;
                self.count.fetch_sub(1, Ordering::Relaxed);
                if let Some(session) = slot.current.swap(None).filter(|session| session.has_id()) {
                    tokio::spawn(session::end(session, way(&slot.server, &slot.agent), slot.agent.clone()));
                }
            }
            keep
        });
    }
}

impl Slot {
    fn new(server: Arc<Server>, agent: Agent, offers: Offers) -> Self {
        Self {
            server,
            agent,
            offers,
            current: ArcSwapOption::empty(),
            opening: Arc::default(),
            used: std::sync::Mutex::new(Instant::now()),
            hub: Hub::default(),
        }
    }

    /// The session, opened if there is none.
    pub(super) async fn session(
        self: &Arc<Self>,
        upstream: &Upstream,
        info: Option<&str>,
    ) -> Result<Arc<Session>, UpstreamError> {
        if let Some(session) = self.current.load_full() {
            return Ok(session);
        }
        let arrived = Instant::now();
        let mut failed = upstream.turn(Arc::clone(&self.opening).lock_owned()).await?;
        if let Some(session) = self.current.load_full() {
            return Ok(session);
        }
        // Those who waited meanwhile do not try one after the other.
        if failed.is_some_and(|at| at >= arrived) {
            return Err(UpstreamError::LatelyFailed);
        }
        let (slot, upstream, info) = (Arc::clone(self), upstream.clone(), info.map(str::to_owned));
        // A task of its own: if its first client hangs up, the session that is just being opened is not lost.
        let opened = tokio::spawn(async move {
            match Session::open(&upstream, slot.offers, info.as_deref()).await {
                Ok(session) => {
                    let session = Arc::new(session);
                    slot.current.store(Some(Arc::clone(&session)));
                    Ok(session)
                }
                Err(error) => {
                    *failed = Some(Instant::now());
                    Err(error)
                }
            }
        });
        opened.await.unwrap_or(Err(UpstreamError::LatelyFailed))
    }

    pub(super) fn current(&self) -> Option<Arc<Session>> {
        self.current.load_full()
    }

    pub(super) fn agent_key(&self) -> &Arc<str> {
        &self.agent.key
    }

    pub(super) fn server_id(&self) -> &Arc<str> {
        &self.server.id
    }

    pub(super) fn server_key(&self) -> &Arc<str> {
        &self.server.key
    }

    pub(super) fn is_of(&self, agent: &Agent) -> bool {
        self.touch();
        self.agent.key == agent.key
    }

    /// The server does not know it any more.
    pub(super) fn lost(&self, session: &Arc<Session>) {
        let current = self.current.load();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            self.current.compare_and_swap(&current, None);
        }
    }

    /// Another, since the server forgot this one.
    pub(super) async fn again(
        self: &Arc<Self>,
        session: &Arc<Session>,
        upstream: &Upstream,
    ) -> Result<Arc<Session>, UpstreamError> {
        self.lost(session);
        self.session(upstream, None).await
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner).elapsed()
    }
}
