//! What goes back to a client: a body that is whole, relayed, or fed message by message.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::aggregate::merged::Merged;
use crate::approvals::Held;
use crate::identity::Over;
use crate::relay::Relay;

pub(crate) type Reply = Response<Out>;

pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A response body.
pub(crate) enum Out {
    Whole(Option<Bytes>),
    Relay(Box<Relay>),
    Merged(Box<Merged>),
    Fed(mpsc::Receiver<Bytes>),
    /// A call that waits for a person.
    Held(Box<Held>),
    /// As long as its reader may read.
    Until(Box<Out>, Over),
}

impl Out {
    /// Ends, wherever it is, when that is done.
    pub(crate) fn until(self, over: Option<Over>) -> Self {
        match (self, over) {
            (out @ (Self::Relay(_) | Self::Merged(_) | Self::Fed(_) | Self::Held(_)), Some(over)) => {
                Self::Until(Box::new(out), over)
            }
            (out, _) => out,
        }
    }

    /// Is it written as events, rather than as one message?
    pub(crate) fn is_stream(&self) -> bool {
        !matches!(self, Self::Whole(_))
    }

    /// Does it wait for events, rather than for an answer?
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Relay(relay) => relay.is_lasting(),
            Self::Merged(merged) => merged.is_lasting(),
            // A batch may be taken for one: then it ends a little too often.
            Self::Fed(_) => true,
            // What it is judged by when it was approved must be what the agent is then: so it ends when that changes.
            Self::Held(_) => true,
            Self::Until(out, _) => out.is_lasting(),
        }
    }
}

impl Body for Out {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Relay(relay) => relay.poll_bytes(cx),
            Self::Merged(merged) => merged.poll_bytes(cx),
            Self::Fed(feed) => feed.poll_recv(cx),
            Self::Held(held) => held.poll_bytes(cx),
            Self::Until(out, over) => {
                if over.as_mut().poll(cx).is_ready() {
                    // What it held goes with it, as if the client had hung up.
                    **out = Self::Whole(None);
                }
                return Pin::new(&mut **out).poll_frame(cx);
            }
        };
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relay(_) | Self::Merged(_) | Self::Fed(_) | Self::Held(_) | Self::Until(..) => SizeHint::default(),
        }
    }
}

/// A status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Reply {
    with(status, Out::Whole(None))
}

pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Reply {
    let mut reply = with(status, Out::Whole(Some(body.into())));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// An event stream: never cached, never buffered on the way.
pub(crate) fn events(body: Out) -> Reply {
    let mut reply = with(StatusCode::OK, body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    reply
}

fn with(status: StatusCode, body: Out) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply
}
