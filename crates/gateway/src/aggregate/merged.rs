//! Streams of several servers as one, or that of one call: every message renamed, nothing beside it. Dropping it hangs up on all.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use mcp::{Era, sse};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::asker::Asker;
use super::changes::Changes;
use super::events::Events;
use super::names::Place;
use super::session::Joint;
use super::voice::{Heard, Voice};
use crate::agent::Agent;
use crate::pipeline::Shared;
use crate::server::Server;

/// How long a source that broke off is left alone: doubled each time, to the longer one.
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

pub(super) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Opens a source again, each time it is called.
pub(super) type Opener = Arc<dyn Fn() -> Work<Opened> + Send + Sync>;

pub(super) enum Opened {
    Stream(Events),
    /// It may work later.
    Failed,
    /// The server has no such stream.
    Never,
}

/// One server's part of the stream.
pub(super) struct Source {
    pub(super) voice: Voice,
    pub(super) state: State,
    /// None for a call: its stream ends once.
    pub(super) opener: Option<Opener>,
    pub(super) rest: Duration,
}

pub(super) enum State {
    Opening(Work<Opened>),
    Open(Events),
    Resting(Pin<Box<Sleep>>),
    Over,
}

pub(crate) struct Merged {
    sources: Vec<Source>,
    changes: Changes,
    out: Vec<u8>,
    /// How event ids are told to the client: each server's own place in a merged stream, or one server's alone.
    places: Option<BTreeMap<String, String>>,
    /// It goes on when no source does.
    endless: bool,
    keep_alive: Duration,
    timer: Pin<Box<Sleep>>,
    closing: Option<Work<()>>,
    following: Option<Following>,
    /// Whose session is in use as long as this is read.
    joint: Option<Arc<Joint>>,
}

/// Makes a source of a server that joins in.
type Joining = Box<dyn Fn(&Arc<Server>) -> Source + Send>;

/// Which servers a stream is of, as they come and go.
pub(super) struct Following {
    shared: Arc<Shared>,
    agent: Agent,
    present: Vec<Arc<Server>>,
    source: Joining,
    swapped: Work<watch::Receiver<u64>>,
}

impl Following {
    /// From those on that are in the stream already. `source` makes one of another.
    pub(super) fn new(
        asker: &Asker,
        present: &[Arc<Server>],
        source: impl Fn(&Arc<Server>) -> Source + Send + 'static,
    ) -> Self {
        let shared = &asker.pipeline.shared;
        let mut swaps = shared.registry.swaps();
        swaps.mark_changed(); // since these were looked up, there may have been others
        let (present, source) = (present.to_vec(), Box::new(source));
        Self { shared: Arc::clone(shared), agent: asker.agent().clone(), present, source, swapped: swap(swaps) }
    }

    /// The servers of now that the agent may use, when there is another snapshot.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Vec<Arc<Server>>> {
        let Poll::Ready(swaps) = self.swapped.as_mut().poll(cx) else { return None };
        self.swapped = swap(swaps);
        let registry = self.shared.registry.load();
        Some(registry.joined().iter().filter(|server| self.agent.may_use(&server.id)).cloned().collect())
    }
}

fn swap(mut swaps: watch::Receiver<u64>) -> Work<watch::Receiver<u64>> {
    Box::pin(async move {
        if swaps.changed().await.is_err() {
            std::future::pending::<()>().await; // the gateway ends
        }
        swaps
    })
}

/// What came of looking at a source.
enum Step {
    Event(sse::Event),
    Went,
    Waits,
}

impl Source {
    pub(super) fn call(voice: Voice, events: Events) -> Self {
        Self { voice, state: State::Open(events), opener: None, rest: REST }
    }

    pub(super) fn lasting(voice: Voice, state: State, opener: Opener) -> Self {
        // What rests failed already, and nobody knows what its lists are.
        let rest = if matches!(state, State::Resting(_)) { REST * 2 } else { REST };
        Self { voice, state, opener: Some(opener), rest }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Step {
        match &mut self.state {
            State::Over => return Step::Waits,
            State::Resting(sleep) => match sleep.as_mut().poll(cx) {
                Poll::Pending => return Step::Waits,
                Poll::Ready(()) => {
                    self.state = self.opener.as_ref().map_or(State::Over, |opener| State::Opening(opener()));
                }
            },
            State::Opening(work) => match work.as_mut().poll(cx) {
                Poll::Pending => return Step::Waits,
                Poll::Ready(Opened::Stream(events)) => self.state = State::Open(events),
                Poll::Ready(Opened::Failed) => self.ended(),
                Poll::Ready(Opened::Never) => self.state = State::Over,
            },
            State::Open(events) => match events.poll(cx) {
                Poll::Pending => return Step::Waits,
                Poll::Ready(Some(event)) => {
                    self.rest = REST;
                    return Step::Event(event);
                }
                Poll::Ready(None) => self.ended(),
            },
        }
        Step::Went
    }

    fn ended(&mut self) {
        self.state = match self.opener {
            Some(_) => State::Resting(Box::pin(tokio::time::sleep(self.rest))),
            None => State::Over,
        };
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }

    pub(super) fn resting() -> State {
        State::Resting(Box::pin(tokio::time::sleep(REST)))
    }
}

impl Merged {
    pub(super) fn new(sources: Vec<Source>, changes: Changes, keep_alive: Duration) -> Self {
        Self {
            sources,
            changes,
            out: Vec::new(),
            places: None,
            endless: false,
            keep_alive,
            timer: Box::pin(tokio::time::sleep(keep_alive)),
            closing: None,
            following: None,
            joint: None,
        }
    }

    /// It waits for events until that is done.
    pub(super) fn endless(mut self, closing: Work<()>) -> Self {
        self.endless = true;
        self.closing = Some(closing);
        self
    }

    /// Servers that come later join in, and those that go leave.
    pub(super) fn following(mut self, following: Following) -> Self {
        self.following = Some(following);
        self
    }

    /// Its event ids tell the place in every source.
    pub(super) fn placed(mut self, places: BTreeMap<String, String>) -> Self {
        self.places = Some(places);
        self
    }

    pub(super) fn of(mut self, joint: Option<Arc<Joint>>) -> Self {
        self.joint = joint;
        self
    }

    /// Says something before all else.
    pub(super) fn saying(mut self, message: Vec<u8>) -> Self {
        sse::write(&sse::Event { data: Some(message), ..sse::Event::default() }, &mut self.out);
        self
    }

    /// Would it never end by itself?
    pub(crate) fn is_lasting(&self) -> bool {
        self.endless
    }

    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if !self.out.is_empty() {
                self.used();
                self.timer.as_mut().reset(Instant::now() + self.keep_alive);
                return Poll::Ready(Some(std::mem::take(&mut self.out).into()));
            }
            if self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(cx).is_ready()) {
                return Poll::Ready(None);
            }
            let mut went = self.follow(cx);
            for at in 0..self.sources.len() {
                went |= self.step(at, cx);
            }
            self.changes.poll(cx, &mut self.out);
            if !self.out.is_empty() || went {
                continue;
            }
            let over = |source: &Source| matches!(source.state, State::Over);
            if !self.endless && self.changes.are_none() && self.sources.iter().all(over) {
                return Poll::Ready(None);
            }
            match self.timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.tick(),
            }
        }
    }

    /// Takes what came and what went. True when there was something to do.
    fn follow(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(following) = &mut self.following else { return false };
        let Some(now) = following.poll(cx) else { return false };
        let before = std::mem::replace(&mut following.present, now);
        let (now, lacks) =
            (&following.present, |all: &[Arc<Server>], one| !all.iter().any(|each| Arc::ptr_eq(each, one)));
        for gone in before.iter().filter(|server| lacks(now, server)) {
            self.sources.retain(|source| source.voice.key != gone.key);
            self.changes.left(gone, &mut self.out);
        }
        for come in now.iter().filter(|server| lacks(&before, server)) {
            self.sources.push((following.source)(come));
            self.changes.came(come);
        }
        self.changes.watch_policies();
        true
    }

    /// True when there was something to do.
    fn step(&mut self, at: usize, cx: &mut Context<'_>) -> bool {
        let Some(source) = self.sources.get_mut(at) else { return false };
        let was_open = matches!(source.state, State::Open(_));
        let event = match source.poll(cx) {
            Step::Waits => return false,
            Step::Went => {
                // Opened again: what its lists were meanwhile, nobody told.
                if !was_open && matches!(source.state, State::Open(_)) && source.rest > REST {
                    self.changes.missed(&source.voice.server);
                }
                return true;
            }
            Step::Event(event) => event,
        };
        let id = event.id.as_ref().map(|id| place(&mut self.places, &source.voice.server, id));
        let data = match event.data.filter(|data| !data.is_empty()) {
            // A priming event, or one that only says how long to wait.
            None => Some(Vec::new()).filter(|_| id.is_some() || event.retry.is_some()),
            Some(data) => match source.voice.hear(&data) {
                Some(Heard::Message(message)) => Some(message),
                // The end of a subscription is no answer as long as others go on.
                Some(Heard::Answer(answer)) => Some(answer).filter(|_| !self.endless || resumed(&source.voice)),
                Some(Heard::Changed(list)) => {
                    self.changes.heard(&source.voice.server, list);
                    None
                }
                Some(Heard::Granted(_)) | None => None,
            },
        };
        if let Some(data) = data {
            sse::write(&sse::Event { id, retry: event.retry, data: Some(data), event: None }, &mut self.out);
        }
        true
    }

    fn tick(&mut self) {
        self.out.extend_from_slice(sse::KEEP_ALIVE);
    }

    fn used(&mut self) {
        if self.endless {
            self.changes.watch_policies();
        }
        if let Some(joint) = &self.joint {
            joint.touch(); // somebody is listening
        }
    }
}

/// A legacy session's own stream may bring the answer to a request whose stream broke off.
fn resumed(voice: &Voice) -> bool {
    voice.era == Era::Legacy
}

fn place(places: &mut Option<BTreeMap<String, String>>, server: &str, id: &str) -> String {
    match places {
        // An empty id resets what the client remembers: it is none.
        Some(places) if id.is_empty() => {
            places.remove(server);
            Place::all(places)
        }
        Some(places) => {
            places.insert(server.to_owned(), id.to_owned());
            Place::all(places)
        }
        None if id.is_empty() => String::new(),
        None => Place::one(server, id),
    }
}
