//! The way of a program's messages to one request: never waited for, and bounded, so that one slow client holds up nobody.

use std::collections::VecDeque;

use mcp::sse;
use tokio::sync::{mpsc, oneshot};

use super::error::StdioError;
use crate::upstream::UpstreamError;

/// Events that wait for one client, by number and by bytes.
const MAX_WAITING: usize = 1_024;
const MAX_BYTES: usize = 4 << 20;

type Event = Result<sse::Event, UpstreamError>;
type Whole = Result<Vec<u8>, StdioError>;

/// Where messages for one request go.
pub(super) struct Outlet {
    /// The answer goes here if it comes first, and soon.
    whole: Option<oneshot::Sender<Whole>>,
    events: mpsc::Sender<Event>,
    sizes: VecDeque<usize>,
    bytes: usize,
}

/// Where they come out.
pub(super) struct Inlet {
    pub(super) whole: oneshot::Receiver<Whole>,
    pub(super) events: mpsc::Receiver<Event>,
}

impl Outlet {
    pub(super) fn new() -> (Self, Inlet) {
        let (whole, first) = oneshot::channel();
        let (events, later) = mpsc::channel(MAX_WAITING);
        let outlet = Self { whole: Some(whole), events, sizes: VecDeque::new(), bytes: 0 };
        (outlet, Inlet { whole: first, events: later })
    }

    /// The outlet of a stream, which has no answer.
    pub(super) fn of_stream() -> (Self, mpsc::Receiver<Event>) {
        let (outlet, inlet) = Self::new();
        (Self { whole: None, ..outlet }, inlet.events)
    }

    /// Passes on what is not the answer. When too much waits already, that is the end of it.
    pub(super) fn push(&mut self, data: Vec<u8>) -> Result<(), StdioError> {
        self.whole = None;
        let waiting = self.events.max_capacity() - self.events.capacity();
        while self.sizes.len() > waiting {
            self.bytes -= self.sizes.pop_front().unwrap_or_default();
        }
        // The last place is for the error.
        let full = waiting + 1 >= MAX_WAITING || (waiting > 0 && self.bytes + data.len() > MAX_BYTES);
        if full {
            return Err(StdioError::Overflow);
        }
        self.sizes.push_back(data.len());
        self.bytes += data.len();
        _ = self.events.try_send(Ok(sse::Event { data: Some(data), ..sse::Event::default() }));
        Ok(())
    }

    /// The answer, after which nothing comes.
    pub(super) fn finish(mut self, data: Vec<u8>) {
        let late = match self.whole.take() {
            Some(whole) => whole.send(Ok(data)).err().and_then(Result::ok),
            None => Some(data),
        };
        if let Some(Err(overflow)) = late.map(|data| self.push(data)) {
            self.fail(overflow);
        }
    }

    pub(super) fn fail(mut self, why: StdioError) {
        match self.whole.take() {
            Some(whole) => {
                if let Err(Err(why)) = whole.send(Err(why)) {
                    _ = self.events.try_send(Err(why.into()));
                }
            }
            None => _ = self.events.try_send(Err(why.into())),
        }
    }

    /// Has the client gone?
    pub(super) fn is_closed(&self) -> bool {
        self.events.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_takes_nothing_gets_an_error_at_the_end() {
        let (mut outlet, mut inlet) = Outlet::new();
        let mut sent = 0;
        let why = loop {
            match outlet.push(vec![b'x'; MAX_BYTES / 4]) {
                Ok(()) => sent += 1,
                Err(why) => break why,
            }
        };
        assert_eq!(sent, 4);
        outlet.fail(why);
        for _ in 0..sent {
            assert!(inlet.events.recv().await.unwrap().is_ok());
        }
        assert!(inlet.events.recv().await.unwrap().is_err());
        assert!(inlet.events.recv().await.is_none());
    }

    #[tokio::test]
    async fn many_small_ones_are_too_many_too() {
        let (mut outlet, _inlet) = Outlet::new();
        let taken = (0..2 * MAX_WAITING).take_while(|_| outlet.push(vec![b'x']).is_ok()).count();
        assert_eq!(taken, MAX_WAITING - 1);
    }

    #[tokio::test]
    async fn whoever_takes_everything_never_does() {
        let (mut outlet, mut inlet) = Outlet::new();
        for _ in 0..4 * MAX_WAITING {
            outlet.push(vec![b'x'; MAX_BYTES / 16]).unwrap();
            inlet.events.recv().await.unwrap().unwrap();
        }
    }
}
