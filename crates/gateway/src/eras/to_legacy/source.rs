//! Where a legacy server's messages about one request come from: its response, and the same stream resumed when it breaks off.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use mcp::sse;

use super::pool::Slot;
use super::session::Session;
use crate::answering::{Answering, Piece};
use crate::limits::Held;
use crate::upstream::{LAST_EVENT_ID, Upstream, UpstreamError, is_type};

/// How often a stream that breaks off is resumed without anything new coming; and the pause before, unless the server says another.
const MAX_RESUMES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, UpstreamError>> + Send>>;

/// INVARIANT: waiting for the next message can be given up at any time, and nothing is lost.
pub(super) struct Source {
    upstream: Upstream,
    session: Arc<Session>,
    state: State,
    last_event: Option<HeaderValue>,
    pause: Duration,
    resumes: u32,
}

enum State {
    Pending(Boxed<(Arc<Session>, Response<Answering>)>),
    Events(Answering, sse::Reader),
    Whole(Boxed<Bytes>),
    Over,
}

pub(super) enum Heard {
    /// The session it goes on in: another, if the server had forgotten the first.
    Begun(Arc<Session>),
    Messages(Vec<Vec<u8>>),
    /// The one message that there is.
    Only(Bytes),
    Failed(UpstreamError),
}

impl Source {
    /// Posts a message. If the server has forgotten the session, it is posted again in a new one where it may be; what is counted and
    /// recorded goes out once.
    pub(super) fn post(
        slot: &Arc<Slot>,
        session: &Arc<Session>,
        upstream: &Upstream,
        (message, again): (Vec<u8>, bool),
        held: Option<Held>,
    ) -> Self {
        let posted = post(Arc::clone(slot), Arc::clone(session), upstream.clone(), (message, again), held);
        Self {
            upstream: upstream.clone(),
            session: Arc::clone(session),
            state: State::Pending(Box::pin(posted)),
            last_event: None,
            pause: PAUSE,
            resumes: 0,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(super) fn end(&mut self) {
        self.state = State::Over;
    }

    pub(super) async fn next(&mut self) -> Heard {
        match &mut self.state {
            State::Pending(pending) => match pending.await {
                Err(error) => self.fail(error),
                Ok((session, response)) => self.begin(session, response),
            },
            State::Whole(whole) => {
                let read = whole.await;
                self.state = State::Over;
                read.map_or_else(Heard::Failed, Heard::Only)
            }
            State::Events(body, reader) => match body.next().await {
                Some(Ok(Piece::Event(event))) => self.heard(vec![event]),
                Some(Ok(Piece::Bytes(bytes))) => {
                    let mut events = Vec::new();
                    match reader.push(&bytes, |event| events.push(event)) {
                        Ok(()) => self.heard(events),
                        Err(_) => self.fail(UpstreamError::TooLarge(self.upstream.bounds.event)),
                    }
                }
                Some(Err(error)) => self.resume(error),
                None => self.resume(UpstreamError::NotAnAnswer),
            },
            State::Over => std::future::pending().await,
        }
    }

    fn begin(&mut self, session: Arc<Session>, response: Response<Answering>) -> Heard {
        let status = response.status();
        self.session = Arc::clone(&session);
        if status.is_success() && is_type(&response, "text/event-stream") {
            self.state = State::Events(response.into_body(), sse::Reader::new(self.upstream.bounds.event));
        } else if (status.is_success() || matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND))
            && is_type(&response, "application/json")
        {
            let upstream = self.upstream.clone();
            self.state = State::Whole(Box::pin(async move { upstream.read(response.into_body()).await }));
        } else {
            return self.fail(UpstreamError::Status(status));
        }
        Heard::Begun(session)
    }

    fn heard(&mut self, events: Vec<sse::Event>) -> Heard {
        let mut messages = Vec::new();
        for event in events {
            if let Some(id) = event.id.as_deref().filter(|id| !id.is_empty()) {
                self.last_event = HeaderValue::from_str(id).ok();
            }
            if let Some(retry) = event.retry {
                self.pause = Duration::from_millis(retry).min(LONGEST_PAUSE);
            }
            let named = event.event.is_some_and(|name| name != "message");
            messages.extend(event.data.filter(|data| !data.is_empty() && !named));
        }
        if !messages.is_empty() {
            self.resumes = 0;
        }
        Heard::Messages(messages)
    }

    /// A stream whose events have ids goes on where it broke off (2025-11-25, "Resumability and Redelivery").
    fn resume(&mut self, why: UpstreamError) -> Heard {
        let Some(last) = self.last_event.clone().filter(|_| self.resumes < MAX_RESUMES) else { return self.fail(why) };
        self.resumes += 1;
        let (session, upstream, pause) = (Arc::clone(&self.session), self.upstream.renewed(), self.pause);
        self.state = State::Pending(Box::pin(async move {
            tokio::time::sleep(pause).await;
            let mut headers = session.headers();
            headers.insert(LAST_EVENT_ID, last);
            let response = upstream.get(headers).await?;
            match response.status().is_success() && is_type(&response, "text/event-stream") {
                true => Ok((session, response)),
                false => Err(why),
            }
        }));
        Heard::Messages(Vec::new())
    }

    fn fail(&mut self, why: UpstreamError) -> Heard {
        self.state = State::Over;
        Heard::Failed(why)
    }
}

async fn post(
    slot: Arc<Slot>,
    session: Arc<Session>,
    upstream: Upstream,
    (message, again): (Vec<u8>, bool),
    held: Option<Held>,
) -> Result<(Arc<Session>, Response<Answering>), UpstreamError> {
    let response = upstream.post(session.headers(), message.clone(), held).await?;
    let Some(response) = unless_lost(&session, &upstream, response).await? else {
        slot.lost(&session);
        if !again {
            return Err(UpstreamError::SessionLost);
        }
        let session = slot.session(&upstream, None).await?;
        let response = upstream.post(session.headers(), message, None).await?;
        return Ok((session, response));
    };
    Ok((session, response))
}

/// The response, unless it says that the session is gone: 404, or what some servers say with 400.
pub(super) async fn unless_lost(
    session: &Session,
    upstream: &Upstream,
    response: Response<Answering>,
) -> Result<Option<Response<Answering>>, UpstreamError> {
    match response.status() {
        StatusCode::NOT_FOUND if session.has_id() => Ok(None),
        StatusCode::BAD_REQUEST if session.has_id() => {
            let (head, body) = response.into_parts();
            let body = upstream.read(body).await?;
            let text = String::from_utf8_lossy(&body).to_ascii_lowercase();
            if text.contains("session") && is_about_no_request(&body) {
                return Ok(None);
            }
            Ok(Some(Response::from_parts(head, Answering::Whole(Some(body)))))
        }
        _ => Ok(Some(response)),
    }
}

/// An error of the transport's: it answers no request of ours by its id, so none was run.
fn is_about_no_request(body: &[u8]) -> bool {
    match mcp::ServerMessage::read(body) {
        Some(mcp::ServerMessage::Answer(answer)) => answer.id.and_then(|id| id.ours()).is_none(),
        Some(_) => false,
        None => true,
    }
}
