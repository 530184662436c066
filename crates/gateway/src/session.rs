//! Legacy sessions: our unguessable ids, mapped to the upstream's, and what is open in each. State lives here, never in the id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use http::HeaderValue;
use mcp::{Method, Revision};
use policy::Reverse;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::agent::Agent;
use crate::approvals::Shows;
use crate::catalogue::Catalogue;
use crate::eras::to_modern::ToModern;
use crate::nodes::{Kept, Key};
use crate::refusal::Refusal;
use crate::server::Server;

/// Requests that nobody waits for any more and that are remembered: a resumed stream may bring the answer (again).
const REMEMBERED: usize = 16;

/// Requests of the server's that a client may leave unanswered.
pub(crate) const MAX_ASKS: usize = 64;

/// Requests of the server's that are being declined at a time.
const MAX_DECLINES: usize = 8;

pub(crate) struct Session {
    pub(crate) id: Box<str>,
    pub(crate) agent: Agent,
    pub(crate) server: Arc<Server>,
    /// The upstream's session id, if it gives one out.
    pub(crate) upstream: Option<HeaderValue>,
    /// What the server may ask of the client: what the client declared when the session began.
    pub(crate) offered: Box<[Reverse]>,
    /// What the gateway itself may show the client's user.
    pub(crate) shows: Shows,
    /// What this session's server lists; another session may see another list.
    pub(crate) catalogue: Catalogue,
    /// The bridge to a server that speaks only modern.
    pub(crate) translated: Option<Arc<ToModern>>,
    /// Where it is every node's.
    pub(crate) kept: Option<Box<Kept>>,
    declines: Arc<Semaphore>,
    used: Mutex<Instant>,
    state: Mutex<State>,
}

struct State {
    revision: Revision,
    /// Has the server answered `initialize`? Before, nobody can use the session.
    established: bool,
    calls: HashMap<u64, Call>,
    /// Requests that wait for a person and have not left: what tells each that it is cancelled.
    held: HashMap<u64, oneshot::Sender<()>>,
    asks: Vec<Ask>,
}

/// A request of the client's that went upstream under an id of ours.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) theirs: Box<str>,
    pub(crate) method: Method,
    /// A client waits for the answer.
    awaited: bool,
    answered: bool,
}

/// Holds a request open; when it is dropped unanswered, the client is gone, and may come back for the answer.
pub(crate) struct OpenCall {
    session: Arc<Session>,
    pub(crate) ours: u64,
}

impl OpenCall {
    /// It never left, and never will: nobody has an answer to come back for.
    pub(crate) fn forget(self) {
        self.session.leaves(self.ours);
        self.session.close(self.ours, false);
    }

    /// It leaves.
    pub(crate) fn leaves(&self) {
        self.session.leaves(self.ours);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.session.leave(self.ours);
    }
}

/// A request of the server's that went to the client under an id of ours.
struct Ask {
    ours: u64,
    theirs: Box<str>,
}

impl Session {
    /// One that nobody can use yet.
    pub(crate) fn new(
        id: Box<str>,
        agent: Agent,
        server: &Arc<Server>,
        upstream: Option<HeaderValue>,
        revision: Revision,
        (offered, shows): (Box<[Reverse]>, Shows),
    ) -> Self {
        Self {
            id,
            agent,
            server: Arc::clone(server),
            upstream,
            offered,
            shows,
            catalogue: Catalogue::default(),
            translated: None,
            kept: None,
            declines: Arc::new(Semaphore::new(MAX_DECLINES)),
            used: Mutex::new(Instant::now()),
            state: Mutex::new(State {
                revision,
                established: false,
                calls: HashMap::new(),
                held: HashMap::new(),
                asks: Vec::new(),
            }),
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.state().revision
    }

    /// The server agreed: the session exists from now on.
    pub(crate) fn establish(&self, revision: Revision) {
        let mut state = self.state();
        state.revision = revision;
        state.established = true;
    }

    /// It does not exist after all.
    pub(crate) fn forsake(&self) {
        self.state().established = false;
    }

    pub(crate) fn is_established(&self) -> bool {
        self.state().established
    }

    /// Opens a request, which the upstream will see under the id `ours`.
    ///
    /// INVARIANT: no two requests to a server have the same id, whatever their session. So an answer that a server sends into
    /// the wrong session belongs to nothing there.
    pub(crate) fn open(
        self: &Arc<Self>,
        ours: u64,
        theirs: &str,
        method: Method,
        max: usize,
    ) -> Result<OpenCall, Refusal> {
        let mut state = self.state();
        if state.calls.values().filter(|call| call.awaited).count() >= max {
            return Err(Refusal::TooManyOpen);
        }
        state.calls.insert(ours, Call { theirs: theirs.into(), method, awaited: true, answered: false });
        drop(state);
        Ok(OpenCall { session: Arc::clone(self), ours })
    }

    /// The request waits, and has not left: what is returned tells that the client cancels it.
    pub(crate) fn hold(&self, ours: u64) -> oneshot::Receiver<()> {
        let (cancel, cancelled) = oneshot::channel();
        self.state().held.insert(ours, cancel);
        cancelled
    }

    /// Cancels a request that waits. False for one that does not: the server may have it.
    pub(crate) fn let_go(&self, ours: u64) -> bool {
        let held = self.state().held.remove(&ours);
        held.is_some_and(|cancel| cancel.send(()).is_ok())
    }

    /// The request waits no longer: it leaves.
    pub(crate) fn leaves(&self, ours: u64) {
        self.state().held.remove(&ours);
    }

    /// The open (or lately answered) request of that id of ours.
    pub(crate) fn call(&self, ours: u64) -> Option<Call> {
        self.state().calls.get(&ours).cloned()
    }

    /// The answer is on its way. `resumable`: it may be asked for again.
    pub(crate) fn close(&self, ours: u64, resumable: bool) {
        let mut state = self.state();
        match state.calls.get_mut(&ours) {
            Some(call) if resumable => call.answered = true,
            _ => drop(state.calls.remove(&ours)),
        }
    }

    /// Nobody waits for the answer now. It may still be delivered on a resumed stream, and the request still be cancelled:
    /// hanging up is no cancel here.
    pub(crate) fn leave(&self, ours: u64) {
        let mut state = self.state();
        if let Some(call) = state.calls.get_mut(&ours) {
            call.awaited = false;
        }
        let left = state.calls.iter().filter(|(_, call)| !call.awaited);
        if left.clone().count() > REMEMBERED {
            let oldest = left.map(|(ours, _)| *ours).min();
            oldest.and_then(|oldest| state.calls.remove(&oldest));
        }
    }

    /// The id of ours under which the client's request is open.
    pub(crate) fn opened_as(&self, theirs: &str) -> Option<u64> {
        let state = self.state();
        let open = |(ours, call): (&u64, &Call)| (!call.answered && &*call.theirs == theirs).then_some(*ours);
        state.calls.iter().filter_map(open).max()
    }

    /// The id of ours under which the client sees a request of the server's.
    pub(crate) fn ask(&self, theirs: &str) -> u64 {
        let mut state = self.state();
        if let Some(ask) = state.asks.iter().find(|ask| &*ask.theirs == theirs) {
            return ask.ours;
        }
        if state.asks.len() >= MAX_ASKS {
            state.asks.remove(0); // the oldest: whoever was asked is likely gone
        }
        let ours = next_ask();
        state.asks.push(Ask { ours, theirs: theirs.into() });
        ours
    }

    /// The same, wherever the answer may come in. None where it cannot be asked now.
    pub(crate) async fn asks(&self, theirs: &str) -> Option<u64> {
        match &self.kept {
            None => Some(self.ask(theirs)),
            Some(kept) => kept.ask(theirs, next_ask()).await.ok()?,
        }
    }

    /// A place among the few requests that are being declined at a time.
    pub(crate) fn declining(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.declines).try_acquire_owned().ok()
    }

    /// Takes back the server's id: each request of its is answered once.
    pub(crate) fn answered(&self, ours: u64) -> Option<Box<str>> {
        let mut state = self.state();
        let at = state.asks.iter().position(|ask| ask.ours == ours)?;
        Some(state.asks.swap_remove(at).theirs)
    }

    /// The same, wherever it was asked.
    pub(crate) async fn taken(&self, ours: u64) -> Result<Option<Box<str>>, Refusal> {
        match &self.kept {
            None => Ok(self.answered(ours)),
            Some(kept) => kept.answered(ours).await,
        }
    }

    /// The id of ours of a request that the server withdraws.
    pub(crate) fn withdrawn(&self, theirs: &str) -> Option<u64> {
        let mut state = self.state();
        let at = state.asks.iter().position(|ask| &*ask.theirs == theirs)?;
        Some(state.asks.swap_remove(at).ours)
    }

    /// Somebody is there.
    pub(crate) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Its server is gone, and no call is under way any more.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.server.is_retired() && self.state().calls.values().all(|call| !call.awaited)
    }

    /// When somebody was there last.
    pub(crate) fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All sessions of this gateway.
pub(crate) struct Sessions {
    /// Those that are this node's alone.
    all: DashMap<Box<str>, Arc<Session>>,
    /// Those that are every node's, as far as they are known here. Apart, since what they are known by is no secret and opens nothing.
    kept: DashMap<Key, Arc<Session>>,
    count: AtomicUsize,
    max: usize,
    ordinal: AtomicU64,
}

impl Sessions {
    pub(crate) fn new(max: usize) -> Self {
        Self { all: DashMap::new(), kept: DashMap::new(), count: AtomicUsize::new(0), max, ordinal: AtomicU64::new(1) }
    }

    /// A session that is not in the table yet: an `initialize` that is under way.
    pub(crate) fn prepare(
        &self,
        server: &Arc<Server>,
        upstream: Option<HeaderValue>,
        revision: Revision,
        (offered, shows): (Box<[Reverse]>, Shows),
        agent: &Agent,
    ) -> Result<Session, Refusal> {
        let agent = self.agent(agent);
        Ok(Session::new(random_id()?, agent, server, upstream, revision, (offered, shows)))
    }

    /// Whoever opens a session: an agent that nobody else is, unless it is known. Who has a session already, at the aggregate, is one agent
    /// in all sessions inside.
    pub(crate) fn agent(&self, who: &Agent) -> Agent {
        match who.identity.is_some() || who.session.is_some() {
            true => who.clone(),
            false => Agent::session(self.ordinal.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(crate) fn insert(&self, session: Arc<Session>) -> Result<(), Refusal> {
        self.count_in()?;
        match &session.kept {
            Some(kept) => drop(self.kept.insert(kept.key, session)),
            None => drop(self.all.insert(session.id.clone(), session)),
        }
        Ok(())
    }

    /// One that began elsewhere; whoever comes first at a time brings it for all.
    pub(crate) fn adopt(&self, key: &Key, session: Arc<Session>) -> Result<Arc<Session>, Refusal> {
        match self.kept.entry(*key) {
            Entry::Occupied(there) if Arc::ptr_eq(&there.get().server, &session.server) => Ok(Arc::clone(there.get())),
            Entry::Occupied(mut there) => {
                there.insert(Arc::clone(&session));
                Ok(session)
            }
            Entry::Vacant(place) => {
                self.count_in()?;
                place.insert(Arc::clone(&session));
                Ok(session)
            }
        }
    }

    fn count_in(&self) -> Result<(), Refusal> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::SessionsFull);
        }
        Ok(())
    }

    /// One of every node's that is known here, whoever asks.
    pub(crate) fn kept(&self, key: &Key) -> Option<Arc<Session>> {
        self.kept.get(key).map(|session| Arc::clone(session.value()))
    }

    pub(crate) fn kept_where(&self, wanted: impl Fn(&Session, &Kept) -> bool) -> Vec<Arc<Session>> {
        let wanted = |session: &Session| session.kept.as_ref().is_some_and(|kept| wanted(session, kept));
        self.kept.iter().filter(|entry| wanted(entry.value())).map(|entry| Arc::clone(entry.value())).collect()
    }

    /// Only under the server that it was opened for, as another that took its id since is another; and for whom opened it.
    pub(crate) fn find(&self, id: &str, server: &Arc<Server>, agent: &Agent) -> Option<Arc<Session>> {
        let session = Arc::clone(self.all.get(id)?.value());
        let theirs = Arc::ptr_eq(&session.server, server) && session.agent.is_who(agent);
        (theirs && session.is_established()).then(|| {
            session.touch();
            session
        })
    }

    /// True for whoever took it out.
    pub(crate) fn remove(&self, session: &Session) -> bool {
        let is_it = |there: &Arc<Session>| std::ptr::eq(&raw const **there, &raw const *session);
        let removed = match &session.kept {
            Some(kept) => self.kept.remove_if(&kept.key, |_, there| is_it(there)).is_some(),
            None => self.all.remove_if(&session.id, |_, there| is_it(there)).is_some(),
        };
        if removed {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        removed
    }

    /// Takes out what nobody used for that long, and what nobody can use any more. `kept`: the same for those that are every node's.
    pub(crate) fn expire(&self, idle: Duration, kept: Duration) -> Vec<Arc<Session>> {
        let old = |session: &Session| {
            let idle = if session.kept.is_some() { kept } else { idle };
            session.used().elapsed() > idle || session.is_orphaned()
        };
        let all = self.all.iter().filter(|entry| old(entry)).map(|entry| Arc::clone(entry.value()));
        let mut old_ones: Vec<_> = all.collect();
        old_ones.extend(self.kept_where(|session, _| old(session)));
        old_ones.retain(|session| self.remove(session));
        old_ones
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// INVARIANT: no two questions have the same id, in no session and in no process before this one: whoever answers late answers nothing,
/// however often client, server or session began anew.
fn next_ask() -> u64 {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
        // Without randomness there are no sessions either.
        AtomicU64::new(1 + u64::from(u32::from_be_bytes(crate::random::bytes().unwrap_or_default())))
    });
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// 192 bits from the system's generator, in hexadecimal.
pub(crate) fn random_id() -> Result<Box<str>, Refusal> {
    crate::random::hex::<24>().map(Into::into).map_err(|_| Refusal::NoRandomness)
}
