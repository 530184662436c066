//! A client that speaks over two streams (stdio lines, or the old HTTP+SSE) before a service that speaks Streamable HTTP: messages go
//! in one by one, each as a request of its own; whatever comes back goes to one sink. The service judges; nothing here decides.

mod bridge;
mod exchange;
mod hello;
mod lines;
mod listening;
mod message;
mod mirrored;
mod open;
mod service;
pub(crate) mod sse;
mod stdio;
mod there;
mod wrap;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout, timeout_at};

pub use self::bridge::{Bridge, BridgeError, bridge};
use self::hello::Hello;
use self::message::{Ask, Kind, kind};
use self::mirrored::Mirrored;
use self::open::Open;
pub(crate) use self::service::Trouble;
use self::service::{Answered, Service};
pub use self::wrap::wrap;
use crate::config::Bounds;
use crate::refusal::{Addressee, Refusal, Refused};

/// Messages on their way to the client, and notifications and answers on their way to the service, that wait at a time.
const QUEUE: usize = 64;

/// How long the service may take for a message that has no answer.
const TELLING: Duration = Duration::from_secs(30);

/// How long the farewell to the service may take, and the last messages to the client.
const FAREWELL: Duration = Duration::from_secs(5);

/// One client, as long as it is there.
pub(crate) struct Front {
    service: Service,
    bounds: Arc<Bounds>,
    /// None ends it.
    sink: mpsc::Sender<Option<Vec<u8>>>,
    tells: mpsc::Sender<Option<Tell>>,
    telling: Mutex<Option<JoinHandle<()>>>,
    open: Open,
    hello: Hello,
    mirrored: Mirrored,
    listening: Mutex<Option<AbortHandle>>,
}

/// A message without an answer; its headers, where no session gives them.
struct Tell {
    body: Bytes,
    modern: Option<HeaderMap>,
}

impl Front {
    /// The front, and what it has for the client: to be written until none comes.
    pub(crate) fn new(service: Service, bounds: Arc<Bounds>) -> (Arc<Self>, mpsc::Receiver<Option<Vec<u8>>>) {
        let (sink, said) = mpsc::channel(QUEUE);
        let (tells, told) = mpsc::channel(QUEUE);
        let front = Arc::new(Self {
            service,
            sink,
            tells,
            telling: Mutex::new(None),
            open: Open::new(bounds.in_flight_per_session.get()),
            hello: Hello::default(),
            mirrored: Mirrored::default(),
            listening: Mutex::new(None),
            bounds,
        });
        let telling = tokio::spawn(Arc::clone(&front).tell_all(told));
        *front.telling.lock().unwrap_or_else(PoisonError::into_inner) = Some(telling);
        (front, said)
    }

    /// Takes one message of the client's. Returns when the next one may come: an introduction is waited for, since all that follows
    /// depends on it.
    pub(crate) async fn take(self: &Arc<Self>, body: Bytes) {
        let kind = match kind(&body, &self.mirrored) {
            Ok(kind) => kind,
            Err(refused) => return self.refuse(&refused).await,
        };
        match kind {
            Kind::Hello(id) => self.introduce(id, body).await,
            Kind::Announced => {
                self.hello.announced(&body);
                self.tell(Tell { body, modern: None }).await;
                self.listen();
            }
            Kind::Batch(_) if !self.hello.line().has_batches() => self.refuse(&Refusal::Batch.into()).await,
            Kind::Ask(ask) | Kind::Batch(ask) => self.ask(ask, body).await,
            Kind::Cancelled(id) if id.as_deref().is_some_and(|id| self.open.cancel(id)) => {}
            // A modern request that is over, or nobody's.
            Kind::Cancelled(_) if !self.hello.line().is_open() => {}
            Kind::Cancelled(_) => self.queue(Tell { body, modern: None }).await,
            Kind::Tell(modern) => self.queue(Tell { body, modern }).await,
        }
    }

    async fn ask(self: &Arc<Self>, ask: Ask, body: Bytes) {
        let Some(n) = self.open.begin(&ask.ids, ask.modern.is_some(), ask.lasting) else {
            for id in ask.ids {
                self.refuse(&Addressee { id: Some(id), ..Addressee::default() }.refuse(Refusal::TooManyOpen)).await;
            }
            return;
        };
        let front = Arc::clone(self);
        let task = tokio::spawn(async move { front.exchange(n, ask, body).await });
        self.open.runs_as(n, task.abort_handle());
    }

    /// Nothing more comes from the client: what is open is finished first, as far as there is time and nobody hurries.
    async fn finish(&self, hurry: impl Future<Output = ()>) {
        let until = Instant::now() + self.bounds.drain;
        self.stop_listening();
        self.open.cancel_lasting();
        tokio::select! {
            _ = timeout_at(until, self.open.idle()) => {}
            () = hurry => {}
        }
        let unfinished = self.open.abort().into_iter().chain(self.hello.interrupted());
        // A client that reads nothing holds up nobody.
        _ = timeout(FAREWELL, async {
            for id in unfinished {
                self.fail(id, Trouble::Ended).await;
            }
        })
        .await;
        self.end_telling(until).await;
        self.bye().await;
        _ = timeout(FAREWELL, self.sink.send(None)).await;
    }

    /// The client is gone: nobody waits for anything.
    async fn leave(&self) {
        self.stop_listening();
        self.open.abort();
        self.end_telling(Instant::now()).await;
        self.bye().await;
    }

    /// Ends when nobody takes what is said any more.
    async fn gone(&self) {
        self.sink.closed().await;
    }

    async fn bye(&self) {
        if let Some(headers) = self.hello.end() {
            _ = timeout(FAREWELL, self.service.delete(headers)).await;
        }
    }

    async fn queue(&self, tell: Tell) {
        _ = self.tells.send(Some(tell)).await;
    }

    /// One by one, so that they arrive in their order.
    async fn tell_all(self: Arc<Self>, mut tells: mpsc::Receiver<Option<Tell>>) {
        while let Some(Some(tell)) = tells.recv().await {
            self.tell(tell).await;
        }
    }

    async fn tell(&self, tell: Tell) {
        let line = self.hello.line();
        let headers = tell.modern.unwrap_or_else(|| line.headers());
        let outcome = match timeout(TELLING, self.service.post(headers, tell.body)).await {
            Err(_) => Err(Trouble::Timeout),
            Ok(outcome) => outcome,
        };
        match outcome {
            Ok(answered) if line.is_lost(&answered) => {
                if let Err(error) = self.renew(line.epoch).await {
                    tracing::warn!(%error, "the session was lost");
                }
            }
            Ok(answered) if answered.status.is_success() => {}
            Ok(answered) => tracing::warn!(status = %answered.status, "a message was refused"),
            Err(error) => tracing::warn!(%error, "a message was not taken"),
        }
    }

    async fn end_telling(&self, until: Instant) {
        _ = self.tells.try_send(None);
        let telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut telling) = telling
            && timeout_at(until, &mut telling).await.is_err()
        {
            telling.abort();
        }
    }

    fn stop_listening(&self) {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening {
            listening.abort();
        }
    }

    /// Hands the client a message that is lawful JSON, on one line.
    async fn say(&self, message: &str) {
        let mut line = Vec::with_capacity(message.len());
        mcp::compact(message, &mut line);
        _ = self.sink.send(Some(line)).await;
    }

    pub(crate) async fn refuse(&self, refused: &Refused) {
        tracing::debug!(error = %refused.detail(), "refused");
        if let Ok(message) = String::from_utf8(refused.message().1) {
            self.say(&message).await;
        }
    }

    async fn fail(&self, id: Box<str>, trouble: Trouble) {
        tracing::warn!(error = %crate::policies::chain(&trouble), "a request has no answer");
        self.refuse(&Addressee { id: Some(id), ..Addressee::default() }.refuse(trouble)).await;
    }
}

/// Reads until the client's side ends, it is gone, or it is told to stop.
pub(crate) async fn serve(
    front: &Arc<Front>,
    mut next: impl AsyncFnMut() -> Option<Result<Bytes, Refusal>>,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    let left = loop {
        let step = async {
            match next().await {
                None => return false,
                Some(Ok(body)) => front.take(body).await,
                Some(Err(why)) => front.refuse(&why.into()).await,
            }
            true
        };
        tokio::select! {
            biased;
            () = &mut stop => break Left::Told,
            () = front.gone() => break Left::Gone,
            more = step => if !more { break Left::Ended },
        }
    };
    drop(next);
    match left {
        Left::Gone => front.leave().await,
        Left::Ended => front.finish(stop).await,
        Left::Told => front.finish(std::future::pending()).await,
    }
}

/// Why nothing more is read.
enum Left {
    /// The client said all it had to say.
    Ended,
    /// The client takes nothing any more.
    Gone,
    Told,
}
