//! A modern client before a legacy server: requests, answers and everything between, told from one era to the other.
//!
//! It stands between the pipeline and the way to the server, and both see only their own era: the pipeline judges, filters and
//! answers as for any modern server. What the server asks of the client during a call ends the client's request (`input_required`)
//! while ours stays open, parked under a sealed state; the client's retry is judged like any request before it goes on.

mod answer;
mod ask;
mod flight;
mod level;
mod listen;
mod offers;
mod parking;
mod pool;
mod request;
mod seal;
mod session;
mod source;
mod tasks;
#[cfg(test)]
mod tests;
mod tools;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};
use mcp::{Method, Object, Params, meta};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::agent::Agent;
use crate::answering::Answering;
use crate::judge::Cleared;
use crate::limits::Held;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::upstream::{Upstream, UpstreamError};
use crate::vault::Vault;
use answer::Answer;
use flight::{Flight, Leg, Task};
use offers::Declared;
use parking::{Parking, Resumed, Retry};
use pool::{Pool, Slot};
use request::Wanted;
pub(crate) use seal::BadState;
use seal::{Binding, Seal};
pub(crate) use session::Session;
use tasks::Tasks;

/// All bridges from modern clients to legacy servers.
pub(crate) struct ToLegacy {
    pool: Pool,
    parking: Parking,
    tasks: Tasks,
    seal: Seal,
}

/// A request that may cross: the session it goes to, and the call it goes on with, if it is a retry.
pub(crate) struct Crossing {
    slot: Arc<Slot>,
    pub(crate) session: Arc<Session>,
    declared: Declared,
    binding: Option<Binding>,
    retry: Option<Retry>,
}

impl ToLegacy {
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { pool: Pool::default(), parking: Parking::default(), tasks: Tasks::default(), seal: Seal::new(vault) }
    }

    /// Finds the session; for a retry, the one in which its call waits. A state that is not good for this very request is refused
    /// here, before anything is sent.
    pub(crate) async fn enter(
        &self,
        upstream: &Upstream,
        agent: &Agent,
        method: Method,
        params: &Params<'_>,
    ) -> Result<Crossing, Refusal> {
        let declared = Declared::of(params.meta());
        let server = &upstream.server.key;
        let state = params.get("requestState").map(serde_json::from_str::<String>).transpose();
        let state = state.map_err(|_| BadState::Forged)?;
        let binding = (can_ask(method) && (state.is_some() || !declared.offers.is_empty())).then(|| {
            let name = params.name().unwrap_or_default();
            Binding::new(&agent.key, server, method.as_str(), name, params.get("arguments"))
        });
        if let Some((state, binding)) = state.as_deref().zip(binding.as_ref()) {
            let waits = self.seal.open(state, binding, SystemTime::now())?;
            let retry = self.parking.retry(waits, params.get("inputResponses"))?;
            let (slot, session) = (Arc::clone(&retry.slot), Arc::clone(&retry.session));
            return Ok(Crossing { slot, session, declared, binding: Some(*binding), retry: Some(retry) });
        }
        let home = params.name().filter(|_| method.is_of_a_task()).and_then(|id| self.tasks.home(server, agent, id));
        let slot = match home {
            Some(slot) if slot.is_of(agent) => slot,
            Some(_) | None => self.pool.slot(upstream, agent, declared.offers)?,
        };
        let given = params.meta().and_then(Object::read);
        let info = given.and_then(|meta| meta.get(meta::CLIENT_INFO)).map(RawValue::get);
        let session = slot.session(upstream, info.filter(|info| info.starts_with('{'))).await?;
        Ok(Crossing { slot, session, declared, binding, retry: None })
    }

    /// Sends a request that was cleared. Its answer is known by `ours`.
    pub(crate) async fn send(
        self: &Arc<Self>,
        _: &Cleared<'_>,
        crossing: Crossing,
        (upstream, agent, ours): (&Upstream, &Agent, u64),
        (method, params): (Method, &Params<'_>),
        held: Option<Held>,
    ) -> Result<Response<Answering>, Refusal> {
        let Crossing { slot, session, declared, binding, retry } = crossing;
        let leg = Leg {
            ours,
            upstream: upstream.clone(),
            agent: agent.clone(),
            wanted: Wanted::of(params),
            offers: declared.offers,
            binding,
        };
        let name = params.name().unwrap_or_default();
        match method {
            Method::Discover => Ok(Answer::result(ours, &answer::discovered(&session)).response()),
            Method::Listen => slot.listen(&session, upstream, ours, params).await,
            Method::TasksGet => {
                let name = name.to_owned();
                let asked = Binding::new(&agent.key, &upstream.server.key, method.as_str(), &name, None);
                self.task(&slot, &session, Leg { binding: Some(asked), ..leg }, &name).await
            }
            Method::TasksUpdate => {
                self.update(&slot, &session, upstream, ours, (name, params.get("inputResponses"))).await
            }
            Method::TasksCancel => self.cancel_task(&slot, &session, upstream, ours, name).await,
            Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::TemplatesList
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Complete => match retry {
                Some(retry) => self.go_on(retry, leg, (method, params), declared.tasks, held).await,
                None => self.fly(slot, session, leg, (method, params), declared.tasks, held).await,
            },
            // Not of this era: no such request comes here.
            Method::Initialize
            | Method::Ping
            | Method::SetLevel
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::TasksResult
            | Method::TasksList => Err(Refusal::Unknown(method.as_str().into())),
        }
    }

    async fn fly(
        self: &Arc<Self>,
        slot: Arc<Slot>,
        mut session: Arc<Session>,
        leg: Leg,
        (method, params): (Method, &Params<'_>),
        knows_tasks: bool,
        held: Option<Held>,
    ) -> Result<Response<Answering>, Refusal> {
        let as_task = match params.name().filter(|_| method == Method::ToolsCall) {
            None => false,
            Some(tool) => match session.needs_task(tool, &leg.upstream).await {
                Err(UpstreamError::Status(StatusCode::NOT_FOUND)) => {
                    session = slot.again(&session, &leg.upstream).await?;
                    session.needs_task(tool, &leg.upstream).await?
                }
                known => known?,
            },
        };
        let mut legacy = request::params(method, session.revision, params, leg.ours);
        let mut task = Task::Never;
        if as_task {
            legacy.add("task", "{}".to_owned());
            task = if knows_tasks { Task::Handed } else { Task::Awaited };
        }
        session.log_from(leg.wanted.level, &leg.upstream).await?;
        if leg.binding.is_some() && !slot.offers.is_empty() {
            slot.hear_first(&session, &leg.upstream).await;
        }
        let flight = Flight::launch(self, slot, session, (method, &legacy), task, leg, held);
        Ok(flight.response().await?)
    }

    /// INVARIANT: the retry was judged, and its limits are held: its call, if the server still has it, gets the answers and goes on.
    async fn go_on(
        self: &Arc<Self>,
        retry: Retry,
        leg: Leg,
        (method, params): (Method, &Params<'_>),
        knows_tasks: bool,
        held: Option<Held>,
    ) -> Result<Response<Answering>, Refusal> {
        let place = self.parking.take(retry.id).ok_or(BadState::Used)?;
        let Some(go_on) = place.go_on else {
            let session = place.slot.session(&leg.upstream, None).await?;
            return self.fly(place.slot, session, leg, (method, params), knows_tasks, held).await;
        };
        let (out, events) = mpsc::channel(flight::QUEUE);
        go_on.send(Resumed { leg, out, answers: retry.answers, held }).map_err(|_| BadState::Used)?;
        Ok(Answering::events(events, None))
    }

    /// Lets go of sessions that nobody used for that long.
    pub(crate) fn expire(&self, idle: Duration, way: impl Fn(&Arc<Server>, &Agent) -> Upstream) {
        self.parking.expire();
        self.pool.expire(idle, way);
    }
}

/// May a server answer such a request with questions (MCP 2026-07-28, "Multi Round-Trip Requests")?
fn can_ask(method: Method) -> bool {
    matches!(method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead)
}
