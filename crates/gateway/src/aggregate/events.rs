//! What a mount in this process answers, read event by event. Dropping it hangs up on the server behind it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use hyper::body::Body;
use mcp::{ServerMessage, sse};

use crate::reply::{Out, Reply};

/// An event stream of ours.
pub(crate) struct Events {
    body: Box<Out>,
    reader: sse::Reader,
    ready: VecDeque<sse::Event>,
}

impl Events {
    /// `max`: bytes of one event. The mount let no longer one pass.
    pub(super) fn new(body: Out, max: usize) -> Self {
        Self { body: Box::new(body), reader: sse::Reader::new(max.saturating_mul(2)), ready: VecDeque::new() }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<sse::Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            let Some(bytes) = std::task::ready!(poll_bytes(&mut self.body, cx)) else { return Poll::Ready(None) };
            if self.reader.push(&bytes, |event| self.ready.push_back(event)).is_err() {
                return Poll::Ready(None);
            }
        }
    }

    pub(super) async fn next(&mut self) -> Option<sse::Event> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}

fn poll_bytes(body: &mut Out, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
    loop {
        match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(data));
                }
            }
        }
    }
}

pub(super) fn is_stream(reply: &Reply) -> bool {
    reply.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream")
}

/// A body that is no stream, whole.
pub(super) async fn whole(mut body: Out) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(bytes) = std::future::poll_fn(|cx| poll_bytes(&mut body, cx)).await {
        whole.extend_from_slice(&bytes);
    }
    whole
}

/// The answer alone, for requests of which nothing else is of interest.
pub(crate) async fn answer(reply: Reply, max: usize) -> Option<Vec<u8>> {
    if !is_stream(&reply) {
        return Some(whole(reply.into_body()).await);
    }
    let mut events = Events::new(reply.into_body(), max);
    while let Some(event) = events.next().await {
        let answers = |data: &Vec<u8>| matches!(ServerMessage::read(data), Some(ServerMessage::Answer(_)));
        if let Some(data) = event.data.filter(answers) {
            return Some(data);
        }
    }
    None
}
