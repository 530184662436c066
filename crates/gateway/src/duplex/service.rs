//! Who answers: the pipeline in this process, or a gateway elsewhere. Either way a request goes in and a response comes back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use mcp::{ServerMessage, sse};
use tokio::time::timeout;

use super::there::There;
use crate::agent::Agent;
use crate::aggregate::{self, Mount};
use crate::config::Bounds;
use crate::pipeline::{Entry, Peer, Pipeline, usable};
use crate::refusal::{Refusal, Refused};
use crate::reply::{Out, Reply, SESSION_ID};

pub(crate) enum Service {
    Here(Here),
    There(Box<There>),
}

/// Behind the pipeline of this process.
pub(crate) struct Here {
    pub(crate) pipeline: Pipeline,
    pub(crate) to: Target,
    pub(crate) agent: Agent,
}

/// What answers there.
pub(crate) enum Target {
    /// Its id: what is behind it may change between two messages.
    Server(Arc<str>),
    /// All servers as one.
    Aggregate,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("cannot reach the gateway at {at}: is `toolgate serve` running?")]
    Unreached { at: Box<str>, source: Box<hyper_util::client::legacy::Error> },
    #[error("the connection broke off before there was an answer: the request may have been run")]
    BrokeOff,
    #[error("no answer in time: the request may have been run")]
    Timeout,
    #[error(
        "the gateway wants a valid token, which `toolgate bridge` reads from `TOOLGATE_TOKEN` or from the variable that `--token-env` names (status {0})"
    )]
    Token(StatusCode),
    #[error("status {0} instead of an answer")]
    Status(StatusCode),
    #[error("an answer larger than {0} bytes")]
    TooLarge(usize),
    #[error("not the answer that was asked for")]
    NotAnAnswer,
    #[error("the session was lost, and there is no new one: {0}")]
    Session(&'static str),
    #[error("ended before there was an answer: the request may have been run")]
    Ended,
}

/// A response whose body is still to be read.
pub(crate) struct Answered {
    pub(super) status: StatusCode,
    pub(super) session: Option<HeaderValue>,
    kind: Option<HeaderValue>,
    body: Coming,
}

enum Coming {
    Here(Box<Out>),
    There(Incoming),
}

impl Here {
    /// For the one who runs this process.
    pub(crate) fn local(pipeline: Pipeline, server: Arc<str>) -> Self {
        Self { pipeline, to: Target::Server(server), agent: Agent::peer(IpAddr::from([127, 0, 0, 1])) }
    }

    async fn post(&self, headers: HeaderMap, body: &[u8]) -> Result<Reply, Refused> {
        match &self.to {
            Target::Server(id) => self.pipeline.read(&self.entry(id, headers)?, body).await,
            Target::Aggregate => self.mount(headers).read(body).await,
        }
    }

    async fn get(&self, headers: HeaderMap) -> Result<Reply, Refused> {
        match &self.to {
            Target::Server(id) => self.pipeline.stream(&self.entry(id, headers)?).await,
            Target::Aggregate => self.mount(headers).stream(),
        }
    }

    async fn delete(&self, headers: HeaderMap) -> Result<Reply, Refused> {
        match &self.to {
            Target::Server(id) => self.pipeline.end(&self.entry(id, headers)?).await,
            Target::Aggregate => self.mount(headers).end().await,
        }
    }

    fn entry(&self, id: &str, headers: HeaderMap) -> Result<Entry, Refusal> {
        let registry = self.pipeline.shared.registry.load();
        let server = Arc::clone(usable(&registry, id, &self.agent)?);
        Ok(Entry::new(server, Arc::new(headers), self.agent.clone()).own())
    }

    fn mount(&self, headers: HeaderMap) -> Mount {
        let peer = Peer { agent: self.agent.clone(), certificate: None };
        Mount::new(&self.pipeline, headers, peer, self.pipeline.shared.registry.load())
    }

    fn touch(&self, session: &str) {
        let shared = &self.pipeline.shared;
        match &self.to {
            Target::Server(id) => {
                if let Some(server) = shared.registry.load().server(id) {
                    shared.sessions.find(session, server, &self.agent);
                }
            }
            Target::Aggregate => shared.aggregate.touch(session, &self.agent, &shared.sessions),
        }
    }

    fn answered(&self, outcome: Result<Reply, Refused>) -> Answered {
        let reply = outcome.unwrap_or_else(|refused| {
            self.pipeline.turned_away(self.to.name(), &self.agent, &refused);
            refused.reply()
        });
        Answered::new(reply, |body| Coming::Here(Box::new(body)))
    }
}

impl Target {
    /// What the log calls it. No two have the same: no server can be called as the aggregate is.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Server(id) => id,
            Self::Aggregate => aggregate::NAME,
        }
    }

    /// Its path below `/mcp` and `/sse`.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Server(id) => format!("/{id}"),
            Self::Aggregate => String::new(),
        }
    }
}

impl Service {
    pub(super) async fn post(&self, headers: HeaderMap, body: Bytes) -> Result<Answered, Trouble> {
        match self {
            Self::Here(here) => Ok(here.answered(here.post(headers, &body).await)),
            Self::There(there) => there.post(headers, body).await.map(Answered::elsewhere),
        }
    }

    pub(super) async fn get(&self, headers: HeaderMap) -> Result<Answered, Trouble> {
        match self {
            Self::Here(here) => Ok(here.answered(here.get(headers).await)),
            Self::There(there) => there.get(headers).await.map(Answered::elsewhere),
        }
    }

    pub(super) async fn delete(&self, headers: HeaderMap) -> Result<Answered, Trouble> {
        match self {
            Self::Here(here) => Ok(here.answered(here.delete(headers).await)),
            Self::There(there) => there.delete(headers).await.map(Answered::elsewhere),
        }
    }

    /// The client is there, though it says nothing: its session is in use.
    pub(super) fn touch(&self, headers: &HeaderMap) {
        if let Self::Here(here) = self
            && let Some(id) = headers.get(SESSION_ID).and_then(|id| id.to_str().ok())
        {
            here.touch(id);
        }
    }
}

impl Answered {
    fn new<B>(response: Response<B>, coming: impl FnOnce(B) -> Coming) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            session: head.headers.get(SESSION_ID).cloned(),
            kind: head.headers.get(CONTENT_TYPE).cloned(),
            body: coming(body),
        }
    }

    fn elsewhere(response: Response<Incoming>) -> Self {
        Self::new(response, Coming::There)
    }

    pub(super) fn is(&self, wanted: &str) -> bool {
        let kind = self.kind.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
    }

    pub(super) fn has_events(&self) -> bool {
        self.status.is_success() && self.is("text/event-stream")
    }

    /// What went wrong, if there is no message in it.
    pub(super) fn trouble(&self) -> Trouble {
        match self.status {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Trouble::Token(status),
            status if status.is_success() => Trouble::NotAnAnswer,
            status => Trouble::Status(status),
        }
    }

    /// The next bytes, before it has been silent for too long; where silence is lawful, whenever they come.
    pub(super) async fn next(&mut self, silence: Option<Duration>) -> Result<Option<Bytes>, Trouble> {
        loop {
            let frame = match silence {
                None => self.body.frame().await,
                Some(silence) => timeout(silence, self.body.frame()).await.map_err(|_| Trouble::Timeout)?,
            };
            match frame {
                None => return Ok(None),
                Some(Err(())) => return Err(Trouble::BrokeOff),
                Some(Ok(None)) => {} // trailers
                Some(Ok(Some(data))) => return Ok(Some(data)),
            }
        }
    }

    /// One JSON message, whole.
    pub(super) async fn whole(&mut self, bounds: &Bounds) -> Result<Bytes, Trouble> {
        let mut whole = BytesMut::new();
        while let Some(data) = self.next(Some(bounds.idle_timeout)).await? {
            if whole.len() + data.len() > bounds.response {
                return Err(Trouble::TooLarge(bounds.response));
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    /// The answer, whatever comes before it.
    pub(super) async fn answer(&mut self, bounds: &Bounds) -> Result<Bytes, Trouble> {
        let is_answer = |data: &[u8]| matches!(ServerMessage::read(data), Some(ServerMessage::Answer(_)));
        if !self.has_events() {
            let whole = match self.is("application/json") {
                true => self.whole(bounds).await?,
                false => Bytes::new(),
            };
            return is_answer(&whole).then_some(whole).ok_or_else(|| self.trouble());
        }
        let mut reader = sse::Reader::new(bounds.event);
        while let Some(data) = self.next(Some(bounds.idle_timeout)).await? {
            let mut found = None;
            let read = reader.push(&data, |event| {
                let answer = event.data.filter(|data| found.is_none() && is_answer(data));
                found = found.take().or(answer);
            });
            read.map_err(|_| Trouble::TooLarge(bounds.event))?;
            if let Some(answer) = found {
                return Ok(answer.into());
            }
        }
        Err(Trouble::BrokeOff)
    }
}

impl Coming {
    async fn frame(&mut self) -> Option<Result<Option<Bytes>, ()>> {
        match self {
            Self::Here(out) => data(out.as_mut()).await,
            Self::There(incoming) => data(incoming).await,
        }
    }
}

async fn data<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Option<Result<Option<Bytes>, ()>> {
    let frame = body.frame().await?;
    Some(frame.map(|frame| frame.into_data().ok()).map_err(drop))
}
