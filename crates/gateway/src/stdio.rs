//! Servers that are programs, made to look like Streamable HTTP: messages are posted, events come back, sessions have ids.
//!
//! A legacy session has a process of its own, and a modern agent has one; or all share one. What is posted crosses to the task that has
//! the process (`line.rs`), and what the program says comes back through the request's outlet.

mod crashes;
mod error;
mod handle;
mod house;
mod line;
mod lines;
mod message;
mod nursery;
mod outlet;
mod posts;
mod process;
mod questions;
mod routing;
mod session;
mod stderr;
mod table;

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderMap;
use http::{HeaderValue, Response, StatusCode};
use mcp::{Method, Revision, ServerMessage, Verdict};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

pub(crate) use self::error::StdioError;
use self::handle::{Command, Handle, Note, Post, Spare};
pub(crate) use self::house::Doing;
use self::house::House;
use self::message::{Kind, Message};
pub(crate) use self::nursery::{Nursery, Place};
use self::outlet::{Inlet, Outlet};
use self::table::Table;
use crate::answering::Answering;
use crate::config;
use crate::era::error_code;
use crate::limits::Held;
use crate::reply::SESSION_ID;
use crate::upstream::{PROTOCOL_VERSION, Upstream, UpstreamError};

/// An answer that comes within this, before anything else, is one JSON message; otherwise there is a stream.
const FIRST: Duration = Duration::from_secs(1);

/// How often another line is looked for when one ended just now.
const TRIES: usize = 3;

/// A server that is a program.
pub(crate) struct Stdio {
    table: Table,
    house: Arc<House>,
}

impl Stdio {
    /// Is there one process for all?
    pub(crate) fn is_shared(&self) -> bool {
        self.house.command.shared
    }
}

/// Tells the line that nobody waits any more.
struct Leaving {
    notes: mpsc::UnboundedSender<Note>,
    note: Option<Note>,
    /// Of a probe: the line that it leaves behind.
    probed: Option<Arc<Spare>>,
}

impl Leaving {
    fn answered(mut self) {
        self.note = None;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let Some(note) = self.note.take() else { return };
        // At once: whoever gave up asking wants the line next, and may be faster than the note.
        if let Some(spare) = &self.probed {
            spare.probed(false);
        }
        _ = self.notes.send(note);
    }
}

impl Stdio {
    pub(crate) fn new(server: &str, command: &config::Command, bounds: &config::Bounds, place: Place) -> Arc<Self> {
        let house = Arc::new(House::new(server, command, bounds.event, bounds.session_idle));
        Arc::new(Self { table: Table::new(Arc::clone(&house), place), house })
    }

    /// For `/readyz` and metrics.
    pub(crate) fn doing(&self) -> Doing {
        self.house.doing()
    }

    pub(crate) async fn post(
        &self,
        upstream: &Upstream,
        headers: &HeaderMap,
        body: &[u8],
        held: Option<Held>,
    ) -> Result<Response<Answering>, UpstreamError> {
        let message = Message::read(body)?;
        let modern = headers.get(PROTOCOL_VERSION).is_some_and(|version| version == Revision::MODERN.as_str());
        let introduces = matches!(&message.kind, Kind::Request(asked) if asked.method == Method::Initialize);
        let post = Post { session: None, modern, message, held, outlet: None };
        match (headers.get(SESSION_ID), modern) {
            (Some(id), _) => match self.session(id) {
                Some((id, line)) => {
                    self.within(upstream, &line, Post { session: Some(id), modern: false, ..post }).await
                }
                None => Ok(Answering::empty(StatusCode::NOT_FOUND)),
            },
            (None, false) if introduces => self.initialize(upstream, post).await,
            (None, true) => self.ask(upstream, post).await,
            (None, false) => Ok(Answering::empty(StatusCode::BAD_REQUEST)),
        }
    }

    /// The stream of a session.
    pub(crate) async fn get(
        &self,
        upstream: &Upstream,
        headers: &HeaderMap,
    ) -> Result<Response<Answering>, UpstreamError> {
        let Some(id) = headers.get(SESSION_ID) else { return Ok(Answering::empty(StatusCode::METHOD_NOT_ALLOWED)) };
        let Some((id, line)) = self.session(id) else { return Ok(Answering::empty(StatusCode::NOT_FOUND)) };
        let (outlet, events) = Outlet::of_stream();
        let sent = timeout_at(upstream.deadline, line.commands.send(Command::Listen(id, outlet))).await;
        match sent {
            Err(_) => Err(UpstreamError::Timeout),
            Ok(Err(_)) => Ok(Answering::empty(StatusCode::NOT_FOUND)),
            Ok(Ok(())) => Ok(Answering::events(events, None)),
        }
    }

    /// Ends a session.
    pub(crate) fn delete(&self, headers: &HeaderMap) -> Response<Answering> {
        let id = headers.get(SESSION_ID).and_then(|id| id.to_str().ok());
        match id.and_then(|id| self.table.remove(id)) {
            Some((id, line)) => {
                line.note(Note::End(id));
                Answering::empty(StatusCode::NO_CONTENT)
            }
            None => Answering::empty(StatusCode::NOT_FOUND),
        }
    }

    /// Nobody new comes: what is open is answered, and then the processes end.
    pub(crate) fn retire(&self) {
        self.house.retire();
    }

    /// That agent does not come back.
    pub(crate) fn leave(&self, agent: &Arc<str>) {
        self.table.leave(agent);
    }

    fn session(&self, id: &HeaderValue) -> Option<(Arc<str>, Handle)> {
        self.table.session(id.to_str().ok()?)
    }

    /// A message of a legacy session.
    async fn within(
        &self,
        upstream: &Upstream,
        line: &Handle,
        post: Post,
    ) -> Result<Response<Answering>, UpstreamError> {
        match self.exchange(upstream, line, post).await {
            Ok(Err(_)) | Err(UpstreamError::Stdio(StdioError::Gone)) => Ok(Answering::empty(StatusCode::NOT_FOUND)),
            Ok(Ok(response)) => Ok(response),
            Err(error) => Err(error),
        }
    }

    /// A modern message: to the agent's process.
    async fn ask(&self, upstream: &Upstream, mut post: Post) -> Result<Response<Answering>, UpstreamError> {
        for _ in 0..TRIES {
            let line = self.table.modern(&upstream.agent, upstream.deadline).await?;
            match self.exchange(upstream, &line, post).await? {
                Ok(response) => return Ok(response),
                Err(unsent) => post = unsent, // it ended just now
            }
        }
        Err(StdioError::Gone.into())
    }

    /// An `initialize`: a session begins, with a process of its own, unless all share one.
    async fn initialize(&self, upstream: &Upstream, mut post: Post) -> Result<Response<Answering>, UpstreamError> {
        let id = session_id()?;
        for _ in 0..TRIES {
            let line = self.table.legacy(&upstream.agent, upstream.deadline).await?;
            let note = Some(Note::End(Arc::clone(&id)));
            let unfinished = Leaving { notes: line.notes.clone(), note, probed: None };
            post.session = Some(Arc::clone(&id));
            let (outlet, inlet) = Outlet::new();
            post = match send(upstream, &line, post, Some(outlet)).await? {
                Ok(()) => return self.introduced(upstream, id, line, inlet, unfinished).await,
                Err(unsent) => unsent,
            };
        }
        Err(StdioError::Gone.into())
    }

    async fn introduced(
        &self,
        upstream: &Upstream,
        id: Arc<str>,
        line: Handle,
        inlet: Inlet,
        unfinished: Leaving,
    ) -> Result<Response<Answering>, UpstreamError> {
        let answer = timeout_at(upstream.deadline, inlet.whole).await.map_err(|_| UpstreamError::Timeout)?;
        let answer = answer.map_err(|_| StdioError::Ending)??;
        if error(&answer).is_some() {
            // Some programs speak the era they were first spoken to in, and no other: whoever tries the other gets another process.
            drop(unfinished);
            self.table.refused(&line);
            return Ok(Answering::json(StatusCode::BAD_REQUEST, answer));
        }
        unfinished.answered();
        let header = HeaderValue::from_str(&id).map_err(|_| StdioError::NoRandomness)?;
        self.table.insert(id, line);
        let mut response = Answering::json(StatusCode::OK, answer);
        response.headers_mut().insert(SESSION_ID, header);
        Ok(response)
    }

    /// Posts, and waits a moment for what comes first. The post comes back when the line has ended.
    async fn exchange(
        &self,
        upstream: &Upstream,
        line: &Handle,
        post: Post,
    ) -> Result<Result<Response<Answering>, Post>, UpstreamError> {
        let Kind::Request(asked) = &post.message.kind else {
            let sent = send(upstream, line, post, None).await?;
            return Ok(sent.map(|()| Answering::empty(StatusCode::ACCEPTED)));
        };
        let (id, modern) = (asked.id, post.modern && asked.method != Method::Discover);
        let probed = (asked.method == Method::Discover).then(|| Arc::clone(&line.spare));
        let leaving = Leaving { notes: line.notes.clone(), note: Some(Note::Left(id)), probed };
        let (outlet, Inlet { mut whole, events }) = Outlet::new();
        if let Err(unsent) = send(upstream, line, post, Some(outlet)).await? {
            return Ok(Err(unsent));
        }
        let soon = upstream.deadline.min(Instant::now() + FIRST);
        let answer = tokio::select! {
            biased;
            answer = &mut whole => answer.ok(),
            () = sleep_until(soon) => {
                whole.close();
                whole.try_recv().ok() // or it would be lost, if it came this very moment
            }
        };
        match answer {
            None => Ok(Ok(Answering::events(events, Some(Box::new(leaving))))),
            Some(answer) => {
                leaving.answered();
                let answer = answer?;
                let status = if modern { status(&answer) } else { StatusCode::OK };
                Ok(Ok(Answering::json(status, answer)))
            }
        }
    }
}

/// Hands a post over; it comes back when nobody is there to take it.
async fn send(
    upstream: &Upstream,
    line: &Handle,
    post: Post,
    outlet: Option<Outlet>,
) -> Result<Result<(), Post>, UpstreamError> {
    match timeout_at(upstream.deadline, line.commands.reserve()).await {
        Err(_) => Err(UpstreamError::Timeout),
        Ok(Err(_)) => Ok(Err(post)),
        Ok(Ok(place)) => {
            place.send(Command::Post(Box::new(Post { outlet, ..post })));
            Ok(Ok(()))
        }
    }
}

/// The code of an error.
fn error(answer: &[u8]) -> Option<i64> {
    match ServerMessage::read(answer)? {
        ServerMessage::Answer(mcp::Answer { verdict: Verdict::Error(error), .. }) => {
            Some(error_code(error.get()).unwrap_or_default())
        }
        ServerMessage::Answer(_) | ServerMessage::Request { .. } | ServerMessage::Notification { .. } => None,
    }
}

/// As a modern server over HTTP would have it.
fn status(answer: &[u8]) -> StatusCode {
    match error(answer) {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32022..=-32020) => StatusCode::BAD_REQUEST,
        Some(_) | None => StatusCode::OK,
    }
}

/// 192 bits from the system's generator, in hexadecimal.
fn session_id() -> Result<Arc<str>, StdioError> {
    crate::random::hex::<24>().map(Into::into).map_err(|_| StdioError::NoRandomness)
}
