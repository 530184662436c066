//! Tasks of both kinds: the experimental ones of 2025-11-25 as the extension of 2026-07-28 knows them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::{Response, StatusCode};
use mcp::{Method, Object, Params, ServerMessage, Verdict, Writer};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ToLegacy;
use super::answer::{Answer, complete, finished, modern_error};
use super::ask::{self, Ask};
use super::flight::{Flight, Leg, Step, Task};
use super::pool::Slot;
use super::session::Session;
use crate::agent::Agent;
use crate::answering::Answering;
use crate::refusal::Refusal;
use crate::upstream::{Upstream, UpstreamError};

/// Tasks whose session is remembered, and tasks that wait for their clients' answers, in all and of one agent.
const MAX_TASKS: usize = 10_000;
const MAX_WATCHES: usize = 1000;
const MAX_WATCHES_PER_AGENT: usize = 64;

/// How long `tasks/get` waits for what a task wants to ask.
const PROMPT: std::time::Duration = std::time::Duration::from_secs(1);

/// Server, agent, task. INVARIANT: the agent is part of it: servers may give equal ids to two of them.
type Key = (Arc<str>, Arc<str>, Box<str>);

#[derive(Default)]
pub(super) struct Tasks {
    homes: Mutex<HashMap<Key, Weak<Slot>>>,
    watches: Mutex<HashMap<Key, Arc<Watch>>>,
}

/// A task that asks: its `tasks/result` is under way, since that is where a legacy server asks.
struct Watch {
    agent: Arc<str>,
    asks: Mutex<BTreeMap<Box<str>, Ask>>,
    asked: Notify,
}

impl Tasks {
    /// Where a task lives.
    pub(super) fn settle(&self, id: &str, slot: &Arc<Slot>) {
        let mut homes = lock(&self.homes);
        if homes.len() >= MAX_TASKS {
            homes.retain(|_, slot| slot.strong_count() > 0);
        }
        if homes.len() < MAX_TASKS {
            homes.insert(key(slot, id), Arc::downgrade(slot));
        }
    }

    pub(super) fn home(&self, server: &Arc<str>, agent: &Agent, id: &str) -> Option<Arc<Slot>> {
        lock(&self.homes).get(&(Arc::clone(server), Arc::clone(&agent.key), id.into()))?.upgrade()
    }

    /// None where there is no room.
    fn begin(&self, key: &Key, agent: &Arc<str>) -> Option<Arc<Watch>> {
        let mut watches = lock(&self.watches);
        let own = watches.values().filter(|watch| watch.agent == *agent).count();
        if watches.len() >= MAX_WATCHES || own >= MAX_WATCHES_PER_AGENT {
            return None;
        }
        let watch = Arc::new(Watch { agent: Arc::clone(agent), asks: Mutex::default(), asked: Notify::new() });
        watches.insert(key.clone(), Arc::clone(&watch));
        Some(watch)
    }

    fn watch(&self, key: &Key) -> Option<Arc<Watch>> {
        lock(&self.watches).get(key).cloned()
    }
}

fn key(slot: &Slot, id: &str) -> Key {
    (Arc::clone(slot.server_key()), Arc::clone(slot.agent_key()), id.into())
}

impl ToLegacy {
    /// `tasks/get`: with the result in it once there is one, and with what the task asks.
    pub(super) async fn task(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        session: &Arc<Session>,
        leg: Leg,
        id: &str,
    ) -> Result<Response<Answering>, Refusal> {
        let ours = leg.ours;
        let mut session = Arc::clone(session);
        let detailed = match detail(&session, &leg.upstream, id).await {
            Err(UpstreamError::Status(StatusCode::NOT_FOUND)) => {
                session = slot.again(&session, &leg.upstream).await?;
                detail(&session, &leg.upstream, id).await?
            }
            detailed => detailed?,
        };
        let task = match detailed {
            Ok(task) => task,
            Err(error) => return Ok(Answer { message: readdressed(error.message, ours), ..error }.response()),
        };
        let known = Object::read(&task).ok_or(UpstreamError::NotAnAnswer)?;
        let task = match known.text("status").as_deref() == Some("input_required") {
            false => task.clone(),
            true => match self.asks_of(slot, &session, leg, id).await {
                asks if asks == "{}" => known.amended(&[], &[("status", "\"working\"")]),
                asks => known.amended(&[], &[("inputRequests", &asks)]),
            },
        };
        let result = finished(&task, "complete", false, &session).ok_or(UpstreamError::NotAnAnswer)?;
        Ok(Answer::result(ours, &result).response())
    }

    async fn asks_of(self: &Arc<Self>, slot: &Arc<Slot>, session: &Arc<Session>, leg: Leg, id: &str) -> String {
        let key = key(slot, id);
        let watch = match self.tasks.watch(&key) {
            Some(watch) => watch,
            None => {
                let Some(watch) = self.tasks.begin(&key, &leg.agent.key) else {
                    tracing::warn!(server = %slot.server_key(), agent = %leg.agent.key, "too many tasks wait for their clients");
                    return "{}".to_owned();
                };
                let mut params = Params::default();
                params.add("taskId", mcp::string(id));
                let (to, ours) = (Arc::clone(self), leg.upstream.server.next_id());
                let way = leg.upstream.renewed();
                let leg = Leg { ours, upstream: way, ..leg };
                let asking = (Method::TasksResult, &params);
                let flight =
                    Flight::launch(self, Arc::clone(slot), Arc::clone(session), asking, Task::Never, leg, None);
                tokio::spawn(async move { watching(&to, key, flight).await });
                watch
            }
        };
        let asked = watch.asked.notified();
        if lock(&watch.asks).is_empty() {
            _ = tokio::time::timeout(PROMPT, asked).await;
        }
        let asks = lock(&watch.asks);
        ask::input_requests(asks.values())
    }

    /// `tasks/update`: what the server asked, answered. What it did not ask is ignored, as the extension says.
    pub(super) async fn update(
        &self,
        slot: &Arc<Slot>,
        session: &Arc<Session>,
        upstream: &Upstream,
        ours: u64,
        (id, responses): (&str, Option<&str>),
    ) -> Result<Response<Answering>, Refusal> {
        let watch = self.tasks.watch(&key(slot, id));
        let given = responses.and_then(Object::read).unwrap_or_default();
        for (key, answer) in given.iter().filter(|(_, answer)| answer.get().starts_with('{')) {
            // INVARIANT: each is answered once
            let ask = watch.as_ref().and_then(|watch| lock(&watch.asks).remove(key));
            let Some(their) = ask.and_then(|ask| ask.id) else { continue };
            let answered = upstream.post(session.headers(), Writer::result(&their, answer.get()), None).await?;
            if !answered.status().is_success() {
                return Err(UpstreamError::Status(answered.status()).into());
            }
        }
        acknowledged(ours, session)
    }

    pub(super) async fn cancel_task(
        &self,
        slot: &Arc<Slot>,
        session: &Arc<Session>,
        upstream: &Upstream,
        ours: u64,
        id: &str,
    ) -> Result<Response<Answering>, Refusal> {
        let answer = match session.ask(upstream, Method::TasksCancel, &named(id)).await {
            Err(UpstreamError::Status(StatusCode::NOT_FOUND)) => {
                slot.again(session, upstream).await?.ask(upstream, Method::TasksCancel, &named(id)).await?
            }
            answer => answer?,
        };
        match verdict(&answer)? {
            Verdict::Result(_) => acknowledged(ours, session),
            error @ Verdict::Error(_) => {
                let answer = Answer::of(ours, Method::TasksCancel, error, session).ok_or(UpstreamError::NotAnAnswer)?;
                Ok(answer.response())
            }
        }
    }
}

/// Reads the `tasks/result` of a task that asks, until it is over or its client's time is.
async fn watching(to: &Arc<ToLegacy>, key: Key, mut flight: Flight) {
    let expires = Instant::now() + flight.patience();
    while let Ok(step) = tokio::time::timeout_at(expires, flight.next()).await {
        match step {
            Step::Message(_) => {}
            Step::Asks => {
                let Some(watch) = to.tasks.watch(&key) else { break };
                let mut asks = std::mem::take(&mut flight.asks);
                let mut waiting = lock(&watch.asks);
                let room = ask::MAX_ASKS.saturating_sub(waiting.len());
                flight.decline(asks.split_off(room.min(asks.len())), "too many questions wait for the client");
                waiting.extend(asks.into_iter().map(|ask| (ask.key.clone(), ask)));
                drop(waiting);
                watch.asked.notify_waiters();
            }
            Step::Answer(_) | Step::Failed(_) => {
                flight.land();
                break;
            }
        }
    }
    let over = lock(&to.tasks.watches).remove(&key);
    let unanswered = over.map(|watch| std::mem::take(&mut *lock(&watch.asks))).unwrap_or_default();
    if !flight.has_landed() {
        flight.decline(unanswered.into_values().collect(), "the client did not answer in time");
    }
}

/// The whole task, in the modern shape; or the error that the server gave instead.
pub(super) async fn detail(
    session: &Session,
    upstream: &Upstream,
    id: &str,
) -> Result<Result<String, Answer>, UpstreamError> {
    let answer = session.ask(upstream, Method::TasksGet, &named(id)).await?;
    let task = match verdict(&answer)? {
        Verdict::Result(task) => modern(task.get()).ok_or(UpstreamError::NotAnAnswer)?,
        error @ Verdict::Error(_) => {
            return Answer::of(0, Method::TasksGet, error, session).map(Err).ok_or(UpstreamError::NotAnAnswer);
        }
    };
    let known = Object::read(&task).ok_or(UpstreamError::NotAnAnswer)?;
    if !matches!(known.text("status").as_deref(), Some("completed" | "failed")) {
        return Ok(Ok(task));
    }
    let answer = session.ask(upstream, Method::TasksResult, &named(id)).await?;
    // A tool's own failure is a result; only what JSON-RPC calls an error has failed.
    Ok(Ok(match verdict(&answer)? {
        Verdict::Result(result) => {
            let result = complete(Method::ToolsCall, result, session).ok_or(UpstreamError::NotAnAnswer)?;
            known.amended(&[], &[("status", "\"completed\""), ("result", &result)])
        }
        Verdict::Error(error) => known.amended(&[], &[("status", "\"failed\""), ("error", &modern_error(error).1)]),
    }))
}

/// The id of the task that a result hands out, if it hands out one.
pub(super) fn created(result: &str) -> Option<String> {
    Some(Object::read(result)?.object("task")?.text("taskId")?.into_owned())
}

/// The result that hands a task out, in the modern shape.
pub(super) fn handed(result: &str, session: &Session) -> Option<String> {
    let result = Object::read(result)?;
    let task = modern(result.get("task")?.get())?;
    let whole = match result.get("_meta") {
        Some(meta) => Object::read(&task)?.amended(&[], &[("_meta", meta.get())]),
        None => task,
    };
    finished(&whole, "task", false, session)
}

fn modern(task: &str) -> Option<String> {
    let task = Object::read(task)?;
    let mut with = vec![("ttlMs", task.get("ttl").map_or("null", |ttl| ttl.get()))];
    with.extend(task.get("pollInterval").map(|interval| ("pollIntervalMs", interval.get())));
    Some(task.amended(&["ttl", "pollInterval"], &with))
}

fn named(id: &str) -> Params<'static> {
    let mut params = Params::default();
    params.add("taskId", mcp::string(id));
    params
}

fn verdict(answer: &[u8]) -> Result<Verdict<'_>, UpstreamError> {
    match ServerMessage::read(answer) {
        Some(ServerMessage::Answer(answer)) => Ok(answer.verdict),
        Some(_) | None => Err(UpstreamError::NotAnAnswer),
    }
}

fn readdressed(message: Vec<u8>, ours: u64) -> Vec<u8> {
    match verdict(&message) {
        Ok(verdict) => Writer::answer(&ours.to_string(), verdict),
        Err(_) => message,
    }
}

fn acknowledged(ours: u64, session: &Session) -> Result<Response<Answering>, Refusal> {
    let result = finished("{}", "complete", false, session).ok_or(UpstreamError::NotAnAnswer)?;
    Ok(Answer::result(ours, &result).response())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
