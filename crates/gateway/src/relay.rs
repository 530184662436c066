//! An event stream on its way from a server to a client: every event read, checked and written anew.
//!
//! Nothing runs beside it: when the client hangs up, hyper drops it, and with it the upstream connection. That is what cancels a
//! modern request; in legacy it is no cancel, since servers there go on and keep the answer for a resumed stream.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use mcp::{Era, sse};
use tokio::time::{Instant, Sleep};

use crate::answering::{Answering, Piece};
use crate::exchange::{Exchange, Later, Passed};
use crate::upstream::UpstreamError;

pub(crate) struct Relay {
    upstream: Option<Answering>,
    reader: sse::Reader,
    exchange: Exchange,
    out: Vec<u8>,
    /// An event that is not for the client yet, and what came behind it.
    waiting: Option<(sse::Event, Later)>,
    behind: VecDeque<sse::Event>,
    answered: bool,
    /// Events carry ids: what breaks off here can be resumed by the client.
    resumable: bool,
    last_said: Instant,
    last_heard: Instant,
    times: Times,
    timer: Pin<Box<Sleep>>,
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// How long a stream may go on.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) keep_alive: Duration,
    /// None where silence is lawful: streams that wait for events.
    pub(crate) idle: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
}

impl Times {
    /// When there is something to do next, at the latest.
    fn next(&self, last_said: Instant, last_heard: Instant) -> Instant {
        let wake = [self.idle.map(|idle| last_heard + idle), self.deadline];
        wake.into_iter().flatten().fold(last_said + self.keep_alive, Instant::min)
    }
}

impl Relay {
    pub(crate) fn new(upstream: Answering, exchange: Exchange, times: Times) -> Self {
        let now = Instant::now();
        Self {
            upstream: Some(upstream),
            reader: sse::Reader::new(exchange.upstream.bounds.event),
            exchange,
            out: Vec::new(),
            waiting: None,
            behind: VecDeque::new(),
            answered: false,
            resumable: false,
            last_said: now,
            last_heard: now,
            timer: Box::pin(tokio::time::sleep_until(times.next(now, now))),
            times,
            closing: None,
        }
    }

    /// Ends when that is done: for streams that would never end by themselves.
    pub(crate) fn until(mut self, closing: impl Future<Output = ()> + Send + 'static) -> Self {
        self.closing = Some(Box::pin(closing));
        self
    }

    /// Would it never end by itself?
    pub(crate) fn is_lasting(&self) -> bool {
        self.closing.is_some()
    }

    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if !self.out.is_empty() {
                self.last_said = Instant::now();
                return Poll::Ready(Some(std::mem::take(&mut self.out).into()));
            }
            if let Some((_, later)) = &mut self.waiting {
                let passed = ready!(later.as_mut().poll(cx));
                self.waited(passed);
                continue;
            }
            let Some(upstream) = &mut self.upstream else {
                return Poll::Ready(None);
            };
            match upstream.poll(cx) {
                Poll::Ready(Some(Ok(Piece::Bytes(data)))) => self.heard(&data),
                Poll::Ready(Some(Ok(Piece::Event(event)))) => self.take(event),
                Poll::Ready(Some(Err(error))) => self.end(error),
                Poll::Ready(None) => self.end(UpstreamError::NotAnAnswer),
                Poll::Pending => {
                    if self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(cx).is_ready()) {
                        self.upstream = None;
                    } else if self.timer.as_mut().poll(cx).is_ready() {
                        self.tick();
                    } else {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn heard(&mut self, bytes: &[u8]) {
        let mut reader = std::mem::replace(&mut self.reader, sse::Reader::new(0));
        let read = reader.push(bytes, |event| self.take(event));
        self.reader = reader;
        if read.is_err() {
            self.resumable = false; // the rest of the stream is lost, whatever is asked for
            self.end(UpstreamError::TooLarge(self.exchange.upstream.bounds.event));
        }
    }

    /// Nothing overtakes what waits.
    fn waited(&mut self, passed: Option<Passed>) {
        if let Some((event, _)) = self.waiting.take() {
            self.put(event, passed);
        }
        while self.waiting.is_none()
            && let Some(event) = self.behind.pop_front()
        {
            self.take(event);
        }
    }

    fn take(&mut self, mut event: sse::Event) {
        if self.waiting.is_some() {
            return self.behind.push_back(event);
        }
        self.last_heard = Instant::now();
        // 2026-07-28 has no way to resume.
        self.resumable |= self.exchange.era == Era::Legacy && event.id.as_ref().is_some_and(|id| !id.is_empty());
        // What has no data (a priming event) passes as it is.
        let Some(data) = event.data.take_if(|data| !data.is_empty()) else {
            return sse::write(&event, &mut self.out);
        };
        if event.event.as_deref().is_none_or(|name| name == "message") {
            let passed = self.exchange.message(&data, self.resumable);
            self.put(event, passed);
        }
    }

    fn put(&mut self, event: sse::Event, passed: Option<Passed>) {
        let data = match passed {
            None => return,
            Some(Passed::Later(later)) => {
                self.waiting = Some((event, later));
                return;
            }
            Some(Passed::Answer(_)) if self.answered => return,
            Some(Passed::Answer(data)) => {
                self.answered |= self.exchange.call.is_some();
                data
            }
            Some(Passed::Message(data)) => data,
        };
        sse::write(&sse::Event { data: Some(data), ..event }, &mut self.out);
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if let Some(session) = &self.exchange.session {
            session.touch(); // somebody is listening
        }
        let silent = self.times.idle.is_some_and(|idle| now >= self.last_heard + idle);
        if silent || self.times.deadline.is_some_and(|deadline| now >= deadline) {
            self.resumable = false;
            return self.end(UpstreamError::Timeout);
        }
        if now >= self.last_said + self.times.keep_alive {
            self.out.extend_from_slice(sse::KEEP_ALIVE);
            self.last_said = now;
        }
        let next = self.times.next(self.last_said, self.last_heard);
        self.timer.as_mut().reset(next.max(now + Duration::from_millis(1)));
    }

    /// The stream is over. A request that has no answer, and cannot get one by resuming, gets an error.
    fn end(&mut self, why: UpstreamError) {
        self.upstream = None;
        (self.waiting, self.behind) = (None, VecDeque::new());
        if self.answered || self.resumable {
            return;
        }
        if let Some(error) = self.exchange.failed(why) {
            sse::write(&sse::Event { data: Some(error), ..sse::Event::default() }, &mut self.out);
        }
    }
}
