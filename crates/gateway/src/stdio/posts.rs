//! What clients post to a line: passed on, or answered here where a shared program must not be asked.

use std::sync::Arc;

use mcp::{Answer, Id, Method, Notice, Object, ServerMessage, Writer};
use tokio::time::Instant;

use super::error::StdioError;
use super::handle::{Open, Post, Waiter};
use super::line::Line;
use super::message::{Asked, Kind, Message, line};
use super::outlet::Outlet;
use super::session::{MAX_SUBSCRIPTIONS, Session, uri_params};

impl Line {
    /// Whether it may be posted: within a session that exists, or outside of any.
    pub(super) fn admit(&mut self, post: &Post) -> Result<(), StdioError> {
        let Some(id) = &post.session else { return Ok(()) };
        if matches!(&post.message.kind, Kind::Request(asked) if asked.method == Method::Initialize) {
            return Ok(());
        }
        let session = self.sessions.get_mut(id).ok_or(StdioError::Gone)?;
        session.claimed = true;
        session.used = Instant::now();
        Ok(())
    }

    pub(super) fn post(&mut self, post: Post) {
        match &post.message.kind {
            Kind::Request(_) => self.request(post),
            Kind::Notice(notice, request) => {
                let (notice, request) = (*notice, *request);
                self.notice(notice, request, post);
            }
            // A shared program asks nobody anything, so this is no answer.
            Kind::Answer if self.house.command.shared => {}
            Kind::Answer => self.answer(post),
        }
    }

    /// An answer to a question of the program's, under the program's own id. What answers none that waits is dropped: it may be meant
    /// for a process that is no more.
    fn answer(&mut self, post: Post) {
        let mut their = |id: Id<'_>| self.questions.answered(id.ours()?);
        let line = match ServerMessage::read(&post.message.line) {
            Some(ServerMessage::Answer(Answer { id: Some(id), verdict })) => {
                their(id).and_then(|their| line(&Writer::answer(&their, verdict)).ok())
            }
            Some(_) | None => None,
        };
        match line {
            Some(line) => self.send(Message { line, kind: Kind::Answer }, None, post.held),
            None => {
                tracing::debug!(target: "toolgate::server", server = %self.house.server, "an answer to no open question: dropped");
            }
        }
    }

    fn request(&mut self, post: Post) {
        let Post { session, modern, message, held, outlet } = post;
        let (Message { line, kind: Kind::Request(asked) }, Some(outlet)) = (message, outlet) else { return };
        self.asked_for(asked.method);
        let method = asked.method;
        if let (Method::Initialize, Some(session)) = (method, &session) {
            if self.house.command.shared && self.memory.agreed.is_none() {
                let message = Message { line, kind: Kind::Request(asked) };
                return self.ask_again_as_legacy(Post {
                    session: Some(Arc::clone(session)),
                    modern,
                    message,
                    held,
                    outlet: Some(outlet),
                });
            }
            self.legacy = true;
            self.sessions.insert(Arc::clone(session), Session::new());
        }
        match self.own_answer(session.as_ref(), &asked) {
            Ok(None) => {}
            Ok(Some(result)) => return outlet.finish(Writer::result(&asked.id.to_string(), &result)),
            Err(why) => return outlet.fail(why),
        }
        let id = asked.id;
        let mut open = Open { waiter: Waiter::Client(outlet), asked, modern, session };
        self.hand_over_kept(&mut open);
        self.open.insert(id, open);
        self.send(Message { line, kind: Kind::Answer }, Some(id), held);
    }

    fn send(&mut self, message: Message, id: Option<u64>, held: Option<crate::limits::Held>) {
        if let Some(process) = &mut self.process {
            process.write(message.line, id, held);
        }
    }

    /// The result of what is not the program's business. Of a shared one: how it is introduced, whom it tells what, and how much it logs,
    /// since what it logs may be about anybody.
    fn own_answer(&mut self, session: Option<&Arc<str>>, asked: &Asked) -> Result<Option<String>, StdioError> {
        let (Some(session), true) = (session, self.house.command.shared) else { return Ok(None) };
        let done = || Ok(Some("{}".to_owned()));
        match (asked.method, &asked.uri) {
            (Method::Initialize, _) => Ok(self.introduction(session, asked)),
            (Method::SetLevel, _) => done(),
            (Method::Subscribe, Some(uri)) => {
                if self.memory.count(session) >= MAX_SUBSCRIPTIONS {
                    return Err(StdioError::Subscriptions);
                }
                match self.memory.subscribers.get_mut(uri) {
                    None => Ok(None), // when the program agrees, it is noted
                    Some(subscribers) => {
                        subscribers.insert(Arc::clone(session));
                        done()
                    }
                }
            }
            (Method::Unsubscribe, Some(uri)) => match self.memory.unsubscribe(uri, session) {
                true => Ok(None),
                false => done(),
            },
            _ => Ok(None),
        }
    }

    /// What the shared program answered us, in the client's revision if that is an older one.
    fn introduction(&mut self, session: &Arc<str>, asked: &Asked) -> Option<String> {
        let agreed = self.memory.agreed.as_deref()?;
        let wanted = asked.params.as_deref().and_then(super::session::revision);
        let revision = self.memory.revision().into_iter().chain(wanted).min()?;
        let result = Object::read(agreed)?;
        // What it logs goes to nobody, so nobody is told that it does.
        let capabilities = result.object("capabilities").unwrap_or_default().amended(&["logging"], &[]);
        if let Some(session) = self.sessions.get_mut(session) {
            session.established = true;
        }
        let revision = mcp::string(revision.as_str());
        Some(result.amended(&[], &[("protocolVersion", &revision), ("capabilities", &capabilities)]))
    }

    fn notice(&mut self, notice: Option<Notice>, request: Option<u64>, post: Post) {
        let own = |id: u64| {
            let is_open = self.open.get(&id).is_some_and(|open| open.session == post.session);
            is_open || self.left.iter().any(|(left, session)| *left == id && *session == post.session)
        };
        match notice {
            Some(Notice::Cancelled) if !request.is_some_and(own) => {}
            Some(Notice::Cancelled) => self.send(post.message, None, post.held),
            // A shared program was told by us, and knows of no roots or questions.
            Some(_) | None if self.house.command.shared => {}
            Some(Notice::Initialized) => {
                self.memory.initialized = true;
                self.send(post.message, None, post.held);
            }
            Some(Notice::Progress | Notice::RootsChanged | Notice::TaskStatus) | None => {
                self.send(post.message, None, post.held);
            }
        }
    }

    pub(super) fn listen(&mut self, session: &str, mut outlet: Outlet) {
        let Some(session) = self.sessions.get_mut(session) else { return outlet.fail(StdioError::Gone) };
        session.claimed = true;
        session.used = Instant::now();
        for message in session.kept() {
            _ = outlet.push(message); // far fewer than it takes
        }
        session.stream = Some(outlet); // one that was there ends
    }

    fn hand_over_kept(&mut self, open: &mut Open) {
        let session = open.session.as_ref().and_then(|session| self.sessions.get_mut(session));
        if let (Some(session), Waiter::Client(outlet), true) =
            (session, &mut open.waiter, open.asked.method != Method::Initialize)
        {
            for message in session.kept() {
                _ = outlet.push(message); // far fewer than it takes
            }
        }
    }

    /// The session is over. A program that had only this one goes with it.
    pub(super) fn end(&mut self, session: &str) {
        self.sessions.remove(session);
        for uri in self.memory.leave(session) {
            self.say(Method::Unsubscribe, &uri_params(&uri), Waiter::Nobody);
        }
        let of_it: Vec<u64> =
            self.open.iter().filter(|(_, open)| open.session.as_deref() == Some(session)).map(|(id, _)| *id).collect();
        for id in of_it {
            if let Some(Open { waiter: Waiter::Client(outlet), .. }) = self.open.remove(&id) {
                outlet.fail(StdioError::Gone);
            }
        }
        if !self.house.command.shared {
            self.finish();
        }
    }

    pub(super) fn forget_sessions(&mut self) {
        let idle = self.house.session_idle;
        let busy = |id: &Arc<str>| self.open.values().any(|open| open.session.as_ref() == Some(id));
        let left = self.sessions.iter().filter(|(id, session)| session.is_left(idle) && !busy(id));
        let left: Vec<Arc<str>> = left.map(|(id, _)| Arc::clone(id)).collect();
        for id in left {
            self.end(&id);
        }
    }

    /// The process is gone, and with it what it had not agreed to.
    pub(super) fn forget_what_was_under_way(&mut self) {
        self.sessions.retain(|_, session| session.established);
    }
}
