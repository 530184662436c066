//! What comes back from an upstream, whichever way it is reached: bytes of HTTP, or events that an adapter hands over one by one.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body, Incoming};
use mcp::sse;
use tokio::sync::mpsc;

use crate::upstream::UpstreamError;

pub(crate) enum Answering {
    Http(Incoming),
    Whole(Option<Bytes>),
    Fed(Fed),
}

/// A part of an answer.
pub(crate) enum Piece {
    Bytes(Bytes),
    /// An event, whole.
    Event(sse::Event),
}

/// Events from an adapter. Dropping it tells the adapter that nobody waits any more.
pub(crate) struct Fed {
    events: mpsc::Receiver<Result<sse::Event, UpstreamError>>,
    _guard: Option<Box<dyn Send>>,
}

impl Answering {
    /// An event stream; `guard` is dropped with it.
    pub(crate) fn events(
        events: mpsc::Receiver<Result<sse::Event, UpstreamError>>,
        guard: Option<Box<dyn Send>>,
    ) -> Response<Self> {
        let fed = Self::Fed(Fed { events, _guard: guard });
        typed(StatusCode::OK, HeaderValue::from_static("text/event-stream"), fed)
    }

    /// One JSON message.
    pub(crate) fn json(status: StatusCode, message: impl Into<Bytes>) -> Response<Self> {
        typed(status, HeaderValue::from_static("application/json"), Self::Whole(Some(message.into())))
    }

    pub(crate) fn empty(status: StatusCode) -> Response<Self> {
        let mut response = Response::new(Self::Whole(None));
        *response.status_mut() = status;
        response
    }

    /// The next part; none at the end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, UpstreamError>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Piece::Bytes(bytes)))),
            Self::Fed(fed) => fed.events.poll_recv(cx).map(|event| event.map(|event| event.map(Piece::Event))),
            Self::Http(body) => loop {
                let frame = std::task::ready!(Pin::new(&mut *body).poll_frame(cx));
                match frame {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(UpstreamError::Body(error)))),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(Piece::Bytes(data))));
                        }
                    }
                }
            },
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Piece, UpstreamError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Is it known that nothing more comes?
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Http(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.is_none(),
            Self::Fed(_) => false,
        }
    }
}

fn typed(status: StatusCode, kind: HeaderValue, body: Answering) -> Response<Answering> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
