//! One request under way at a legacy server: its messages turned into modern ones, parked while the client is asked, cancelled when
//! nobody waits for it any more.

mod heard;
mod parked;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use mcp::{Method, Params, ServerMethod, Writer, sse};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ToLegacy;
use super::answer::Answer;
use super::ask::Ask;
use super::offers::Offers;
use super::parking::Out;
use super::pool::Slot;
use super::request::Wanted;
use super::seal::Binding;
use super::session::{Aloft, Session};
use super::source::Source;
use crate::agent::Agent;
use crate::answering::Answering;
use crate::exchange::asks;
use crate::limits::Held;
use crate::upstream::{Upstream, UpstreamError};
use parked::Waits;

/// An answer that comes within this time is sent as one JSON message; for later ones a stream is opened.
const PROMPT: std::time::Duration = std::time::Duration::from_secs(1);

/// Events and messages between the session's stream, the request and the client that wait to be taken.
pub(super) const QUEUE: usize = 8;

/// A client's part in a request: from its call, or its retry, to what it is answered.
pub(super) struct Leg {
    /// The id under which the client's side knows it.
    pub(super) ours: u64,
    pub(super) upstream: Upstream,
    pub(super) agent: Agent,
    pub(super) wanted: Wanted,
    pub(super) offers: Offers,
    /// What its state is bound to; none where it cannot be asked for anything.
    pub(super) binding: Option<Binding>,
}

impl Leg {
    /// Does the policy in force let the server ask for this? A request of its own, however old the call is.
    fn lets_ask(&self, method: ServerMethod) -> bool {
        let policy = self.upstream.policy().current();
        asks(method).is_none_or(|ask| policy.policy.reverse(ask))
    }
}

/// Does the request become a task?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Never,
    /// The client knows tasks, and gets it.
    Handed,
    /// It does not: the result is waited for here.
    Awaited,
    /// It is being waited for.
    Running(Box<str>),
}

/// What comes next for the client.
pub(super) enum Step {
    Message(Vec<u8>),
    Answer(Answer),
    /// It has to be asked for something.
    Asks,
    Failed(UpstreamError),
}

pub(super) struct Flight {
    to_legacy: Arc<ToLegacy>,
    slot: Arc<Slot>,
    pub(super) session: Arc<Session>,
    method: Method,
    /// The id under which the server knows it.
    theirs: u64,
    task: Task,
    leg: Leg,
    source: Source,
    /// From the session's own stream.
    routed: mpsc::Receiver<Bytes>,
    routes: mpsc::Sender<Bytes>,
    /// The id that it began with, by which progress is told; and where messages about it are expected.
    token: u64,
    aloft: Vec<Aloft>,
    pub(super) asks: Vec<Ask>,
    next_key: u64,
    /// When what was asked so far goes to the client.
    due: Option<Instant>,
    ready: VecDeque<Step>,
    parked: bool,
    /// The server is done with it, or never had it: there is nothing to cancel.
    landed: bool,
}

impl Flight {
    pub(super) fn launch(
        to_legacy: &Arc<ToLegacy>,
        slot: Arc<Slot>,
        session: Arc<Session>,
        (method, params): (Method, &Params<'_>),
        task: Task,
        leg: Leg,
        held: Option<Held>,
    ) -> Self {
        let theirs = leg.ours;
        let (routes, routed) = mpsc::channel(QUEUE);
        let aloft = session.aloft(theirs, leg.binding.is_some(), routes.clone());
        let message = Writer::request(theirs, method, params);
        let mut upstream = leg.upstream.clone();
        if leg.binding.is_some() {
            upstream.deadline += upstream.bounds.input_timeout; // the server may wait for the client before it says anything
        }
        // INVARIANT: what a policy permitted is sent once for each time that it was counted.
        let again = !super::can_ask(method);
        let source = Source::post(&slot, &session, &upstream, (message, again), held);
        Self {
            to_legacy: Arc::clone(to_legacy),
            slot,
            session,
            method,
            theirs,
            task,
            leg,
            source,
            routed,
            routes,
            token: theirs,
            aloft: vec![aloft],
            asks: Vec::new(),
            next_key: 1,
            due: None,
            ready: VecDeque::new(),
            parked: false,
            landed: false,
        }
    }

    /// The response to the client: one message if it comes soon, else a stream.
    pub(super) async fn response(mut self) -> Result<Response<Answering>, UpstreamError> {
        match tokio::time::timeout(PROMPT, self.next()).await {
            Err(_) => {}
            Ok(Step::Message(message)) => self.ready.push_front(Step::Message(message)),
            Ok(Step::Answer(answer)) => {
                self.landed = true;
                return Ok(answer.response());
            }
            Ok(Step::Failed(error)) => return Err(self.failed(error)),
            Ok(Step::Asks) => {
                if let Some((answer, waits)) = self.park() {
                    if let Some(waits) = waits {
                        tokio::spawn(self.wait_and_go_on(waits));
                    }
                    return Ok(answer.response());
                }
            }
        }
        let (out, events) = mpsc::channel(QUEUE);
        tokio::spawn(self.run(out));
        Ok(Answering::events(events, None))
    }

    async fn wait_and_go_on(mut self, waits: Waits) {
        if let Some(out) = self.wait(waits).await {
            self.run(out).await;
        }
    }

    /// Brings the client all there is until it is answered; dropped before, the request is cancelled.
    async fn run(mut self, mut out: Out) {
        loop {
            let step = tokio::select! {
                biased;
                () = out.closed() => return, // the client hung up
                step = self.next() => step,
            };
            let event = match step {
                Step::Message(message) => Ok(event(message)),
                Step::Failed(error) => Err(self.failed(error)),
                Step::Answer(answer) => {
                    self.landed = true;
                    Ok(event(answer.message))
                }
                Step::Asks => {
                    let Some((answer, waits)) = self.park() else { continue };
                    if out.send(Ok(event(answer.message))).await.is_err() {
                        return; // the state went to nobody
                    }
                    drop(out);
                    let Some(waits) = waits else { return };
                    match self.wait(waits).await {
                        Some(resumed) => out = resumed,
                        None => return,
                    }
                    continue;
                }
            };
            let over = self.landed || event.is_err();
            if out.send(event).await.is_err() || over {
                return;
            }
        }
    }

    /// INVARIANT: this can be given up at any time, and nothing is lost.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return step;
            }
            let due = self.due;
            let together = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                heard = self.source.next() => self.hear(heard),
                Some(message) = self.routed.recv() => self.take(&message),
                () = together => {
                    self.due = None;
                    return Step::Asks;
                }
            }
        }
    }

    fn failed(&mut self, error: UpstreamError) -> UpstreamError {
        // Then it never ran. Whatever else ended the exchange, the server may still be at work.
        self.landed |=
            matches!(error, UpstreamError::Status(_) | UpstreamError::Connect(_) | UpstreamError::SessionLost);
        error
    }

    pub(super) fn land(&mut self) {
        self.landed = true;
    }

    pub(super) fn has_landed(&self) -> bool {
        self.landed
    }

    pub(super) fn patience(&self) -> std::time::Duration {
        self.leg.upstream.bounds.input_timeout
    }

    fn tell(&self, message: Vec<u8>) {
        self.session.aside(&self.leg.upstream, message);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        let mut params = Params::default();
        let message = match &self.task {
            Task::Running(id) => {
                params.add("taskId", mcp::string(id));
                Writer::request(self.leg.upstream.server.next_id(), Method::TasksCancel, &params)
            }
            Task::Never | Task::Handed | Task::Awaited => {
                params.add("requestId", self.theirs.to_string());
                params.add("reason", mcp::string("the client does not wait any more"));
                Writer::notification(mcp::Notice::Cancelled, &params)
            }
        };
        self.tell(message);
    }
}

/// The answer to a server that asks for what it cannot have.
pub(super) fn declined(id: &str) -> Vec<u8> {
    Writer::error(Some(id), -32601, "the client cannot be asked for this", None)
}

pub(super) fn event(message: Vec<u8>) -> sse::Event {
    sse::Event { data: Some(message), ..sse::Event::default() }
}
