//! The tasks of 2025-11-25 before a server that has those of the extension: made, polled, answered and cancelled in the client's words.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mcp::{Kind, Method, Object, Params, Revision, Verdict, Writer};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::answer::{self, Input};
use super::asking::Wanted;
use super::call::{Call, End, Ready};
use super::{Outgoing, ToModern};
use crate::refusal::{Refusal, Refused};
use crate::session::random_id;
use crate::upstream::UpstreamError;

/// Tasks that a session lists: the latest.
const MAX_LISTED: usize = 16;

/// Inputs that one task may need.
const MAX_ANSWERED: usize = 64;

/// Calls that the server answered at once, though the client wanted a task: what came of them is kept for the client to fetch it.
const MAX_KEPT: usize = 16;
const KEPT: Duration = Duration::from_secs(10 * 60);

/// All that is kept so, for all sessions, in KiB.
static ROOM: Semaphore = Semaphore::const_new(256 << 10);

/// How often a task is asked for, whatever the server suggests, and when it suggests nothing.
const SHORTEST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_secs(1);

const RELATED: &str = "io.modelcontextprotocol/related-task";

/// The tasks of one session.
#[derive(Default)]
pub(super) struct Known(Mutex<State>);

#[derive(Default)]
struct State {
    listed: VecDeque<Box<str>>,
    kept: VecDeque<Arc<Finished>>,
}

/// A call that was over before it could be a task.
struct Finished {
    id: Box<str>,
    /// As legacy writes it.
    task: Box<str>,
    result: Box<str>,
    since: Instant,
    _room: SemaphorePermit<'static>,
}

impl Known {
    fn list(&self, id: &str) {
        let listed = &mut self.state().listed;
        if listed.iter().all(|known| &**known != id) {
            listed.push_back(id.into());
        }
        if listed.len() > MAX_LISTED {
            listed.pop_front();
        }
    }

    fn listed(&self) -> Vec<Box<str>> {
        self.state().listed.iter().cloned().collect()
    }

    /// Keeps a result; none where there is no room for it.
    fn keep(&self, result: &str) -> Result<Arc<Finished>, Refusal> {
        let size = u32::try_from(result.len() >> 10).unwrap_or(u32::MAX).saturating_add(1);
        let room = ROOM.try_acquire_many(size).map_err(|_| Refusal::TooManyOpen)?;
        let id = random_id()?;
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        let task = format!(
            r#"{{"taskId":"{id}","status":"completed","createdAt":"{now}","lastUpdatedAt":"{now}","ttl":{}}}"#,
            KEPT.as_millis()
        );
        let finished =
            Arc::new(Finished { id, task: task.into(), result: result.into(), since: Instant::now(), _room: room });
        let kept = &mut self.state().kept;
        kept.retain(|kept| kept.since.elapsed() < KEPT);
        if kept.len() >= MAX_KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&finished));
        Ok(finished)
    }

    fn kept(&self, id: &str) -> Option<Arc<Finished>> {
        let state = self.state();
        state.kept.iter().find(|kept| &*kept.id == id && kept.since.elapsed() < KEPT).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ToModern {
    /// The answer about a task that is kept here, if it is one; or that there are no tasks.
    pub(super) fn task_here(&self, out: &Outgoing) -> Option<Result<String, Refused>> {
        if !self.serves.tasks {
            return Some(Err(out.to.refuse(Refusal::Unknown(out.method.as_str().into()))));
        }
        let finished = self.known.kept(out.params.name()?)?;
        Some(if out.method == Method::TasksResult {
            Ok(related(&finished.result, &finished.id))
        } else if out.method == Method::TasksCancel {
            Err(out.to.params(Kind::Params("the task is over")))
        } else {
            Ok(finished.task.to_string())
        })
    }
}

impl Call {
    /// The answer to a call that was to be a task: the server's, or one that is over already.
    pub(super) fn made(&self, answer: Vec<u8>) -> End {
        let ours = self.out.ours.to_string();
        let Some(mcp::ServerMessage::Answer(mcp::Answer { verdict: Verdict::Result(result), .. })) =
            mcp::ServerMessage::read(&answer)
        else {
            return End::Answer(answer);
        };
        match self.translated.known.keep(result.get()) {
            Ok(finished) => End::Answer(Writer::result(&ours, &format!("{{\"task\":{}}}", finished.task))),
            Err(why) => self.out.to.refuse(why).into(),
        }
    }

    /// The server made a task.
    pub(super) fn created(&self, task: &Object<'_>) -> End {
        let Some(id) = task.text("taskId") else { return UpstreamError::NotAnAnswer.into() };
        self.translated.known.list(&id);
        let meta = task.get("_meta").map(|meta| ("_meta", meta.get()));
        let task = as_legacy(task);
        let members: Vec<(&str, &str)> = [("task", task.as_str())].into_iter().chain(meta).collect();
        End::Answer(Writer::result(&self.out.ours.to_string(), &Object::default().amended(&[], &members)))
    }

    /// `tasks/*`.
    pub(super) async fn task(&mut self, first: Ready) -> Result<Vec<u8>, End> {
        let id: Box<str> = self.out.params.name().unwrap_or_default().into();
        let method = self.out.method;
        if method == Method::TasksResult {
            return self.outcome(&id).await;
        }
        let result = match method == Method::TasksList {
            true => self.list().await?,
            false => {
                let sent = first.id;
                let answer = self.post(method, Some(&id), first).await?;
                let answer = self.result_of(&answer, sent)?;
                // A modern server only says that it heard of a cancellation; what came of it is the task's to tell.
                let task = if method == Method::TasksCancel { self.get(&id).await? } else { answer };
                as_result(&Object::read(task.get()).ok_or(UpstreamError::NotAnAnswer)?)
            }
        };
        Ok(Writer::result(&self.out.ours.to_string(), &result))
    }

    /// The session's tasks, as they are now. One that the server no longer knows is not listed.
    async fn list(&mut self) -> Result<String, End> {
        let kept: Vec<Arc<Finished>> = self.translated.known.state().kept.iter().cloned().collect();
        let kept = kept.iter().filter(|kept| kept.since.elapsed() < KEPT);
        let mut tasks: Vec<String> = kept.map(|kept| kept.task.to_string()).collect();
        for id in self.translated.known.listed() {
            match self.get(&id).await {
                Ok(task) => tasks.push(as_legacy(&Object::read(task.get()).unwrap_or_default())),
                Err(End::Answer(_)) => {}
                Err(end) => return Err(end),
            }
        }
        Ok(format!("{{\"tasks\":[{}]}}", tasks.join(",")))
    }

    /// What came of a task: asked for until it is over, or the time is.
    async fn outcome(&mut self, id: &str) -> Result<Vec<u8>, End> {
        let ours = self.out.ours.to_string();
        self.feed.begin()?;
        let mut answered: HashSet<Box<str>> = HashSet::new();
        let mut deadline = Instant::now() + self.out.upstream.bounds.call_timeout;
        loop {
            let task = self.get(id).await?;
            let task = Object::read(task.get()).ok_or(UpstreamError::NotAnAnswer)?;
            match (task.text("status").as_deref(), task.get("result"), task.get("error")) {
                (Some("completed"), Some(result), _) => {
                    let result = answer::result(result, Method::ToolsCall)?;
                    return Ok(Writer::result(&ours, &related(&result, id)));
                }
                (Some("failed"), _, Some(error)) => return Ok(answer::error(error, Method::TasksResult, &ours)?),
                (Some("cancelled"), _, _) => return Err(self.out.to.refuse(Refusal::TaskCancelled).into()),
                (Some("input_required"), _, _) => {
                    let Input { wanted, .. } = answer::input(&task)?;
                    let new: Vec<Wanted> =
                        wanted.into_iter().filter(|wanted| !answered.contains(&wanted.key)).collect();
                    if !new.is_empty() {
                        let asked = Instant::now();
                        self.update(id, &new).await?;
                        deadline += asked.elapsed(); // what a person takes is not the server's
                        answered.extend(new.into_iter().map(|wanted| wanted.key));
                    }
                }
                (Some("working"), _, _) => {}
                _ => return Err(UpstreamError::NotAnAnswer.into()),
            }
            if answered.len() > MAX_ANSWERED {
                return Err(self.out.to.refuse(Refusal::Input("too often")).into());
            }
            tokio::select! {
                () = tokio::time::sleep(poll(&task)) => {}
                () = self.feed.closed() => return Err(End::Gone), // the task stays, and can be asked for again
            }
            if Instant::now() >= deadline {
                return Err(UpstreamError::Timeout.into());
            }
        }
    }

    /// Gets from the client what the task needs, and tells the server.
    async fn update(&mut self, id: &str, wanted: &[Wanted]) -> Result<(), End> {
        let wanted: Vec<Wanted> = wanted.iter().map(|wanted| wanted.related_to(RELATED, &task_meta(id))).collect();
        let given = self.ask(&wanted).await?;
        let text = format!("{{\"taskId\":{},\"inputResponses\":{given}}}", mcp::string(id));
        let params = Object::read(&text).ok_or(UpstreamError::NotAnAnswer)?;
        let params = Params::of(Method::TasksUpdate, Revision::MODERN, &params);
        let params = params.map_err(|_| UpstreamError::NotAnAnswer)?.into_owned();
        let (ready, _) = self.judged(Method::TasksUpdate, params).await?;
        let sent = ready.id;
        let answer = self.post(Method::TasksUpdate, Some(id), ready).await?;
        self.result_of(&answer, sent).map(drop)
    }

    /// The task as the server sees it.
    async fn get(&mut self, id: &str) -> Result<Box<RawValue>, End> {
        self.out.upstream = self.out.upstream.renewed();
        let sent = self.out.entry.server.next_id();
        let mut params = Params::default();
        params.add("taskId", mcp::string(id));
        self.translated.dress_params(&mut params, true);
        let ready = Ready { id: sent, message: Writer::request(sent, Method::TasksGet, &params), held: None };
        let answer = self.post(Method::TasksGet, Some(id), ready).await?;
        self.result_of(&answer, sent)
    }

    /// A result as it came; an error is the end, in the words of legacy.
    fn result_of(&self, answer: &[u8], sent: u64) -> Result<Box<RawValue>, End> {
        match answer::verdict(answer, sent)? {
            Verdict::Result(result) => Ok(result.to_owned()),
            Verdict::Error(error) => {
                let ours = self.out.ours.to_string();
                Err(End::Answer(answer::error(error, self.out.method, &ours)?))
            }
        }
    }
}

fn poll(task: &Object<'_>) -> Duration {
    let suggested = task.get("pollIntervalMs").and_then(|poll| poll.get().parse().ok());
    suggested.map_or(POLL, Duration::from_millis).clamp(SHORTEST_POLL, LONGEST_POLL)
}

/// A task without what only modern has, under the names of legacy.
fn as_legacy(task: &Object<'_>) -> String {
    told(task, &["_meta"])
}

/// The same as a result of its own, which has its own `_meta`.
fn as_result(task: &Object<'_>) -> String {
    told(task, &[])
}

fn told(task: &Object<'_>, without: &[&str]) -> String {
    let modern = ["resultType", "ttlMs", "pollIntervalMs", "inputRequests", "requestState", "result", "error"];
    let without: Vec<&str> = modern.iter().chain(without).copied().collect();
    let mut with = vec![("ttl", task.get("ttlMs").map_or("null", RawValue::get))];
    with.extend(task.get("pollIntervalMs").map(|poll| ("pollInterval", poll.get())));
    task.amended(&without, &with)
}

fn task_meta(id: &str) -> String {
    format!("{{\"taskId\":{}}}", mcp::string(id))
}

/// A result that says which task it is of.
fn related(result: &str, id: &str) -> String {
    with_meta(result, RELATED, &task_meta(id))
}

/// An object with one more member in its `_meta`.
pub(super) fn with_meta(object: &str, key: &str, value: &str) -> String {
    let object = Object::read(object).unwrap_or_default();
    let meta = object.object("_meta").unwrap_or_default().amended(&[], &[(key, value)]);
    object.amended(&[], &[("_meta", &meta)])
}
