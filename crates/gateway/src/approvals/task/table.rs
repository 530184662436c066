//! The tasks of this node that stand for calls that wait for a person: each holds its request until it may leave, and then what came of
//! it. Bounded in number and in bytes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use mcp::Object;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::id::Id;
use crate::refusal::Addressee;
use crate::ruling::Unapproved;

/// Tasks that wait, or whose end is kept: of one agent, and of all.
const MAX_OF_AGENT: usize = 64;
const MAX: usize = 4096;

/// Bytes of all requests and of all results that are kept, in KiB.
const ROOM: usize = 256 << 10;

/// Questions of a server's in one round.
const MAX_ASKED: usize = 16;

/// How long a client has to fetch what came of its call, after the approval would have expired.
pub(crate) const FETCHED_WITHIN_MS: i64 = 10 * 60 * 1000;

#[derive(Debug)]
pub(crate) struct Table {
    all: Mutex<HashMap<Box<str>, Arc<Task>>>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: Box<str>,
    pub(crate) id: Id,
    agent: Arc<str>,
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) told: Told,
    at: Mutex<At>,
    rounds: AtomicU32,
    stop: Notify,
    /// Of what is told in the end.
    room: Arc<Semaphore>,
    _request: OwnedSemaphorePermit,
}

/// What its client was told when it was made.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) to: Addressee,
    pub(crate) unapproved: Unapproved,
}

/// A stage, and since when.
#[derive(Debug)]
struct At {
    stage: Stage,
    since_ms: i64,
}

/// How far a task is.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Its request waits for this approval; or it was begun, and nobody waited for the end.
    Waits {
        approval: Box<str>,
        body: Bytes,
        begun: bool,
    },
    Runs,
    /// The server asked; what was answered yet.
    Asks {
        asked: Asked,
        given: Vec<(Box<str>, Box<str>)>,
    },
    /// The next request is this one.
    Answered {
        body: Bytes,
    },
    /// The server made a task of its own.
    Handed {
        theirs: Box<str>,
    },
    Over(Arc<Over>),
}

/// What a server asks during a call.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The request that it answered so.
    pub(crate) body: Bytes,
    pub(crate) round: u32,
    /// By the server's own keys, as JSON text.
    pub(crate) requests: Vec<(Box<str>, Box<str>)>,
    pub(crate) state: Option<Box<str>>,
}

#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) end: End,
    _room: Option<OwnedSemaphorePermit>,
}

/// JSON text.
#[derive(Debug)]
pub(crate) enum End {
    Completed(Box<str>),
    Failed(Box<str>),
    Cancelled,
}

impl Default for Table {
    fn default() -> Self {
        Self { all: Mutex::default(), room: Arc::new(Semaphore::new(ROOM)) }
    }
}

impl Table {
    /// False where there is no room for it.
    pub(crate) fn insert(
        &self,
        (name, id): (Box<str>, Id),
        agent: &Arc<str>,
        (headers, body): (&Arc<HeaderMap>, Bytes),
        told: Told,
        now_ms: i64,
    ) -> Option<Arc<Task>> {
        let mut all = self.all();
        all.retain(|_, task| !task.id.is_over(now_ms));
        let own = all.values().filter(|task| task.agent == *agent).count();
        if all.len() >= MAX || own >= MAX_OF_AGENT {
            return None;
        }
        let request = Arc::clone(&self.room).try_acquire_many_owned(kib(body.len())).ok()?;
        let waits = Stage::Waits { approval: id.approval.clone(), body, begun: false };
        let task = Arc::new(Task {
            name: name.clone(),
            id,
            agent: Arc::clone(agent),
            headers: Arc::clone(headers),
            told,
            at: Mutex::new(At { stage: waits, since_ms: now_ms }),
            rounds: AtomicU32::new(1),
            stop: Notify::new(),
            room: Arc::clone(&self.room),
            _request: request,
        });
        all.insert(name, Arc::clone(&task));
        Some(task)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Task>> {
        self.all().get(name).cloned()
    }

    pub(crate) fn expire(&self, now_ms: i64) {
        self.all().retain(|_, task| !task.id.is_over(now_ms));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Task>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// How far it is, and since when.
    pub(crate) fn stage(&self) -> (Stage, i64) {
        let at = self.at();
        (at.stage.clone(), at.since_ms)
    }

    /// Takes its request to send it. None for whoever is not the first: nobody runs it twice at a time.
    pub(crate) fn begin(self: &Arc<Self>, now_ms: i64) -> Option<(Run, Bytes)> {
        let mut at = self.at();
        let (body, left) = match &at.stage {
            Stage::Waits { approval, body, begun: false } => {
                (body.clone(), Stage::Waits { approval: approval.clone(), body: body.clone(), begun: true })
            }
            Stage::Answered { body } => (body.clone(), Stage::Over(over(End::Failed(hung_up().into())))),
            Stage::Waits { begun: true, .. }
            | Stage::Runs
            | Stage::Asks { .. }
            | Stage::Handed { .. }
            | Stage::Over(_) => {
                return None;
            }
        };
        *at = At { stage: Stage::Runs, since_ms: now_ms };
        drop(at);
        Some((Run { task: Arc::clone(self), left: Some(left) }, body))
    }

    /// It waits again: for this approval, which was not used by it.
    pub(crate) fn waits(&self, approval: &str, now_ms: i64) {
        let mut at = self.at();
        if let Stage::Waits { body, .. } = &at.stage {
            let stage = Stage::Waits { approval: approval.into(), body: body.clone(), begun: false };
            *at = At { stage, since_ms: now_ms };
        }
    }

    /// The end, unless there was one.
    /// Is it this that ended it?
    pub(crate) fn ends(&self, end: End, now_ms: i64) -> bool {
        let end = self.kept(end);
        let mut at = self.at();
        let is_first = !matches!(at.stage, Stage::Over(_));
        if is_first {
            *at = At { stage: Stage::Over(end), since_ms: now_ms };
        }
        drop(at);
        self.stop.notify_waiters();
        is_first
    }

    /// Answers what the server asks; when that is all of it, the call may go on.
    pub(crate) fn give(&self, responses: &Object<'_>, now_ms: i64) {
        let mut at = self.at();
        let Stage::Asks { asked, given } = &mut at.stage else { return };
        for (key, _) in &asked.requests {
            let open = given.iter().all(|(known, _)| known != key);
            // What was never asked, or was answered before, is ignored (SEP-2663).
            if let Some(response) =
                responses.get(&asked.key(key)).filter(|response| open && response.get().starts_with('{'))
            {
                given.push((key.clone(), response.get().into()));
            }
        }
        if given.len() < asked.requests.len() {
            return;
        }
        let stage = match asked.answered(given) {
            Some(body) => Stage::Answered { body },
            None => Stage::Over(over(End::Failed(error("the request cannot be written anew").into()))),
        };
        *at = At { stage, since_ms: now_ms };
    }

    /// Where what is kept would be too much, that is what is told of it.
    fn kept(&self, end: End) -> Arc<Over> {
        let size = match &end {
            End::Completed(json) | End::Failed(json) => json.len(),
            End::Cancelled => 0,
        };
        match Arc::clone(&self.room).try_acquire_many_owned(kib(size)) {
            Ok(room) => Arc::new(Over { end, _room: Some(room) }),
            Err(_) => {
                over(End::Failed(error("the call was made, and the gateway has no room to keep its result").into()))
            }
        }
    }

    /// How often the server asked, this time counted in.
    pub(crate) fn next_round(&self) -> u32 {
        self.rounds.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns when the task is over; to be made before that is asked.
    pub(crate) fn stopped(&self) -> tokio::sync::futures::Notified<'_> {
        self.stop.notified()
    }

    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// What the result asks for; none where that cannot be read.
    pub(crate) fn of(result: &Object<'_>, body: Bytes, round: u32) -> Option<Self> {
        let wanted = match result.get("inputRequests") {
            Some(wanted) => Object::read(wanted.get())?,
            None => Object::default(),
        };
        let requests: Vec<_> = wanted.iter().map(|(key, request)| (key.into(), request.get().into())).collect();
        let state = result.text("requestState").map(|state| state.as_ref().into());
        (requests.len() <= MAX_ASKED && (state.is_some() || !requests.is_empty())).then_some(Self {
            body,
            round,
            requests,
            state,
        })
    }

    /// Where nothing is asked but to come again, the next request does.
    pub(crate) fn stage(self) -> Stage {
        match self.requests.is_empty().then(|| self.answered(&[])).flatten() {
            Some(body) => Stage::Answered { body },
            None => Stage::Asks { asked: self, given: Vec::new() },
        }
    }

    /// No two questions of a task have the same key, whatever the server calls them in each round.
    pub(crate) fn key(&self, theirs: &str) -> String {
        format!("{}/{theirs}", self.round)
    }

    /// The request once more, with all answers.
    fn answered(&self, given: &[(Box<str>, Box<str>)]) -> Option<Bytes> {
        let whole = str::from_utf8(&self.body).ok()?;
        let given: Vec<String> = given.iter().map(|(key, json)| format!("{}:{json}", mcp::string(key))).collect();
        let given = format!("{{{}}}", given.join(","));
        let state = self.state.as_deref().map(mcp::string);
        let whole = Object::read(whole)?;
        let params = whole.object("params")?.amended(&["requestState", "inputResponses"], &[]);
        let mut with = vec![("inputResponses", given.as_str())];
        with.extend(state.as_deref().map(|state| ("requestState", state)));
        let params = Object::read(&params)?.amended(&[], &with);
        Some(whole.amended(&[], &[("params", &params)]).into_bytes().into())
    }
}

/// A task that runs. Dropped before it came to anything, its client hung up, and so the call was cancelled.
pub(crate) struct Run {
    task: Arc<Task>,
    left: Option<Stage>,
}

impl Run {
    /// What came of it; the end that it was given meanwhile stays.
    pub(crate) fn comes_to(mut self, stage: Stage, now_ms: i64) {
        self.left = None;
        self.put(stage, Some(now_ms));
    }

    fn put(&self, stage: Stage, now_ms: Option<i64>) {
        let mut at = self.task.at();
        if matches!(at.stage, Stage::Runs) {
            let since_ms = now_ms.unwrap_or(at.since_ms);
            *at = At { stage, since_ms };
        }
    }

    pub(crate) fn ends(self, end: End, now_ms: i64) {
        let end = self.task.kept(end);
        self.comes_to(Stage::Over(end), now_ms);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(left) = self.left.take() {
            self.put(left, None);
        }
    }
}

fn over(end: End) -> Arc<Over> {
    Arc::new(Over { end, _room: None })
}

/// An error of ours, as JSON text.
pub(crate) fn error(message: &str) -> String {
    format!(r#"{{"code":-32603,"message":{}}}"#, mcp::string(message))
}

pub(crate) fn hung_up() -> String {
    error("the call was begun, and its client hung up before the answer: it is not run again")
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use policy::RulePointer;

    use super::*;
    use crate::ruling::Why;

    fn insert(table: &Table, agent: &str, n: usize, size: usize) -> Option<Arc<Task>> {
        let id = Id { approval: "a".into(), created_ms: 0, ttl_ms: 100, nonce: 0 };
        let told = Told { to: Addressee::default(), unapproved: Unapproved::by(RulePointer::NO_POLICY, Why::Used) };
        let name = format!("{agent}{n}").into();
        table.insert((name, id), &agent.into(), (&Arc::default(), vec![b' '; size].into()), told, 0)
    }

    #[test]
    fn there_is_room_for_so_many_and_so_much() {
        let table = Table::default();
        for n in 0..MAX_OF_AGENT {
            assert!(insert(&table, "ann", n, 1).is_some());
        }
        assert!(insert(&table, "ann", MAX_OF_AGENT, 1).is_none());
        assert!(insert(&table, "bob", 0, (ROOM << 10) + 1).is_none(), "more than all of it");
        assert!(insert(&table, "bob", 0, 1).is_some(), "another has its own");
        table.expire(99);
        assert!(table.find("ann0").is_some());
        table.expire(100);
        assert!(table.find("ann0").is_none());
        assert!(insert(&table, "ann", 0, 1).is_some());
        assert_eq!(table.room.available_permits(), ROOM - 1, "what is gone takes no room");
    }

    #[test]
    fn a_result_that_has_no_room_is_not_kept_and_is_not_taken_for_one() {
        let table = Table::default();
        let task = insert(&table, "ann", 0, 1).unwrap();
        let _full = Arc::clone(&table.room).try_acquire_many_owned(kib(ROOM << 10) - 2).unwrap();
        let (run, _) = task.begin(0).unwrap();
        run.ends(End::Completed("{}".into()), 1);
        let Stage::Over(over) = task.stage().0 else { panic!("{task:?}") };
        assert!(matches!(&over.end, End::Failed(error) if error.contains("no room")), "{over:?}");
    }

    #[test]
    fn it_is_run_by_one_at_a_time_and_what_was_begun_is_not_begun_again() {
        let task = insert(&Table::default(), "ann", 0, 1).unwrap();
        let (run, _) = task.begin(0).unwrap();
        assert!(task.begin(0).is_none(), "while it runs");
        drop(run);
        assert!(matches!(task.stage().0, Stage::Waits { begun: true, .. }));
        assert!(task.begin(0).is_none(), "nobody knows yet whether it left");
        task.waits("a", 0);
        let (run, _) = task.begin(0).unwrap();
        task.ends(End::Cancelled, 0);
        run.ends(End::Completed("{}".into()), 1);
        let Stage::Over(over) = task.stage().0 else { panic!("{task:?}") };
        assert!(matches!(over.end, End::Cancelled), "the first end is the end");
    }
}
