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
        };
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relay(_) | Self::Merged(_) | Self::Fed(_) => SizeHint::default(),
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
