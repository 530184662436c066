//! A server's messages about one request, each turned into what the client is told.

use std::sync::Arc;
use std::time::Duration;

use mcp::{Id, Method, Object, Params, ServerMessage, ServerMethod, ServerNotice, Verdict, Writer};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::super::answer::{Answer, URL_ELICITATION_REQUIRED};
use super::super::ask::{self, Ask, MAX_ASKS};
use super::super::level::Level;
use super::super::source::{Heard, Source};
use super::super::tasks;
use super::{Flight, Step, Task, declined};
use crate::upstream::UpstreamError;

/// What is asked within this time of the first request is asked at once.
const TOGETHER: Duration = Duration::from_millis(20);

impl Flight {
    pub(super) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Begun(session) => {
                if !Arc::ptr_eq(&session, &self.session) {
                    self.aloft = vec![session.aloft(self.theirs, self.leg.binding.is_some(), self.routes.clone())];
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

    pub(super) fn take(&mut self, message: &[u8]) {
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
                self.to_legacy.tasks.settle(&id, &self.slot);
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
        self.aloft.push(self.session.aloft(self.theirs, self.leg.binding.is_some(), self.routes.clone()));
        let message = Writer::request(self.theirs, Method::TasksResult, &params);
        self.source = Source::post(&self.slot, &self.session, &self.leg.upstream, (message, true), None);
    }

    /// A request of the server's.
    fn asked(&mut self, id: Id<'_>, method: &str, params: Option<&str>) {
        let known = ServerMethod::named(method);
        let permits = |method| self.leg.offers.permits(method, params) && self.leg.lets_ask(method);
        let permitted = known.filter(|method| self.leg.binding.is_some() && permits(*method) && self.is_mine(true));
        tracing::info!(server = %self.slot.server_id(), agent = %self.leg.agent.key,
            method = known.map_or("(unknown)", ServerMethod::as_str),
            outcome = if permitted.is_some() { "allowed" } else { "denied" }, "reverse");
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

    /// Where the server has one stream for all, that a message was put into this request's says nothing.
    fn is_mine(&self, asks: bool) -> bool {
        !self.leg.upstream.server.way.has_one_stream() || self.session.is_only(self.theirs, asks)
    }

    fn notice(&mut self, notice: ServerNotice, params: Option<&str>) {
        let given = params.and_then(Object::read).unwrap_or_default();
        let passed = match notice {
            ServerNotice::Progress => {
                let own = given.get("progressToken").and_then(Id::read).and_then(|token| token.ours());
                let token = self.leg.wanted.token.as_deref().filter(|_| own == Some(self.token));
                token.map(|token| given.amended(&[], &[("progressToken", token)]))
            }
            ServerNotice::Message => {
                let level = given.text("level").and_then(|name| Level::named(&name));
                let told = level.zip(self.leg.wanted.level).is_some_and(|(level, wanted)| level >= wanted);
                params.filter(|_| told && self.is_mine(false)).map(str::to_owned)
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
}
