//! The way to the client: one JSON answer, or a stream as soon as something comes before the answer.

use mcp::sse;
use tokio::sync::{mpsc, oneshot};

use crate::upstream::UpstreamError;

/// Messages that wait for a slow client; then the server waits.
const WAITING: usize = 16;

type Events = Result<sse::Event, UpstreamError>;

/// How the response begins.
pub(super) enum Head {
    Whole(Vec<u8>),
    Events(mpsc::Receiver<Events>),
    Failed(UpstreamError),
}

pub(super) struct Feed {
    /// Until the response has begun.
    head: Option<oneshot::Sender<Head>>,
    events: Option<mpsc::Sender<Events>>,
}

/// The client hung up.
pub(super) struct Gone;

impl Feed {
    pub(super) fn new() -> (Self, oneshot::Receiver<Head>) {
        let (head, begun) = oneshot::channel();
        (Self { head: Some(head), events: None }, begun)
    }

    /// Begins a stream, so that the client knows that it is heard.
    pub(super) fn begin(&mut self) -> Result<(), Gone> {
        if let Some(head) = self.head.take() {
            let (events, received) = mpsc::channel(WAITING);
            self.events = Some(events);
            head.send(Head::Events(received)).map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// A message before the answer.
    pub(super) async fn message(&mut self, message: Vec<u8>) -> Result<(), Gone> {
        self.begin()?;
        self.events.as_ref().ok_or(Gone)?.send(Ok(event(message))).await.map_err(|_| Gone)
    }

    pub(super) async fn answer(self, answer: Vec<u8>) {
        match (self.head, self.events) {
            (Some(head), _) => drop(head.send(Head::Whole(answer))),
            (None, Some(events)) => drop(events.send(Ok(event(answer))).await),
            (None, None) => {}
        }
    }

    pub(super) async fn failed(self, why: UpstreamError) {
        match (self.head, self.events) {
            (Some(head), _) => drop(head.send(Head::Failed(why))),
            (None, Some(events)) => drop(events.send(Err(why)).await),
            (None, None) => {}
        }
    }

    /// Returns once the client has hung up.
    pub(super) async fn closed(&mut self) {
        match (&mut self.head, &self.events) {
            (Some(head), _) => head.closed().await,
            (None, Some(events)) => events.closed().await,
            (None, None) => {}
        }
    }
}

/// Without an id: nothing here can be resumed.
fn event(message: Vec<u8>) -> sse::Event {
    sse::Event { data: Some(message), ..sse::Event::default() }
}
