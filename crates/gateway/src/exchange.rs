//! What a server may say to a client: each message checked, its ids put back, its lists filtered. Fails closed.

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use mcp::{
    Answer, Era, Id, ListOf, Listed, Method, Object, ServerMessage, ServerMethod, ServerNotice, Verdict, Writer, meta,
};
use policy::{Reverse, Subject};
use serde_json::value::RawValue;

use crate::agent::Agent;
use crate::approvals::{self, Round};
use crate::audit::Recorded;
use crate::legacy::Opening;
use crate::policies::Bound;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::reply::SESSION_ID;
use crate::session::{OpenCall, Session};
use crate::tasks::Tasks;
use crate::upstream::{PROTOCOL_VERSION, Upstream, UpstreamError};

/// What a 2025-11-25 server answers when it wants the user to visit a URL first.
const URL_ELICITATION_REQUIRED: f64 = -32042.0;

/// One request and all that comes back for it; or, without a call, a session's own stream.
pub(crate) struct Exchange {
    pub(crate) upstream: Upstream,
    pub(crate) bound: Arc<Bound>,
    pub(crate) era: Era,
    pub(crate) agent: Agent,
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) call: Option<Open>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) opening: Option<Opening>,
    /// Of a call that a person approved: what the server asks is asked in it.
    pub(crate) round: Option<Round>,
}

/// A request that is open upstream.
pub(crate) struct Open {
    pub(crate) ours: u64,
    pub(crate) method: Method,
    pub(crate) to: Addressee,
    /// The record of the decision, which waits for how it ends.
    pub(crate) recorded: Option<Recorded>,
    /// Its place in the session, if it has one.
    pub(crate) _place: Option<OpenCall>,
}

/// A message for the client.
pub(crate) enum Passed {
    /// The answer to the request: nothing more is owed.
    Answer(Vec<u8>),
    Message(Vec<u8>),
    /// What is known only when other nodes know of it: within the time that they are given.
    Later(Later),
}

pub(crate) type Later = Pin<Box<dyn Future<Output = Option<Passed>> + Send>>;

impl Exchange {
    /// Takes one message of the server's. None for what stops here.
    pub(crate) fn message(&self, bytes: &[u8], resumable: bool) -> Option<Passed> {
        let passed = match ServerMessage::read(bytes) {
            None => None,
            Some(ServerMessage::Answer(answer)) => self.answer(&answer, resumable).map(|answer| self.agreed(answer)),
            Some(ServerMessage::Request { id, method, params }) => self.request(id, &method, params),
            Some(ServerMessage::Notification { method, params }) => {
                self.withdrawn_later(&method, params).or_else(|| self.notice(&method, params).map(Passed::Message))
            }
        };
        if passed.is_none() {
            tracing::debug!(server = %self.upstream.server.id, "a message of the server's was dropped");
        }
        passed
    }

    /// The one message that is the answer.
    pub(crate) async fn whole(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut passed = self.message(bytes, false);
        while let Some(Passed::Later(later)) = passed {
            passed = later.await;
        }
        match passed {
            Some(Passed::Answer(answer)) => Some(answer),
            Some(Passed::Message(_) | Passed::Later(_)) | None => None,
        }
    }

    /// An answer; if it is the one that opens a session, other nodes know the session before the client does.
    fn agreed(&self, answer: Vec<u8>) -> Passed {
        let saving = self.opening.as_ref().and_then(Opening::saving);
        let (Some(saving), Some(call)) = (saving, &self.call) else { return Passed::Answer(answer) };
        let to = call.to.clone();
        Passed::Later(Box::pin(async move {
            Some(Passed::Answer(match saving.await {
                Ok(()) => answer,
                Err(why) => to.refuse(why).message().1,
            }))
        }))
    }

    /// The error that ends the request when the server's answer cannot be had.
    pub(crate) fn failed(&self, error: UpstreamError) -> Option<Vec<u8>> {
        let call = self.call.as_ref()?;
        let refused = call.to.refuse(error);
        if let Some(recorded) = &call.recorded {
            recorded.failed(&refused);
        }
        tracing::warn!(server = %self.upstream.server.id, error = %refused.detail(), "upstream failed");
        self.close(call.ours, false);
        Some(refused.message().1)
    }

    fn answer(&self, answer: &Answer<'_>, resumable: bool) -> Option<Vec<u8>> {
        let ours = answer.id.and_then(|id| id.ours());
        match &self.call {
            // An error without an id can only be about the one request of this exchange.
            Some(call) if ours == Some(call.ours) || (answer.id.is_none() && is_error(&answer.verdict)) => {
                self.close(call.ours, resumable);
                let (message, withheld) = self.verdict(call.method, &call.to, answer.verdict);
                match (&call.recorded, withheld) {
                    (Some(recorded), Some(refused)) => recorded.failed(&refused),
                    (Some(recorded), None) => {
                        recorded.answered(is_error(&answer.verdict), answer.verdict.text().len());
                    }
                    (None, _) => {}
                }
                Some(message)
            }
            Some(_) => None,
            None => {
                let (ours, session) = (ours?, self.session.as_ref()?);
                let call = session.call(ours)?;
                session.close(ours, resumable);
                let to = Addressee { id: Some(call.theirs), era: Some(self.era), ..Addressee::default() };
                Some(self.verdict(call.method, &to, answer.verdict).0)
            }
        }
    }

    fn close(&self, ours: u64, resumable: bool) {
        if let Some(session) = &self.session {
            session.close(ours, resumable);
        }
    }

    /// The answer as the client gets it, and why it is not the server's.
    fn verdict(&self, method: Method, to: &Addressee, verdict: Verdict<'_>) -> (Vec<u8>, Option<Refused>) {
        let id = to.id.as_deref().unwrap_or("null");
        let passes = match verdict {
            Verdict::Result(result) => self.result(method, result),
            Verdict::Error(error) if method.lists().is_some() => return (plain_error(id, error), None),
            Verdict::Error(error) => self.error(error),
        };
        match passes {
            Ok(None) => (Writer::answer(id, verdict), None),
            Ok(Some(json)) => (Writer::result(id, &json), None),
            Err(why) => {
                let refused: Refused = to.refuse(why);
                tracing::warn!(server = %self.upstream.server.id, error = %refused.detail(), "an answer was not passed on");
                (refused.message().1, Some(refused))
            }
        }
    }

    /// An error may ask, too: for the user to visit a URL (2025-11-25, URL mode elicitation).
    fn error(&self, error: &RawValue) -> Result<Option<String>, Refusal> {
        // However the number is written; and one that readers may read differently counts as this one.
        let code = Object::read(error.get()).and_then(|error| error.get("code")?.get().parse::<f64>().ok());
        let asks = code.is_none_or(|code| code == URL_ELICITATION_REQUIRED);
        match asks && !self.bound.policy.reverse(Reverse::Elicitation) {
            true => Err(Refusal::ForbiddenInput),
            false => Ok(None),
        }
    }

    /// The result to write instead of the one that came, if any.
    fn result(&self, method: Method, result: &RawValue) -> Result<Option<String>, Refusal> {
        if let Some(of) = method.lists() {
            let kept = mcp::filter_list(result, of, |item| self.shows(item)).ok_or(UpstreamError::Unfilterable)?;
            return Ok((kept.dropped > 0).then_some(kept.json));
        }
        match method {
            Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead => {
                self.tasks.note(&self.upstream.server, &self.agent.key, result.get());
                match (self.era, &self.round) {
                    (Era::Modern, _) if self.asks_too_much(result) => Err(Refusal::ForbiddenInput),
                    (Era::Modern, Some(round)) => approvals::wrapped(result.get(), round),
                    (Era::Modern, None) => Ok(approvals::passed(result.get())),
                    (Era::Legacy, _) => Ok(None),
                }
            }
            Method::Initialize => {
                let named = Object::read(result.get()).and_then(|result| result.text("protocolVersion"));
                let revision =
                    named.as_deref().and_then(mcp::Revision::named).filter(|revision| revision.era() == Era::Legacy);
                match (revision, &self.session) {
                    (Some(revision), Some(session)) => session.establish(revision),
                    _ => {
                        let said = named.as_deref().unwrap_or("no version that is known here");
                        return Err(Refusal::Era(format!("the server answered `initialize` with {said:?}")));
                    }
                }
                Ok(None)
            }
            Method::Listen => Ok(self.resubscribed(result.get())),
            Method::TasksList => self.own_tasks(result.get()).map(Some).ok_or(UpstreamError::Unfilterable.into()),
            Method::TasksGet | Method::TasksResult if self.era == Era::Modern && self.asks_too_much(result) => {
                Err(Refusal::ForbiddenInput)
            }
            Method::Ping => Ok(Some("{}".to_owned())),
            // A call that waits for a person may be a task, whatever the server itself can do.
            Method::Discover if self.bound.policy.asks() => Ok(approvals::announced(result.get())),
            Method::Discover
            | Method::Complete
            | Method::SetLevel
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::TasksGet
            | Method::TasksCancel
            | Method::TasksResult
            | Method::TasksUpdate
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::TemplatesList => Ok(None),
        }
    }

    /// Listed if and only if callable (or approvable): the same function judges both.
    fn shows(&self, item: Listed<'_>) -> bool {
        self.bound.policy.lists(match item.of {
            ListOf::Tools => Subject::Tool(item.name),
            ListOf::Prompts => Subject::Prompt(item.name),
            ListOf::Resources | ListOf::Templates => Subject::Resource(item.name),
        })
    }

    /// The list without the tasks of others, which do not exist for this agent.
    fn own_tasks(&self, result: &str) -> Option<String> {
        let listed = Object::read(result)?;
        let tasks: Vec<&RawValue> = serde_json::from_str(listed.get("tasks")?.get()).ok()?;
        let own = |task: &&&RawValue| {
            let id = Object::read(task.get()).and_then(|task| task.text("taskId"));
            id.is_some_and(|id| self.tasks.belongs(&self.upstream.server, &self.agent.key, &id))
        };
        let kept: Vec<&str> = tasks.iter().filter(own).map(|task| task.get()).collect();
        mcp::replace(result, &["tasks"], &format!("[{}]", kept.join(",")))
    }

    /// Does a modern result ask the client for something that the policy denies the server?
    fn asks_too_much(&self, result: &RawValue) -> bool {
        let now = self.upstream.policy().current(); // a request of its own, however old the stream is
        let allowed = |ask| now.policy.reverse(ask);
        if allowed(Reverse::Sampling) && allowed(Reverse::Elicitation) && allowed(Reverse::Roots) {
            return false;
        }
        let Some(result) = Object::read(result.get()) else { return true };
        let Some(requests) = result.get("inputRequests") else { return false };
        let Some(requests) = Object::read(requests.get()) else { return true };
        requests.iter().any(|(_, request)| {
            let method = Object::read(request.get()).and_then(|request| request.text("method"));
            !method.as_deref().and_then(ServerMethod::named).and_then(asks).is_some_and(allowed)
        })
    }

    /// A notice that carries a task may carry its input requests.
    fn wants_too_much(&self, params: &RawValue) -> bool {
        let task = Object::read(params.get()).and_then(|params| params.get("task"));
        self.asks_too_much(params) || task.is_some_and(|task| self.asks_too_much(task))
    }

    /// A request of a legacy server's to the client.
    fn request(&self, id: Id<'_>, method: &str, params: Option<&RawValue>) -> Option<Passed> {
        let session = self.session.as_ref()?;
        let known = ServerMethod::named(method);
        let now = self.upstream.policy().current(); // a request of its own, however old the stream is
        let permits = |ask| now.policy.reverse(ask) && session.offered.contains(&ask);
        let allowed = known.is_some_and(|method| asks(method).is_none_or(permits));
        let server = &self.upstream.server.id;
        tracing::info!(server = %server, agent = %self.agent.key, method = known.map_or("(unknown)", ServerMethod::as_str),
            outcome = if allowed { "allowed" } else { "denied" }, "reverse");
        let params = params.map(RawValue::get);
        match (allowed, &session.kept) {
            (true, Some(_)) => Some(self.asked_later(session, id.as_json(), method, params)),
            (true, None) => {
                let ours = session.ask(id.as_json());
                Some(Passed::Message(Writer::server_message(Some(ours), method, params)))
            }
            (false, _) => {
                self.decline(session, id.as_json());
                None
            }
        }
    }

    /// Every node can take the answer before the client is asked. If that cannot be, the server is told no.
    fn asked_later(&self, session: &Arc<Session>, theirs: &str, method: &str, params: Option<&str>) -> Passed {
        let (session, upstream) = (Arc::clone(session), self.upstream.clone());
        let (theirs, method, params) = (theirs.to_owned(), method.to_owned(), params.map(str::to_owned));
        Passed::Later(Box::pin(async move {
            if let Some(ours) = session.asks(&theirs).await {
                return Some(Passed::Message(Writer::server_message(Some(ours), &method, params.as_deref())));
            }
            decline(upstream, &session, &theirs);
            None
        }))
    }

    /// Tells the server at once, so that nothing there waits for an answer that cannot come.
    fn decline(&self, session: &Arc<Session>, id: &str) {
        match &session.translated {
            Some(translated) => translated.declined(id),
            None => decline(self.upstream.clone(), session, id),
        }
    }

    /// What the server asked may have come by another node: that one is not asked, but what is kept for all.
    fn withdrawn_later(&self, method: &str, params: Option<&RawValue>) -> Option<Passed> {
        let session = self.session.clone().filter(|session| session.kept.is_some())?;
        if ServerNotice::named(method)? != ServerNotice::Cancelled {
            return None;
        }
        let (method, params) = (method.to_owned(), params?.get().to_owned());
        Some(Passed::Later(Box::pin(async move {
            let theirs = Object::read(&params)?.get("requestId")?.get().to_owned();
            let ours = session.kept.as_ref()?.withdrawn(&theirs).await.ok()??;
            let params = mcp::replace(&params, &["requestId"], &ours.to_string())?;
            Some(Passed::Message(Writer::server_message(None, &method, Some(&params))))
        })))
    }

    fn notice(&self, method: &str, params: Option<&RawValue>) -> Option<Vec<u8>> {
        let notice = ServerNotice::named(method)?;
        let whole = params;
        let params = params.map(RawValue::get);
        let params = match notice {
            ServerNotice::Cancelled => Some(self.withdrawn(params?)?),
            ServerNotice::ResourceUpdated => {
                let uri = Object::read(params?)?.text("uri")?;
                if !self.upstream.policy().current().policy.lists(Subject::Resource(&uri)) {
                    return None;
                }
                params.map(|params| self.resubscribed(params).unwrap_or_else(|| params.to_owned()))
            }
            ServerNotice::ToolsChanged => {
                let catalogue = self.session.as_ref().map_or(&self.upstream.server.catalogue, |own| &own.catalogue);
                catalogue.forget();
                params.map(|params| self.resubscribed(params).unwrap_or_else(|| params.to_owned()))
            }
            ServerNotice::Tasks | ServerNotice::TaskStatus if !self.is_of_own_task(params?) => return None,
            ServerNotice::Tasks if self.era == Era::Modern && self.wants_too_much(whole?) => return None,
            ServerNotice::Tasks
            | ServerNotice::Progress
            | ServerNotice::Message
            | ServerNotice::PromptsChanged
            | ServerNotice::ResourcesChanged
            | ServerNotice::ElicitationComplete
            | ServerNotice::TaskStatus
            | ServerNotice::Acknowledged => {
                params.map(|params| self.resubscribed(params).unwrap_or_else(|| params.to_owned()))
            }
        };
        Some(Writer::server_message(None, method, params.as_deref()))
    }

    /// Other agents' tasks do not exist for this one, and so nothing happens to them.
    fn is_of_own_task(&self, params: &str) -> bool {
        let Some(params) = Object::read(params) else { return false };
        let inner = params.object("task");
        let id = params.text("taskId").or_else(|| inner.as_ref()?.text("taskId"));
        id.is_some_and(|id| self.tasks.belongs(&self.upstream.server, &self.agent.key, &id))
    }

    /// The params of a withdrawal, under the id that the client knows.
    fn withdrawn(&self, params: &str) -> Option<String> {
        let id = Object::read(params)?.get("requestId")?.get();
        let known = match (&self.session, &self.call) {
            (Some(session), _) => session.withdrawn(id)?.to_string(),
            (None, Some(call)) if id.parse() == Ok(call.ours) => call.to.id.as_deref()?.to_owned(),
            _ => return None,
        };
        mcp::replace(params, &["requestId"], &known)
    }

    /// A modern subscription is known by the id of the client's own request.
    fn resubscribed(&self, json: &str) -> Option<String> {
        let call = self.call.as_ref().filter(|call| call.method == Method::Listen)?;
        mcp::replace(json, &["_meta", meta::SUBSCRIPTION_ID], call.to.id.as_deref()?)
    }
}

/// Tells a server no.
fn decline(upstream: Upstream, session: &Session, id: &str) {
    let Some(place) = session.declining() else {
        tracing::warn!(server = %upstream.server.id, "a server asks faster than it can be told no");
        return;
    };
    let body = Writer::error(Some(id), -32601, "denied by the gateway's policy", None);
    let headers = session_headers(session);
    tokio::spawn(async move {
        if let Err(error) = upstream.renewed().post(headers, body, None).await {
            tracing::warn!(server = %upstream.server.id, error = %crate::policies::chain(&error), "cannot decline a server's request");
        }
        drop(place);
    });
}

/// An error in place of a list: its code and message, and none of its data, which no policy filters.
fn plain_error(id: &str, error: &RawValue) -> Vec<u8> {
    let error = Object::read(error.get()).unwrap_or_default();
    let code = error.get("code").and_then(|code| code.get().parse().ok()).unwrap_or(-32603);
    Writer::error(Some(id), code, error.text("message").as_deref().unwrap_or("the list failed"), None)
}

fn is_error(verdict: &Verdict<'_>) -> bool {
    matches!(verdict, Verdict::Error(_))
}

/// What a server's request is, for the policy; none for `ping`.
pub(crate) fn asks(method: ServerMethod) -> Option<Reverse> {
    match method {
        ServerMethod::Ping => None,
        ServerMethod::Sample => Some(Reverse::Sampling),
        ServerMethod::Elicit => Some(Reverse::Elicitation),
        ServerMethod::Roots => Some(Reverse::Roots),
    }
}

/// The headers of every request within a session.
pub(crate) fn session_headers(session: &Session) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(session.revision().as_str()));
    if let Some(id) = &session.upstream {
        headers.insert(SESSION_ID, id.clone());
    }
    headers
}
