//! One session of the old transport: which request waits for what, and who hears the rest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Uri};
use mcp::{Answer, Object, ServerMessage, Verdict, Writer, sse};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::upstream::UpstreamError;

/// Events of one stream to a client that wait to be taken.
const QUEUE: usize = 64;

/// Messages of the server's that wait for somebody to listen. Fewer than a queue takes.
const UNHEARD: usize = 16;

const PROGRESS: &str = "notifications/progress";

type Sender = mpsc::Sender<Result<sse::Event, UpstreamError>>;
type Receiver = mpsc::Receiver<Result<sse::Event, UpstreamError>>;

pub(super) struct Line {
    /// Ours, and unguessable.
    pub(super) id: HeaderValue,
    /// Where messages are posted.
    pub(super) to: Uri,
    closing: Notify,
    state: Mutex<State>,
}

struct State {
    open: HashMap<u64, Open>,
    listener: Option<(u64, Sender)>,
    unheard: VecDeque<sse::Event>,
    /// The server answered `initialize` with a result.
    established: bool,
    over: bool,
    used: Instant,
    listeners: u64,
}

/// A request that waits for its answer.
struct Open {
    events: Sender,
    /// The client's own, in place of which the server was told the request's id.
    token: Option<Box<str>>,
    opening: bool,
}

/// An event, and where it goes.
pub(super) struct Delivery {
    pub(super) to: Sender,
    pub(super) event: sse::Event,
}

impl Line {
    pub(super) fn new(id: HeaderValue, to: Uri) -> Self {
        let state = State {
            open: HashMap::new(),
            listener: None,
            unheard: VecDeque::new(),
            established: false,
            over: false,
            used: Instant::now(),
            listeners: 0,
        };
        Self { id, to, closing: Notify::new(), state: Mutex::new(state) }
    }

    /// A request is about to be posted. When its stream is dropped, nobody waits any more; and an `initialize` that had no result
    /// takes the session with it.
    pub(super) fn expect(self: &Arc<Self>, id: u64, token: Option<Box<str>>, opening: bool) -> (Receiver, Waiting) {
        let (events, receiver) = mpsc::channel(QUEUE);
        let mut state = self.state();
        state.used = Instant::now();
        if state.listener.is_none() {
            state.tell(&events);
        }
        if !state.over {
            state.open.insert(id, Open { events, token, opening });
        }
        drop(state);
        (receiver, Waiting { line: Arc::clone(self), request: id, opening })
    }

    /// Hears what belongs to no request, in place of whoever did before.
    pub(super) fn listen(self: &Arc<Self>) -> (Receiver, Listening) {
        let (events, receiver) = mpsc::channel(QUEUE);
        let mut state = self.state();
        state.used = Instant::now();
        state.listeners += 1;
        let number = state.listeners;
        state.tell(&events);
        if !state.over {
            state.listener = Some((number, events));
        }
        drop(state);
        (receiver, Listening { line: Arc::clone(self), number })
    }

    /// Who gets this event of the server's. None: nobody, or nobody yet.
    pub(super) fn route(&self, event: sse::Event) -> Option<Delivery> {
        let data = event.data.filter(|_| event.event.as_deref().is_none_or(|name| name == "message"))?;
        let mut state = self.state();
        let (to, rewritten) = match ServerMessage::read(&data)? {
            ServerMessage::Answer(answer) => (Some(state.answered(&answer)?), None),
            ServerMessage::Notification { method, params } if method == PROGRESS => {
                let (to, params) = state.progress(params?.get())?;
                (Some(to), Some(Writer::server_message(None, PROGRESS, Some(&params))))
            }
            ServerMessage::Notification { .. } | ServerMessage::Request { .. } => (state.hearer(), None),
        };
        // Without an id, whatever the server wrote: nothing can be resumed here.
        let event = sse::Event { data: Some(rewritten.unwrap_or(data)), ..sse::Event::default() };
        match to {
            Some(to) => Some(Delivery { to, event }),
            None => {
                state.keep(event);
                None
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.state().over
    }

    /// Nobody uses it, and nobody did for that long.
    pub(super) fn is_idle(&self, span: Duration) -> bool {
        let state = self.state();
        state.open.is_empty() && state.listener.is_none() && state.used.elapsed() > span
    }

    /// Asks the one who reads the stream to stop.
    pub(super) fn close(&self) {
        self.state().over = true;
        self.closing.notify_one();
    }

    pub(super) async fn closed(&self) {
        self.closing.notified().await;
    }

    /// The stream is over: each request that still waits gets an error, and one only.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.over = true;
        state.listener = None;
        for (_, open) in state.open.drain() {
            // Where the queue is full, the end of the stream says the same.
            _ = open.events.try_send(Err(UpstreamError::StreamLost));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// An error without an id can only be about the one request that is open.
    fn answered(&mut self, answer: &Answer<'_>) -> Option<Sender> {
        let only = || self.open.keys().next().copied().filter(|_| self.open.len() == 1);
        let id = match &answer.id {
            Some(id) => id.ours()?,
            None => only()?,
        };
        let open = self.open.remove(&id)?;
        self.established |= open.opening && matches!(answer.verdict, Verdict::Result(_));
        Some(open.events)
    }

    /// Whose progress it is, under the client's own token.
    fn progress(&self, params: &str) -> Option<(Sender, String)> {
        let id: u64 = Object::read(params)?.get("progressToken")?.get().parse().ok()?;
        let open = self.open.get(&id)?;
        Some((open.events.clone(), mcp::replace(params, &["progressToken"], open.token.as_deref()?)?))
    }

    /// The client's own stream; without one, the request that is open longest: every message goes to one stream only.
    fn hearer(&self) -> Option<Sender> {
        let listener = self.listener.as_ref().map(|(_, events)| events);
        let oldest = || self.open.iter().min_by_key(|(id, _)| **id).map(|(_, open)| &open.events);
        listener.or_else(oldest).cloned()
    }

    fn keep(&mut self, event: sse::Event) {
        if self.unheard.len() >= UNHEARD {
            self.unheard.pop_front();
        }
        self.unheard.push_back(event);
    }

    fn tell(&mut self, events: &Sender) {
        for event in self.unheard.drain(..) {
            _ = events.try_send(Ok(event));
        }
    }
}

/// Somebody waits for an answer.
pub(super) struct Waiting {
    line: Arc<Line>,
    request: u64,
    opening: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.open.remove(&self.request);
        let stillborn = self.opening && !state.established;
        drop(state);
        if stillborn {
            self.line.close();
        }
    }
}

/// Somebody hears what belongs to no request.
pub(super) struct Listening {
    line: Arc<Line>,
    number: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.listener.take_if(|(number, _)| *number == self.number);
        state.used = Instant::now();
    }
}
