//! Calls that wait as tasks: a client that polls for the result needs no connection meanwhile. The call is made when its client asks for
//! the task once it is approved, so what nobody asks for any more is not run.

mod id;
mod table;
mod tell;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mcp::{Method, Object, Params, Revision, ServerMessage, Verdict, Writer, meta};
use store::{Approval, ApprovalState};

use self::id::Id;
pub(crate) use self::id::is_ours;
pub(crate) use self::table::Table;
pub(crate) use self::table::Told;
use self::table::{Asked, End, FETCHED_WITHIN_MS, Run, Stage, Task};
pub(crate) use self::tell::created;
use super::Approvals;
use super::desk::denied;
use super::hold::Work;
use crate::agent::Agent;
use crate::aggregate::answer_of;
use crate::pipeline::{Entry, Lawful, Pipeline};
use crate::random;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::reply::{self, Reply};
use crate::ruling::Why;
use crate::server::Server;

/// What is said while nobody decided.
pub(crate) fn waits(page: &str) -> String {
    format!("A person must approve this call, at {page}. It has not been run.")
}

/// What a server says of itself, with the tasks that the gateway makes.
pub(crate) fn announced(discovered: &str) -> Option<String> {
    let discovered = Object::read(discovered)?;
    let capabilities = discovered.object("capabilities")?;
    let extensions = capabilities.object("extensions").unwrap_or_default();
    if extensions.get(meta::TASKS).is_some() {
        return None;
    }
    let extensions = extensions.amended(&[], &[(meta::TASKS, "{}")]);
    let capabilities = capabilities.amended(&[], &[("extensions", &extensions)]);
    Some(discovered.amended(&[], &[("capabilities", &capabilities)]))
}

/// Tasks of ours are polled: no server has anything to tell of them, and so none is asked to.
pub(crate) fn unheard(params: &mut Params<'_>) {
    let wanted = params.get("notifications").and_then(Object::read);
    let Some(wanted) = wanted.filter(|wanted| wanted.get("taskIds").is_some()) else { return };
    let ids = wanted.get("taskIds").and_then(|ids| serde_json::from_str::<Vec<String>>(ids.get()).ok());
    let Some(ids) = ids.filter(|ids| ids.iter().any(|id| is_ours(id))) else { return };
    let kept: Vec<String> = ids.into_iter().filter(|id| !is_ours(id)).collect();
    let wanted = wanted.amended(&[], &[("taskIds", &serde_json::json!(kept).to_string())]);
    params.replace("notifications", wanted);
}

impl Approvals {
    /// A task for the call; none where there is no room, or no randomness.
    pub(super) fn park(
        &self,
        (server, agent): (&Server, &Agent),
        call: (&Arc<HeaderMap>, Bytes),
        told: Told,
        approval: &Approval,
    ) -> Option<Arc<Task>> {
        let now = self.clock.now_ms();
        let nonce = random::bytes().ok()?;
        let ttl_ms = approval.expires_ms.saturating_sub(now).max(0).saturating_add(FETCHED_WITHIN_MS);
        let id =
            Id { approval: approval.id.as_str().into(), created_ms: now, ttl_ms, nonce: u64::from_be_bytes(nonce) };
        let name = id.seal(self.vault(), server, agent)?;
        self.wire.tasks.insert((name, id), &agent.key, call, told, now)
    }
}

/// What making the call came to.
enum Outcome {
    /// It waits (again), for this approval.
    Waits(Box<str>),
    Answer(Vec<u8>),
    Failed(Box<str>),
    /// The store does not say now whether it may be made: the next poll asks again.
    Later,
}

impl Pipeline {
    /// Answers `tasks/*` about a task of ours.
    pub(crate) fn own_task<'a>(&'a self, entry: &'a Entry, lawful: Lawful<'a>) -> Work<'a, Result<Reply, Refused>> {
        Box::pin(self.about_a_task(entry, lawful))
    }

    async fn about_a_task(&self, entry: &Entry, lawful: Lawful<'_>) -> Result<Reply, Refused> {
        let (approvals, to) = (&self.shared.approvals, &lawful.to);
        let (name, now) = (lawful.params.name().unwrap_or_default(), approvals.clock.now_ms());
        let id = Id::open(name, approvals.vault(), &entry.server, &lawful.agent).filter(|id| !id.is_over(now));
        let id = id.ok_or_else(|| to.refuse(Refusal::ForeignTask))?;
        let Some(task) = approvals.wire.tasks.find(name) else {
            let result =
                if lawful.method == Method::TasksGet { tell::elsewhere(name, &id) } else { tell::acknowledged() };
            return Ok(told(to, &result));
        };
        if let (Stage::Handed { theirs }, _) = task.stage() {
            return self.handed(entry, lawful, &task.name, &theirs).await;
        }
        let result = if lawful.method == Method::TasksGet {
            self.got(entry, &task).await
        } else if lawful.method == Method::TasksCancel {
            task.ends(End::Cancelled, now);
            tell::acknowledged()
        } else {
            // `tasks/update`: there is no other.
            let given = lawful.params.get("inputResponses").and_then(Object::read).unwrap_or_default();
            task.give(&given, now);
            tell::acknowledged()
        };
        Ok(told(to, &result))
    }

    /// The task as it is, after the call was made if it may be.
    async fn got(&self, entry: &Entry, task: &Arc<Task>) -> String {
        let approvals = &self.shared.approvals;
        let now = approvals.clock.now_ms();
        match task.stage().0 {
            Stage::Waits { approval, begun, .. } => {
                let page = waits(&approvals.page(&approval));
                let Ok(found) = approvals.find(&approval).await else {
                    return tell::shown(task, Some("The gateway's store does not answer now."));
                };
                match found.as_ref().map(|found| (found.state_at(now), found)) {
                    Some((ApprovalState::Pending, _)) => return tell::shown(task, Some(&page)),
                    None | Some((ApprovalState::Expired, _)) => {
                        self.has_ended(entry, task, Why::Expired(approval.into()), now);
                    }
                    Some((ApprovalState::Denied, found)) => {
                        self.has_ended(entry, task, denied(found), now);
                    }
                    Some((ApprovalState::Used, _)) if begun => {
                        task.ends(End::Failed(table::hung_up().into()), now);
                    }
                    Some((ApprovalState::Approved | ApprovalState::Used, _)) => {
                        // Begun, and not used: it never left.
                        task.waits(&approval, now);
                        self.runs(entry, task).await;
                    }
                }
            }
            Stage::Answered { .. } => self.runs(entry, task).await,
            Stage::Runs | Stage::Asks { .. } | Stage::Handed { .. } | Stage::Over(_) => {}
        }
        let page = match task.stage().0 {
            Stage::Waits { approval, .. } => Some(waits(&approvals.page(&approval))),
            Stage::Runs | Stage::Asks { .. } | Stage::Answered { .. } | Stage::Handed { .. } | Stage::Over(_) => None,
        };
        tell::shown(task, page.as_deref())
    }

    /// It is not made; on record, once.
    fn has_ended(&self, entry: &Entry, task: &Task, why: Why, now: i64) {
        let refused = task.refused(why);
        if task.ends(End::Failed(error_of(&refused)), now) {
            self.turned_away(&entry.server.id, &entry.agent, &refused);
        }
    }

    /// Makes the call, as its client asked for it then and whoever it is now. Whoever hangs up takes it away.
    async fn runs(&self, entry: &Entry, task: &Arc<Task>) {
        let stopped = task.stopped();
        let clock = self.shared.approvals.clock;
        let Some((run, body)) = task.begin(clock.now_ms()) else { return };
        let entry = Entry { headers: Arc::clone(&task.headers), as_task: true, ..entry.clone() };
        tokio::select! {
            biased;
            () = stopped => {}
            outcome = made(self, &entry, &body) => {
                let now = clock.now_ms();
                match outcome {
                    Outcome::Waits(approval) => run.comes_to(Stage::Waits { approval, body, begun: false }, now),
                    Outcome::Failed(error) => run.ends(End::Failed(error), now),
                    Outcome::Later => drop(run),
                    Outcome::Answer(answer) => ended(run, task, body, &answer, now),
                }
            }
        }
    }

    async fn made(&self, entry: &Entry, body: &[u8]) -> Outcome {
        match self.read_once(entry, body).await {
            Ok(reply) => match answer_of(reply, self.shared.bounds.event).await {
                Some(answer) => Outcome::Answer(answer),
                None => Outcome::Failed(table::error("the server's answer broke off").into()),
            },
            Err(refused) if refused.is_silence() => Outcome::Later,
            Err(refused) => match refused.ticket() {
                Some(ticket) => Outcome::Waits((*ticket.id).into()),
                None => {
                    self.turned_away(&entry.server.id, &entry.agent, &refused);
                    Outcome::Failed(error_of(&refused))
                }
            },
        }
    }

    /// About a task that the server made in place of an answer: under the server's name for it.
    async fn handed(&self, entry: &Entry, lawful: Lawful<'_>, ours: &str, theirs: &str) -> Result<Reply, Refused> {
        let mut members = vec![("taskId".to_owned(), mcp::string(theirs))];
        members
            .extend(lawful.params.get("inputResponses").map(|given| ("inputResponses".to_owned(), given.to_owned())));
        members.extend(lawful.params.meta().map(|meta| ("_meta".to_owned(), meta.to_owned())));
        let members: Vec<(&str, &str)> = members.iter().map(|(key, json)| (key.as_str(), json.as_str())).collect();
        let text = Object::default().amended(&[], &members);
        let to = lawful.to.clone();
        let given = Object::read(&text).ok_or_else(|| to.refuse(Refusal::ForeignTask))?;
        let params = Params::of(lawful.method, Revision::MODERN, &given).map_err(|kind| to.params(kind))?;
        let lawful = Lawful { params, arguments: None, ..lawful };
        let answer = answer_of(asked(self, entry, lawful).await?, self.shared.bounds.event).await.unwrap_or_default();
        let named = match ServerMessage::read(&answer) {
            Some(ServerMessage::Answer(mcp::Answer { verdict: Verdict::Result(result), .. })) => {
                mcp::replace(result.get(), &["taskId"], &mcp::string(ours))
            }
            Some(_) | None => None,
        };
        Ok(match named {
            Some(result) => told(&to, &result),
            None => reply::json(StatusCode::OK, answer),
        })
    }
}

/// Boxed: reading leads to tasks, and tasks to reading.
fn made<'a>(pipeline: &'a Pipeline, entry: &'a Entry, body: &'a [u8]) -> Work<'a, Outcome> {
    Box::pin(pipeline.made(entry, body))
}

fn asked<'a>(pipeline: &'a Pipeline, entry: &'a Entry, lawful: Lawful<'a>) -> Work<'a, Result<Reply, Refused>> {
    Box::pin(pipeline.call(entry, lawful))
}

/// What an answer means for the task.
fn ended(run: Run, task: &Task, body: Bytes, answer: &[u8], now: i64) {
    let Some(ServerMessage::Answer(answer)) = ServerMessage::read(answer) else {
        return run.ends(End::Failed(table::error("the server's answer cannot be read").into()), now);
    };
    let result = match answer.verdict {
        Verdict::Error(error) => return run.ends(End::Failed(error.get().into()), now),
        Verdict::Result(result) => result.get(),
    };
    let members = Object::read(result).unwrap_or_default();
    match members.text("resultType").as_deref() {
        Some("input_required") => match Asked::of(&members, body, task.next_round()) {
            Some(asked) => run.comes_to(asked.stage(), now),
            None => run.ends(End::Failed(table::error("what the server asks cannot be read").into()), now),
        },
        Some("task") => match members.text("taskId") {
            Some(theirs) => run.comes_to(Stage::Handed { theirs: theirs.as_ref().into() }, now),
            None => run.ends(End::Failed(table::error("the server's task has no id").into()), now),
        },
        _ => run.ends(End::Completed(result.into()), now),
    }
}

impl Task {
    /// Why the call is not made.
    fn refused(&self, why: Why) -> Refused {
        let Told { to, unapproved } = &self.told;
        Addressee { as_task: true, ..to.clone() }.refuse(unapproved.then(why))
    }
}

fn told(to: &Addressee, result: &str) -> Reply {
    reply::json(StatusCode::OK, Writer::result(to.id.as_deref().unwrap_or("null"), result))
}

/// The error that a refusal is where a task has it.
fn error_of(refused: &Refused) -> Box<str> {
    let message = refused.message().1;
    match ServerMessage::read(&message) {
        Some(ServerMessage::Answer(mcp::Answer { verdict: Verdict::Error(error), .. })) => error.get().into(),
        Some(_) | None => table::error(&refused.detail()).into(),
    }
}
