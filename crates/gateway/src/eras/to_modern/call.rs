//! One request of a legacy client's, in as many rounds as the server needs. Each round after the first is judged as a request of its own.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use mcp::{Method, Object, Params, ServerMessage, ServerNotice, sse};
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::oneshot;

use super::answer::{self, Asked, Input, Step};
use super::feed::{Feed, Gone};
use super::{Outgoing, ToModern};
use crate::answering::{Answering, Piece};
use crate::catalogue::Asking;
use crate::era::modern_headers;
use crate::limits::Held;
use crate::pipeline::Lawful;
use crate::refusal::{Addressee, Refused};
use crate::upstream::{MCP_NAME, UpstreamError, content_type, is_type};

/// Rounds that one request may take.
const MAX_ROUNDS: u32 = 16;

/// A server that asks for nothing but to be asked again is asked after this long, and after twice as long each time, up to a limit.
const BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

pub(super) struct Call {
    pub(super) translated: Arc<ToModern>,
    pub(super) out: Outgoing,
    pub(super) feed: Feed,
    rounds: u32,
    refetched: bool,
}

/// A message that may leave: it was judged, and holds what it owes.
pub(super) struct Ready {
    pub(super) id: u64,
    pub(super) message: Vec<u8>,
    pub(super) held: Option<Held>,
}

/// Why there are no more rounds.
pub(super) enum End {
    Answer(Vec<u8>),
    Failed(UpstreamError),
    Gone,
}

impl From<UpstreamError> for End {
    fn from(why: UpstreamError) -> Self {
        Self::Failed(why)
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Refused> for End {
    fn from(refused: Refused) -> Self {
        Self::Answer(refused.message().1)
    }
}

/// Works until the answer is given, or the client cancels. That it hung up is no cancel, as long as there is room for such calls.
pub(super) async fn run(call: Call, first: Ready, gone: oneshot::Receiver<()>, mut cancelled: oneshot::Receiver<()>) {
    let left = Arc::clone(&call.translated.left);
    let _closing = Closing { translated: Arc::clone(&call.translated), ours: call.out.ours };
    let work = call.work(first);
    tokio::pin!(work);
    tokio::select! {
        () = &mut work => return,
        _ = &mut cancelled => return,
        _ = gone => {}
    }
    let Ok(_place) = left.try_acquire_owned() else { return };
    tokio::select! {
        () = &mut work => {}
        _ = &mut cancelled => {}
    }
}

/// The request can no longer be cancelled.
struct Closing {
    translated: Arc<ToModern>,
    ours: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.translated.open().remove(&self.ours);
    }
}

impl Call {
    pub(super) fn new(translated: Arc<ToModern>, out: Outgoing, feed: Feed) -> Self {
        Self { translated, out, feed, rounds: 0, refetched: false }
    }

    async fn work(mut self, first: Ready) {
        let of_tasks = self.out.method.is_of_a_task() || self.out.method == Method::TasksList;
        let end = match of_tasks {
            true => self.task(first).await.map_or_else(|end| end, End::Answer),
            false => self.rounds(first).await,
        };
        match end {
            End::Answer(answer) => self.feed.answer(answer).await,
            End::Failed(why) => self.feed.failed(why).await,
            End::Gone => {}
        }
    }

    async fn rounds(&mut self, first: Ready) -> End {
        let mut ready = first;
        loop {
            match self.round(ready).await {
                Ok(next) => ready = next,
                Err(end) => return end,
            }
        }
    }

    /// Sends, and reads what that led to: the end, or the next message to send.
    async fn round(&mut self, ready: Ready) -> Result<Ready, End> {
        let id = ready.id;
        let name: Option<Box<str>> = self.out.params.name().map(Into::into);
        let answer = self.post(self.out.method, name.as_deref(), ready).await?;
        let asked =
            Asked { method: self.out.method, as_task: self.out.to.as_task, tells_tasks: self.translated.serves.tasks };
        match answer::read(&answer, &asked, id, self.out.ours)? {
            Step::Done(answer) if asked.as_task => return Err(self.made(answer)),
            Step::Done(answer) => return Err(End::Answer(answer)),
            Step::Task(task) => return Err(self.created(&Object::read(&task).unwrap_or_default())),
            // The server refused before it ran anything.
            Step::Stale if !self.refetched => {
                self.refetched = true;
                self.out.entry.server.catalogue.forget();
            }
            Step::Stale => return Err(UpstreamError::Misspoken(-32020.0).into()),
            Step::Input(input) => self.give(input).await?,
        }
        self.again().await
    }

    pub(super) async fn post(
        &mut self,
        method: Method,
        name: Option<&str>,
        ready: Ready,
    ) -> Result<Vec<u8>, UpstreamError> {
        let headers = self.headers(method, name).await?;
        let upstream = &self.out.upstream;
        let response = upstream.post(headers, ready.message, ready.held).await?;
        let status = response.status();
        if status.is_success() && is_type(&response, "text/event-stream") {
            return self.stream(response.into_body(), ready.id).await;
        }
        if !status.is_success() && !matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
            return Err(UpstreamError::Status(status));
        }
        if !is_type(&response, "application/json") {
            upstream.server.era.forget();
            return Err(match status.is_success() {
                true => UpstreamError::ContentType(content_type(&response)),
                false => UpstreamError::Status(status),
            });
        }
        let answer = upstream.read(response.into_body()).await?.to_vec();
        if !status.is_success() && !answer::is_modern(&answer) {
            self.doubt().await;
        }
        Ok(answer)
    }

    /// Not what a modern server says: if the server was replaced by a legacy one, the session is over, and the client begins anew.
    async fn doubt(&self) {
        let Outgoing { upstream, session, pipeline, .. } = &self.out;
        upstream.server.era.forget();
        if let (Ok(false), Some(session)) = (upstream.server.era.is_modern(upstream).await, session) {
            tracing::warn!(server = %upstream.server.id, agent = %self.out.agent.key, "the server no longer speaks 2026-07-28: a session ends");
            pipeline.shared.sessions.remove(session);
            self.translated.subscriptions.end();
        }
    }

    /// The headers that mirror the body.
    async fn headers(&self, method: Method, name: Option<&str>) -> Result<HeaderMap, UpstreamError> {
        let Outgoing { params, upstream, entry, .. } = &self.out;
        let mut headers = modern_headers(method);
        let Some(name) = name else { return Ok(headers) };
        headers.insert(MCP_NAME, value(&mcp::encode(name))?);
        if method != Method::ToolsCall {
            return Ok(headers);
        }
        let asking = Asking { upstream, session: None };
        let mirrors = entry.server.catalogue.tool(name, &asking).await.unwrap_or_else(|error| {
            // A server that needs them says so.
            tracing::warn!(server = %entry.server.id, error = %crate::policies::chain(&error), "the tools cannot be listed");
            None
        });
        for mirror in mirrors.unwrap_or_default() {
            if let (Ok(name), Some(written)) =
                (mirror.header.parse::<http::HeaderName>(), mirror.written(params.get("arguments")))
            {
                headers.insert(name, value(&written)?);
            }
        }
        Ok(headers)
    }

    /// Reads a stream up to the answer; what a request's stream may bring before it goes to the client.
    async fn stream(&mut self, mut body: Answering, sent: u64) -> Result<Vec<u8>, UpstreamError> {
        let max = self.out.upstream.bounds.event;
        let mut reader = sse::Reader::new(max);
        while let Some(piece) = self.out.upstream.next(&mut body).await? {
            let mut events = Vec::new();
            match piece {
                Piece::Event(event) => events.push(event),
                Piece::Bytes(data) => {
                    reader.push(&data, |event| events.push(event)).map_err(|_| UpstreamError::TooLarge(max))?;
                }
            }
            for data in events.into_iter().filter_map(|event| event.data) {
                match ServerMessage::read(&data) {
                    Some(ServerMessage::Answer(answer)) if answer.id.is_none_or(|id| id.ours() == Some(sent)) => {
                        return Ok(data);
                    }
                    Some(ServerMessage::Notification { method, .. }) if is_of_a_request(&method) => {
                        // Nobody to tell: the answer is still read, since the call goes on.
                        _ = self.feed.message(data).await;
                    }
                    // Modern servers send no requests; and other notices belong on `subscriptions/listen`.
                    Some(
                        ServerMessage::Answer(_) | ServerMessage::Notification { .. } | ServerMessage::Request { .. },
                    )
                    | None => {
                        tracing::debug!(server = %self.out.entry.server.id, "a message of the server's was dropped");
                    }
                }
            }
        }
        Err(UpstreamError::NotAnAnswer)
    }

    /// Gets what the server needs to know from the client, and adds it to the params.
    async fn give(&mut self, input: Input) -> Result<(), End> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return Err(self.no_input("too often").into());
        }
        let params = &mut self.out.params;
        params.remove("inputResponses");
        params.remove("requestState");
        if input.wanted.is_empty() {
            let wait = BACKOFF * 2_u32.saturating_pow(self.rounds - 1);
            tokio::time::sleep(wait.min(MAX_BACKOFF)).await;
        } else {
            let given = self.ask(&input.wanted).await?;
            self.out.params.add("inputResponses", given);
        }
        if let Some(state) = input.state {
            self.out.params.add("requestState", state.into());
        }
        Ok(())
    }

    /// The request once more, as the policy of now sees it.
    async fn again(&mut self) -> Result<Ready, End> {
        let params = std::mem::take(&mut self.out.params);
        let (ready, params) = self.judged(self.out.method, params).await?;
        self.out.params = params;
        Ok(ready)
    }

    /// A request that belongs to this one, judged for itself.
    pub(super) async fn judged(
        &mut self,
        method: Method,
        mut params: Params<'static>,
    ) -> Result<(Ready, Params<'static>), End> {
        let out = &mut self.out;
        out.upstream = out.upstream.renewed();
        self.translated.dress_params(&mut params, out.to.as_task || method.is_of_a_task());
        // INVARIANT: what is judged is what is written: the arguments are read from the params
        let arguments = params.get("arguments").map(|text| RawValue::from_string(text.to_owned()));
        let arguments = arguments.transpose().map_err(|_| UpstreamError::NotAnAnswer)?;
        let mut lawful = Lawful {
            method,
            revision: out.revision,
            params,
            arguments: arguments.as_deref(),
            agent: out.agent.clone(),
            session: out.session.clone(),
            consent: out.consent.clone(),
            back: None,
            to: Addressee::clone(&out.to),
        };
        let id = out.entry.server.next_id();
        let (message, held) = out.pipeline.again(&out.entry, &mut lawful, &out.upstream, id).await?;
        Ok((Ready { id, message, held }, lawful.params.into_owned()))
    }
}

fn is_of_a_request(notice: &str) -> bool {
    matches!(ServerNotice::named(notice), Some(ServerNotice::Progress | ServerNotice::Message))
}

fn value(text: &str) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::from_str(text).map_err(|error| UpstreamError::Unwritable(error.into()))
}
