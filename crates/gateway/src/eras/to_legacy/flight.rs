//! One request under way at a legacy server: its messages turned into modern ones, parked while the client is asked, cancelled when
//! nobody waits for it any more.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use mcp::{Id, Method, Object, Params, ServerMessage, ServerMethod, ServerNotice, Verdict, Writer, sse};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::ToLegacy;
use super::answer::{Answer, URL_ELICITATION_REQUIRED};
use super::ask::{self, Ask, MAX_ASKS};
use super::level::Level;
use super::offers::Offers;
use super::parking::{Out, Place, Resumed};
use super::pool::Slot;
use super::request::Wanted;
use super::seal::Binding;
use super::session::{Aloft, Session};
use super::source::{Heard, Source};
use super::tasks;
use crate::agent::Agent;
use crate::answering::Answering;
use crate::limits::Held;
use crate::upstream::{Upstream, UpstreamError};

/// What is asked within this time of the first request is asked at once.
const TOGETHER: std::time::Duration = std::time::Duration::from_millis(20);

/// An answer that comes within this time is sent as one JSON message; for later ones a stream is opened.
const PROMPT: std::time::Duration = std::time::Duration::from_secs(1);

/// Events and messages between the session's stream, the request and the client that wait to be taken.
pub(super) const QUEUE: usize = 64;

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
    aloft: Aloft,
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
        let source = Source::post(&slot, &session, &upstream, message, held);
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
            aloft,
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

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Begun(session) => {
                if !Arc::ptr_eq(&session, &self.session) {
                    self.aloft = session.aloft(self.theirs, self.leg.binding.is_some(), self.routes.clone());
                    self.session = session;
                }
            }
            Heard::Messages(messages) => messages.iter().for_each(|message| self.take(message)),
            Heard::Only(message) => {
                self.take(&message);
                if self.ready.is_empty() && self.asks.is_empty() && self.source.is_over() {
                    self.ready.push_back(Step::Failed(UpstreamError::NotAnAnswer));
                }
            }
            Heard::Failed(error) => self.ready.push_back(Step::Failed(error)),
        }
    }

    fn take(&mut self, message: &[u8]) {
        match ServerMessage::read(message) {
            Some(ServerMessage::Answer(answer)) => {
                let own = answer.id.and_then(|id| id.ours()) == Some(self.theirs);
                if own || (answer.id.is_none() && matches!(answer.verdict, Verdict::Error(_))) {
                    self.answer(answer.verdict);
                }
            }
            Some(ServerMessage::Request { id, method, params }) => self.asked(id, &method, params.map(RawValue::get)),
            Some(ServerMessage::Notification { method, params }) => {
                if let Some(notice) = ServerNotice::named(&method) {
                    self.notice(notice, params.map(RawValue::get));
                }
            }
            None => tracing::debug!(server = %self.slot.server_id(), "a message of the server's was dropped"),
        }
    }

    fn answer(&mut self, verdict: Verdict<'_>) {
        self.source.end();
        let ours = self.leg.ours;
        let answer = match (verdict, &self.task) {
            (Verdict::Result(result), Task::Awaited) if let Some(id) = tasks::created(result.get()) => {
                return self.await_task(&id);
            }
            (Verdict::Result(result), Task::Handed) if let Some(id) = tasks::created(result.get()) => {
                self.to_legacy.tasks.settle(self.slot.server_id(), &id, &self.slot);
                tasks::handed(result.get(), &self.session).map(|task| Answer::result(ours, &task))
            }
            (Verdict::Error(error), _) if crate::era::error_code(error.get()) == Some(URL_ELICITATION_REQUIRED) => {
                let urls = ask::urls(error);
                if self.leg.offers.url && !urls.is_empty() && self.leg.binding.is_some() {
                    self.asks = urls;
                    self.landed = true;
                    return self.ready.push_back(Step::Asks);
                }
                Some(Answer::needs_urls(ours))
            }
            _ => Answer::of(ours, self.method, verdict, &self.session),
        };
        self.ready.push_back(answer.map_or(Step::Failed(UpstreamError::NotAnAnswer), Step::Answer));
    }

    /// The call became a task, which its client does not know: its result is asked for, and comes when it is done.
    fn await_task(&mut self, id: &str) {
        let mut params = Params::default();
        params.add("taskId", mcp::string(id));
        self.task = Task::Running(id.into());
        self.theirs = self.leg.upstream.server.next_id();
        self.aloft = self.session.aloft(self.theirs, self.leg.binding.is_some(), self.routes.clone());
        let message = Writer::request(self.theirs, Method::TasksResult, &params);
        self.source = Source::post(&self.slot, &self.session, &self.leg.upstream, message, None);
    }

    /// A request of the server's.
    fn asked(&mut self, id: Id<'_>, method: &str, params: Option<&str>) {
        let known = ServerMethod::named(method);
        let permitted = known.filter(|method| self.leg.binding.is_some() && self.leg.offers.permits(*method, params));
        match (known, permitted) {
            (Some(ServerMethod::Ping), _) => self.tell(Writer::result(id.as_json(), "{}")),
            (_, Some(method)) if self.asks.len() < MAX_ASKS => {
                self.asks.push(Ask::new(self.next_key, Some(id.as_json()), method, params));
                self.next_key += 1;
                if !self.parked {
                    self.due.get_or_insert_with(|| Instant::now() + TOGETHER);
                }
            }
            _ => self.tell(declined(id.as_json())),
        }
    }

    fn notice(&mut self, notice: ServerNotice, params: Option<&str>) {
        let given = params.and_then(Object::read).unwrap_or_default();
        let passed = match notice {
            ServerNotice::Progress => {
                let own = given.get("progressToken").and_then(Id::read).and_then(|token| token.ours());
                let token = self.leg.wanted.token.as_deref().filter(|_| own == Some(self.theirs));
                token.map(|token| given.amended(&[], &[("progressToken", token)]))
            }
            ServerNotice::Message => {
                let level = given.text("level").and_then(|name| Level::named(&name));
                let told = level.zip(self.leg.wanted.level).is_some_and(|(level, wanted)| level >= wanted);
                params.filter(|_| told).map(str::to_owned)
            }
            ServerNotice::Cancelled => {
                let withdrawn = given.get("requestId").map(RawValue::get);
                self.asks.retain(|ask| ask.id.as_deref() != withdrawn);
                if self.asks.is_empty() {
                    self.due = None;
                }
                None
            }
            ServerNotice::ToolsChanged
            | ServerNotice::PromptsChanged
            | ServerNotice::ResourcesChanged
            | ServerNotice::ResourceUpdated
            | ServerNotice::TaskStatus => {
                self.slot.notice(&self.session, &self.leg.upstream, notice, params);
                None
            }
            ServerNotice::ElicitationComplete | ServerNotice::Tasks | ServerNotice::Acknowledged => None,
        };
        if let Some(params) = passed.filter(|_| !self.parked) {
            self.ready.push_back(Step::Message(Writer::server_message(None, notice.as_str(), Some(&params))));
        }
    }

    /// Asks the client: ends its request, and keeps ours. None where there is no room; then the server is told no.
    fn park(&mut self) -> Option<(Answer, Option<Waits>)> {
        let lifetime = self.leg.upstream.bounds.input_timeout;
        let again = self.asks.iter().all(|ask| ask.id.is_none());
        let (go_on, resumed) = oneshot::channel();
        let expires = Instant::now() + lifetime;
        let place = Place {
            agent: Arc::clone(&self.leg.agent.key),
            slot: Arc::clone(&self.slot),
            session: Arc::clone(&self.session),
            asks: self.asks.clone(),
            go_on: (!again).then_some(go_on),
            expires,
        };
        let sealed = self.leg.binding.zip(self.to_legacy.seal.as_ref()).and_then(|(binding, seal)| {
            let id = self.to_legacy.parking.park(place)?;
            seal.seal(id, &binding, lifetime).map(|state| (id, state))
        });
        let Some((id, state)) = sealed else {
            tracing::warn!(server = %self.slot.server_id(), "too many calls wait for their clients: one was not asked");
            if again {
                self.ready.push_back(Step::Failed(UpstreamError::LatelyFailed));
            }
            self.decline_all();
            return None;
        };
        let answer = Answer::result(self.leg.ours, &ask::input_required(&self.asks, &state, &self.session));
        self.parked = !again;
        self.landed |= again;
        Some((answer, (!again).then_some(Waits { id, resumed, expires })))
    }

    /// Waits for the client to come back. None if it does not: dropping the flight cancels it.
    async fn wait(&mut self, mut waits: Waits) -> Option<Out> {
        let asked = self.asks.len();
        let mut kept = None;
        let resumed = loop {
            tokio::select! {
                biased;
                resumed = &mut waits.resumed => break resumed.ok()?,
                () = tokio::time::sleep_until(waits.expires) => {
                    if self.to_legacy.parking.take(waits.id).is_some() {
                        tracing::info!(server = %self.slot.server_id(), "a client that was asked did not come back");
                        self.decline_all();
                        return None;
                    }
                    break waits.resumed.await.ok()?; // it is coming back right now
                }
                // Read on: a server that shares its way with others must not be held up.
                step = self.next(), if kept.is_none() => match step {
                    Step::Answer(_) | Step::Failed(_) => kept = Some(step),
                    Step::Message(_) | Step::Asks => {}
                }
            }
        };
        self.parked = false;
        self.asks.drain(..asked.min(self.asks.len()));
        self.due = (!self.asks.is_empty()).then(Instant::now);
        self.leg = resumed.leg;
        self.ready.extend(kept.map(|step| self.readdressed(step)));
        Some(resumed.out)
    }

    /// What was answered meanwhile goes to the request that the client waits for now.
    fn readdressed(&self, step: Step) -> Step {
        let Step::Answer(answer) = step else { return step };
        let verdict = match ServerMessage::read(&answer.message) {
            Some(ServerMessage::Answer(read)) => Writer::answer(&self.leg.ours.to_string(), read.verdict),
            Some(_) | None => return Step::Failed(UpstreamError::NotAnAnswer),
        };
        Step::Answer(Answer { message: verdict, ..answer })
    }

    fn decline_all(&mut self) {
        for ask in std::mem::take(&mut self.asks) {
            if let Some(id) = &ask.id {
                self.tell(Writer::error(Some(id), -32603, "the client did not answer in time", None));
            }
        }
    }

    fn failed(&mut self, error: UpstreamError) -> UpstreamError {
        // Whatever ended the exchange, the server is not at work; only one that is too slow may be.
        self.landed |= !matches!(error, UpstreamError::Timeout);
        error
    }

    pub(super) fn land(&mut self) {
        self.landed = true;
    }

    pub(super) fn patience(&self) -> std::time::Duration {
        self.leg.upstream.bounds.input_timeout
    }

    fn tell(&self, message: Vec<u8>) {
        self.session.aside(&self.leg.upstream, message);
    }
}

/// What a parked call waits with.
pub(super) struct Waits {
    id: u64,
    resumed: oneshot::Receiver<Resumed>,
    expires: Instant,
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
