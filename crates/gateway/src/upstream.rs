//! The way to one upstream: requests built anew, pooled connections, no redirects, everything bounded in time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, USER_AGENT};
use http::{HeaderValue, Method as Verb, Request, Response, StatusCode, Uri};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::answering::{Answering, Piece};
use crate::clients::Clients;
use crate::config::Bounds;
use crate::credentials::TokenError;
use crate::era;
use crate::limits::Held;
use crate::policies::PolicyFile;
use crate::server::{Endpoint, Server, Way};
use crate::stdio::StdioError;

pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(crate) const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(crate) const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("toolgate/", env!("CARGO_PKG_VERSION")));

/// Why an upstream gave no usable answer. For the log; callers see that it failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("it is down, and tried again in {0:?}")]
    Down(Duration),
    #[error("cannot connect")]
    Connect(#[source] hyper_util::client::legacy::Error),
    #[error("the exchange broke off")]
    Exchange(#[source] hyper_util::client::legacy::Error),
    #[error("the answer broke off")]
    Body(#[source] hyper::Error),
    #[error("no answer in time")]
    Timeout,
    #[error("it did not answer the one who asked first")]
    LatelyFailed,
    #[error("status {0}")]
    Status(StatusCode),
    #[error("content type `{0}`")]
    ContentType(String),
    #[error("an answer larger than {0} bytes")]
    TooLarge(usize),
    #[error("not the JSON-RPC answer that was asked for")]
    NotAnAnswer,
    #[error("it refused the words of the request: code {0}")]
    Misspoken(f64),
    #[error("the client cancelled the request")]
    Cancelled,
    #[error("a list that cannot be filtered")]
    Unfilterable,
    #[error("its `endpoint` is not of its own origin")]
    Endpoint,
    #[error("the session was lost: try again")]
    SessionLost,
    #[error("its event stream broke off")]
    StreamLost,
    #[error("too many of its event streams are open")]
    TooManyStreams,
    #[error("nothing here connects to it")]
    Unreachable,
    #[error("the request cannot be written")]
    Unwritable(#[from] http::Error),
    #[error("there is nothing to authorize with")]
    Token(#[from] TokenError),
    #[error(transparent)]
    Stdio(#[from] StdioError),
}

impl UpstreamError {
    /// May what answers next time be something else than what was there before?
    pub(crate) fn is_the_end(&self) -> bool {
        matches!(self, Self::Connect(_)) || matches!(self, Self::Stdio(error) if error.is_the_end())
    }

    pub(crate) fn of_request(error: hyper_util::client::legacy::Error) -> Self {
        if error.is_connect() { Self::Connect(error) } else { Self::Exchange(error) }
    }
}

#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) client: Clients,
    pub(crate) server: Arc<Server>,
    /// For whom: some ways keep a process or a session for each agent.
    pub(crate) agent: Arc<str>,
    /// What is in force there for that agent alone.
    pub(crate) own_policy: Option<Arc<PolicyFile>>,
    pub(crate) bounds: Arc<Bounds>,
    /// When the call must be over, whatever it still waits for.
    pub(crate) deadline: Instant,
}

impl Upstream {
    /// What is in force there for the agent, now: a server may be bound to another document while a stream is open.
    pub(crate) fn policy(&self) -> Arc<PolicyFile> {
        self.own_policy.clone().unwrap_or_else(|| self.server.policy.document())
    }

    /// Posts a message that we wrote. What it holds is spent as its first byte is handed to the connection.
    pub(crate) async fn post(
        &self,
        extra: HeaderMap,
        body: Vec<u8>,
        held: Option<Held>,
    ) -> Result<Response<Answering>, UpstreamError> {
        let body = Bytes::from(body);
        match &self.server.way {
            Way::Http(endpoint) => {
                self.post_to(endpoint, endpoint.url.clone(), extra, Departing::new(body, held)).await
            }
            Way::Auto(auto) => auto.post(self, extra, body, held).await,
            Way::Sse(old) => old.post(self, extra, body, held).await,
            Way::Stdio(stdio) => stdio.post(self, &extra, &body, held).await,
        }
    }

    /// Opens an event stream.
    pub(crate) async fn get(&self, extra: HeaderMap) -> Result<Response<Answering>, UpstreamError> {
        let endpoint = match &self.server.way {
            Way::Http(endpoint) => endpoint,
            Way::Auto(auto) if !auto.is_old(&extra) => &auto.old.endpoint,
            Way::Auto(auto) => return Ok(auto.old.get(&extra)),
            Way::Sse(old) => return Ok(old.get(&extra)),
            Way::Stdio(stdio) => return stdio.get(self, &extra).await,
        };
        let mut request = request(Verb::GET, endpoint.url.clone(), extra, Departing::default())?;
        request.headers_mut().insert(ACCEPT, EVENTS);
        self.send(endpoint, request).await
    }

    /// Ends a session.
    pub(crate) async fn delete(&self, extra: HeaderMap) -> Result<Response<Answering>, UpstreamError> {
        let endpoint = match &self.server.way {
            Way::Http(endpoint) => endpoint,
            Way::Auto(auto) if !auto.is_old(&extra) => &auto.old.endpoint,
            Way::Auto(auto) => return Ok(auto.old.delete(&extra)),
            Way::Sse(old) => return Ok(old.delete(&extra)),
            Way::Stdio(stdio) => return Ok(stdio.delete(&extra)),
        };
        let request = request(Verb::DELETE, endpoint.url.clone(), extra, Departing::default())?;
        self.send(endpoint, request).await
    }

    /// The agent was a session, and it is over: a program that it had for its modern messages has nobody any more.
    pub(crate) fn leave(&self) {
        if let Way::Stdio(stdio) = &self.server.way {
            stdio.leave(&self.agent);
        }
    }

    /// By HTTP, to an address of this server's.
    pub(crate) async fn post_to(
        &self,
        endpoint: &Endpoint,
        url: Uri,
        extra: HeaderMap,
        body: Departing,
    ) -> Result<Response<Answering>, UpstreamError> {
        let mut request = request(Verb::POST, url, extra, body)?;
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().insert(ACCEPT, BOTH);
        self.send(endpoint, request).await
    }

    /// Asks whether anybody is there, whatever the transport: any answer says so.
    pub(crate) async fn knock(&self) -> Result<(), UpstreamError> {
        let endpoint = self.server.way.endpoint().ok_or(UpstreamError::Unreachable)?;
        let body = Departing::new(era::discover(&self.server).into(), None);
        let headers = era::modern_headers(mcp::Method::Discover);
        self.post_to(endpoint, endpoint.url.clone(), headers, body).await.map(drop)
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        mut request: Request<Departing>,
    ) -> Result<Response<Answering>, UpstreamError> {
        let client = self.client.of(&self.server, &self.bounds).ok_or(UpstreamError::Unreachable)?;
        let dress = endpoint.dress(&self.agent, self.deadline).await?;
        dress.put_on(request.headers_mut());
        let admitted = endpoint.road.health.admit()?;
        let listens = request.method() == Verb::GET;
        let sent = match tokio::time::timeout_at(self.deadline, client.request(request)).await {
            Err(_) => Err(UpstreamError::Timeout),
            Ok(Err(error)) => Err(UpstreamError::of_request(error)),
            Ok(Ok(response)) => Ok(response.map(Answering::Http)),
        };
        if matches!(&sent, Ok(response) if response.status() == StatusCode::UNAUTHORIZED) {
            dress.was_refused();
        }
        // A stream that waits for events may begin with the first of them.
        if !(listens && matches!(sent, Err(UpstreamError::Timeout))) {
            admitted.note(&sent);
        }
        sent
    }

    /// Reads an answer whole.
    pub(crate) async fn read(&self, mut body: Answering) -> Result<Bytes, UpstreamError> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next(&mut body).await? {
            let Piece::Bytes(data) = piece else { return Err(UpstreamError::NotAnAnswer) };
            if whole.len() + data.len() > self.bounds.response {
                return Err(UpstreamError::TooLarge(self.bounds.response));
            }
            if whole.is_empty() && body.is_over() {
                return Ok(data);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    /// The next part of an answer, by the deadline, and before the upstream has been silent for too long.
    pub(crate) async fn next(&self, body: &mut Answering) -> Result<Option<Piece>, UpstreamError> {
        let patience = self.deadline.min(Instant::now() + self.bounds.idle_timeout);
        let piece = tokio::time::timeout_at(patience, body.next()).await.map_err(|_| UpstreamError::Timeout)?;
        piece.transpose()
    }

    /// With the time of a call of its own.
    pub(crate) fn renewed(&self) -> Self {
        Self { deadline: Instant::now() + self.bounds.call_timeout, ..self.clone() }
    }

    /// Waits for a turn, but not beyond the deadline.
    pub(crate) async fn turn<T>(&self, turn: impl Future<Output = T>) -> Result<T, UpstreamError> {
        tokio::time::timeout_at(self.deadline, turn).await.map_err(|_| UpstreamError::Timeout)
    }
}

/// A request of our own making; credentials are put on as it is sent.
pub(crate) fn request(
    verb: Verb,
    url: Uri,
    extra: HeaderMap,
    body: Departing,
) -> Result<Request<Departing>, UpstreamError> {
    let mut request = Request::builder().method(verb).uri(url).body(body)?;
    let headers = request.headers_mut();
    *headers = extra;
    headers.insert(ACCEPT_ENCODING, IDENTITY);
    headers.insert(USER_AGENT, AGENT);
    Ok(request)
}

/// What a content type is, parameters aside.
pub(crate) fn is_type(response: &Response<Answering>, wanted: &str) -> bool {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

pub(crate) fn content_type(response: &Response<Answering>) -> String {
    response.headers().get(CONTENT_TYPE).map_or_else(String::new, |value| format!("{value:?}"))
}

/// A request body that knows when it leaves: hyper takes it from here when it has a connection to write to.
///
/// INVARIANT: what is held is spent before the first byte goes upstream, and given back only if it never went.
#[derive(Default)]
pub(crate) struct Departing {
    bytes: Option<Bytes>,
    held: Option<Held>,
}

impl Departing {
    pub(crate) fn new(bytes: Bytes, held: Option<Held>) -> Self {
        Self { bytes: Some(bytes), held }
    }
}

impl Body for Departing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(held) = self.held.take() {
            held.spend();
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
