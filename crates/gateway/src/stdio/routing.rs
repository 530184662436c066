//! What the program says, brought to whom it concerns, and to nobody else.

use std::sync::Arc;

use mcp::{Answer, Id, Method, Object, ServerMessage, ServerMethod, ServerNotice, Verdict, Writer, meta};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::error::StdioError;
use super::handle::{Open, Waiter};
use super::line::Line;
use super::lines;
use super::session::{self, MAX_SUBSCRIPTIONS};
use crate::era::error_code;

/// Answers of our own that wait for a program that does not read.
const MAX_OWN: usize = 1_024;

impl Line {
    pub(super) fn said(&mut self, line: lines::Line) {
        let lines::Line::Whole(line) = line else { return self.noise("(a line longer than `bounds.event`)") };
        let Some(message) = ServerMessage::read(&line) else { return self.noise(&String::from_utf8_lossy(&line)) };
        self.no_noise();
        match message {
            ServerMessage::Answer(answer) => self.answered(&answer, &line),
            ServerMessage::Request { id, method, .. } => self.asked(id, &method, &line),
            ServerMessage::Notification { method, params } => {
                if let Some(notice) = ServerNotice::named(&method) {
                    self.told(notice, params.map(RawValue::get), &line);
                }
            }
        }
    }

    fn answered(&mut self, answer: &Answer<'_>, line: &[u8]) {
        let id = match answer.id {
            Some(id) => id.ours(),
            // An error without an id is about the request that is open, if only one is; of a shared program nobody can say so.
            None if self.open.len() == 1 && !self.house.command.shared => self.open.keys().next().copied(),
            None => None,
        };
        let Some(open) = id.and_then(|id| self.open.remove(&id)) else { return }; // late, or nobody's
        self.used = Instant::now();
        match open.waiter {
            Waiter::Client(outlet) => {
                self.learn(
                    &open.asked.method,
                    open.asked.params,
                    open.asked.uri,
                    open.session.as_ref(),
                    &answer.verdict,
                );
                outlet.finish(line.to_vec());
            }
            Waiter::Greeting => self.introduced(&answer.verdict),
            Waiter::Nobody => {}
        }
    }

    /// What the program has agreed to.
    fn learn(
        &mut self,
        method: &Method,
        params: Option<Box<str>>,
        uri: Option<Box<str>>,
        session: Option<&Arc<str>>,
        verdict: &Verdict<'_>,
    ) {
        match (*method, verdict) {
            (Method::Discover, Verdict::Result(_)) => self.probed(true),
            (Method::Discover, Verdict::Error(error)) => {
                self.probed(matches!(error_code(error.get()), Some(-32022..=-32020)));
            }
            (Method::Initialize, Verdict::Result(result)) => {
                self.memory.hello = params;
                self.memory.agreed = Some(result.get().into());
                if let Some(session) = session.and_then(|session| self.sessions.get_mut(session)) {
                    session.established = true;
                }
            }
            (Method::Initialize, Verdict::Error(_)) => {
                session.map(|session| self.sessions.remove(session));
                self.legacy = false;
            }
            (Method::SetLevel, Verdict::Result(_)) => self.memory.level = params,
            (Method::Subscribe, Verdict::Result(_)) => {
                if let (Some(uri), Some(session)) = (uri, session)
                    && self.memory.count(session) < MAX_SUBSCRIPTIONS
                    && self.sessions.contains_key(session)
                {
                    self.memory.subscribers.entry(uri).or_default().insert(Arc::clone(session));
                }
            }
            (Method::Unsubscribe, Verdict::Result(_)) => {
                if let (Some(uri), Some(session), false) = (uri, session, self.house.command.shared) {
                    self.memory.unsubscribe(&uri, session);
                }
            }
            _ => {}
        }
    }

    /// The program answered our own `initialize`: a shared one's first, or the one that brings a process that ended back.
    fn introduced(&mut self, verdict: &Verdict<'_>) {
        let before = self.memory.revision();
        match verdict {
            Verdict::Result(result) => {
                let now = session::revision(result.get());
                if now.is_none() || before.is_some_and(|before| now != Some(before)) {
                    return self.crashed(StdioError::Died("it speaks another revision than before".to_owned()));
                }
                if self.house.command.shared {
                    self.memory.agreed = Some(result.get().into());
                    self.memory.initialized = true;
                }
                self.greeted();
            }
            Verdict::Error(error) if before.is_none() => self.refused(error),
            Verdict::Error(_) => self.crashed(StdioError::Died("it refused `initialize` this time".to_owned())),
        }
    }

    /// A request of the program's. Only a legacy program that serves one client has anybody to ask.
    fn asked(&mut self, id: Id<'_>, method: &str, line: &[u8]) {
        // One that asks and does not read gets no more answers than it can owe us for.
        if self.process.as_ref().is_none_or(|process| process.waiting() >= MAX_OWN) {
            return;
        }
        if ServerMethod::named(method) == Some(ServerMethod::Ping) {
            return self.write(&Writer::result(id.as_json(), "{}"));
        }
        match (self.house.command.shared, self.sessions.keys().next().cloned()) {
            (false, Some(session)) => self.pass_on(&session, id, line),
            (true, _) | (_, None) => {
                self.write(&Writer::error(Some(id.as_json()), -32601, "nobody here can be asked", None));
            }
        }
    }

    fn pass_on(&mut self, session: &Arc<str>, id: Id<'_>, line: &[u8]) {
        let (ours, given_up) = self.questions.asked(id);
        if let Some(given_up) = given_up {
            self.write(&Writer::error(Some(&given_up), -32603, "too many questions wait for an answer", None));
        }
        if let Some(line) = renamed(line, &["id"], &ours.to_string()) {
            self.deliver(session, &line);
        }
    }

    /// A question is taken back, by our id for it; if there is none, nobody waits for it.
    fn withdrawn(&mut self, session: &Arc<str>, params: Option<&str>, line: &[u8]) {
        let their = params.and_then(Object::read).and_then(|params| params.get("requestId")).and_then(Id::read);
        let ours = their.and_then(|their| self.questions.withdrawn(their));
        if let Some(line) = ours.and_then(|ours| renamed(line, &["params", "requestId"], &ours.to_string())) {
            self.deliver(session, &line);
        }
    }

    fn told(&mut self, notice: ServerNotice, params: Option<&str>, line: &[u8]) {
        match (notice, self.legacy, self.house.command.shared) {
            (ServerNotice::Progress, ..) => self.progress(params),
            (_, false, _) => self.told_modern(notice, params, line),
            (_, true, true) => self.told_all(notice, params, line),
            (_, true, false) => {
                let Some(session) = self.sessions.keys().next().cloned() else { return };
                match notice == ServerNotice::Cancelled {
                    true => self.withdrawn(&session, params, line),
                    false => self.deliver(&session, line),
                }
            }
        }
    }

    /// Progress goes to its request, under the client's own token. Without one, or too late, to nobody.
    fn progress(&mut self, params: Option<&str>) {
        let Some(params) = params else { return };
        let id = Object::read(params).and_then(|params| params.get("progressToken")?.get().parse().ok());
        let Some(token) = id.and_then(|id| self.open.get(&id)?.asked.token.clone()) else { return };
        if let (Some(id), Some(params)) = (id, mcp::replace(params, &["progressToken"], &token)) {
            self.push(id, Writer::server_message(None, ServerNotice::Progress.as_str(), Some(&params)));
        }
    }

    fn told_modern(&mut self, notice: ServerNotice, params: Option<&str>, line: &[u8]) {
        let params = params.and_then(Object::read).unwrap_or_default();
        if notice == ServerNotice::Cancelled {
            return self.hung_up(params.get("requestId"));
        }
        if notice == ServerNotice::Message {
            // A shared program's words may be about anybody.
            let asked = |(id, open): (&u64, &Open)| open.asked.logs.then_some(*id);
            let asked: Vec<u64> = self.open.iter().filter_map(asked).collect();
            return if !self.house.command.shared {
                asked.into_iter().for_each(|id| self.push(id, line.to_vec()));
            };
        }
        let subscription = params.object("_meta").and_then(|meta| meta.get(meta::SUBSCRIPTION_ID)?.get().parse().ok());
        if let Some(id) = subscription
            && self.open.get(&id).is_some_and(|open| open.asked.method == Method::Listen)
        {
            self.push(id, line.to_vec());
        }
    }

    /// The server ends a subscription. It may say so by a cancellation; over HTTP that is a result.
    fn hung_up(&mut self, request: Option<&RawValue>) {
        let Some(id) = request.and_then(|id| id.get().parse().ok()) else { return };
        if !self.open.get(&id).is_some_and(|open| open.asked.method == Method::Listen) {
            return;
        }
        if let Some(Open { waiter: Waiter::Client(outlet), .. }) = self.open.remove(&id) {
            let result = format!(r#"{{"resultType":"complete","_meta":{{"{}":{id}}}}}"#, meta::SUBSCRIPTION_ID);
            outlet.finish(Writer::result(&id.to_string(), &result));
        }
    }

    /// What a shared program tells concerns whoever subscribed, or everybody. What it logs, and what belongs to questions it cannot ask,
    /// may hold another agent's words.
    fn told_all(&mut self, notice: ServerNotice, params: Option<&str>, line: &[u8]) {
        let concerned: Vec<Arc<str>> = match notice {
            ServerNotice::ToolsChanged
            | ServerNotice::PromptsChanged
            | ServerNotice::ResourcesChanged
            | ServerNotice::TaskStatus => self.sessions.keys().cloned().collect(),
            ServerNotice::ResourceUpdated => {
                let uri = params.and_then(|params| Object::read(params)?.text("uri").map(std::borrow::Cow::into_owned));
                let subscribers = uri.and_then(|uri| self.memory.subscribers.get(uri.as_str()));
                subscribers.into_iter().flatten().cloned().collect()
            }
            ServerNotice::Cancelled
            | ServerNotice::Progress
            | ServerNotice::Message
            | ServerNotice::ElicitationComplete
            | ServerNotice::Tasks
            | ServerNotice::Acknowledged => return,
        };
        for session in concerned {
            if let Some(session) = self.sessions.get_mut(&session)
                && let Some(message) = session.stream(line.to_vec())
            {
                session.keep(message);
            }
        }
    }

    /// To the one open request of the session, else into its stream, else to its oldest request. If there is none, it is kept for a moment.
    fn deliver(&mut self, session: &Arc<str>, line: &[u8]) {
        let mine = |open: &Open| open.session.as_ref() == Some(session) && open.asked.method != Method::Initialize;
        let mut open = self.open.iter().filter(|(_, open)| mine(open)).map(|(id, _)| *id);
        let (oldest, second) = (open.next(), open.next());
        if let (Some(only), None) = (oldest, second) {
            return self.push(only, line.to_vec());
        }
        let Some(session) = self.sessions.get_mut(session) else { return };
        let Some(message) = session.stream(line.to_vec()) else { return };
        match oldest {
            Some(oldest) => self.push(oldest, message),
            None => session.keep(message),
        }
    }

    /// A message beside the answer. A client that takes none of them is given up.
    fn push(&mut self, id: u64, message: Vec<u8>) {
        let Some(Open { waiter: Waiter::Client(outlet), .. }) = self.open.get_mut(&id) else { return };
        let Err(overflow) = outlet.push(message) else { return };
        if let Some(Open { waiter: Waiter::Client(outlet), modern, .. }) = self.open.remove(&id) {
            outlet.fail(overflow);
            if modern {
                self.cancel(id);
            }
        }
    }
}

/// A message with another id in this place.
fn renamed(message: &[u8], place: &[&str], id: &str) -> Option<Vec<u8>> {
    mcp::replace(std::str::from_utf8(message).ok()?, place, id).map(String::into_bytes)
}
