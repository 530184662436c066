//! A call that stays open while a person decides. Nothing runs beside it: whoever hangs up takes the call away, and it is not run. When it is
//! decided, the same bytes are read and judged once more, as if they came now, and what that answers is the rest of the stream.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body as _;
use mcp::{Body, Message, Object, ServerNotice, Writer, sse};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::head;
use crate::pipeline::{Entry, Pipeline, usable};
use crate::refusal::{Refusal, Refused};
use crate::reply::{self, Out, Reply};
use crate::ruling::{Ticket, Why};
use crate::session::{OpenCall, Session};

/// So long a call that was decided waits for a store that says nothing, before it asks again.
const PAUSE: Duration = Duration::from_millis(250);

/// Progress is told in so many steps at most: no stream is open for so long.
const STEPS: u32 = 999_999;

pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The body of an answer that is not known yet.
pub(crate) struct Held {
    state: State,
    out: Vec<u8>,
    /// The client says that it no longer wants it.
    cancelled: Option<oneshot::Receiver<()>>,
    session: Option<Arc<Session>>,
    progress: Option<Progress>,
    keep_alive: Duration,
    timer: Pin<Box<Sleep>>,
}

enum State {
    Waiting(Work<'static, Reply>),
    Answering(Box<Out>),
    Over,
}

/// Tells the client that its call is being worked on.
struct Progress {
    /// JSON text.
    token: Box<str>,
    message: String,
    step: u32,
}

/// A call's place in its session, which it has while it waits and keeps when it leaves: so it cannot be refused for want of one after it was
/// approved.
#[derive(Clone)]
pub(crate) struct Place(Arc<Kept>);

struct Kept(Mutex<Option<OpenCall>>);

impl Place {
    /// For the call that leaves.
    pub(crate) fn take(&self) -> Option<OpenCall> {
        let call = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        call.leaves();
        Some(call)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(call) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            call.forget();
        }
    }
}

/// Why a call waits no longer.
enum End {
    /// There is something to find when it is judged again.
    Decided,
    /// It was open for as long as it may be, or the gateway drains.
    Over,
}

impl Pipeline {
    /// Keeps open a request that waits for a person; answers with the ticket at once where the client reads no stream, or may not wait.
    /// `first` is what it is told before anything else, as an event.
    pub(crate) async fn hold(&self, entry: &Entry, body: &[u8], refused: Refused, first: Option<Vec<u8>>) -> Reply {
        let Some(ticket) = refused.ticket().cloned() else { return refused.reply() };
        if ticket.hold.is_zero() || !head::accepts(&entry.headers, "text/event-stream") {
            return refused.reply();
        }
        let session = match self.session(entry).await {
            Err(why @ Refusal::NoSessions) => return refused.to.refuse(why).reply(),
            session => session.ok(),
        };
        let (mut entry, body) = (entry.clone(), Bytes::copy_from_slice(body));
        let mut cancelled = None;
        if let Some(session) = &session {
            let max = self.shared.bounds.in_flight_per_session.get();
            let id = refused.to.id.as_deref().unwrap_or_default();
            let Some(method) = refused.to.method else { return refused.reply() };
            match session.open(entry.server.next_id(), id, method, max) {
                Err(why) => return refused.to.refuse(why).reply(),
                Ok(place) => {
                    cancelled = Some(session.hold(place.ours));
                    entry.place = Some(Place(Arc::new(Kept(Mutex::new(Some(place))))));
                }
            }
        }
        let progress = Progress::of(&body, &ticket);
        let deadline = Instant::now() + ticket.hold;
        let work = Box::pin(wait(self.clone(), entry, body, refused, deadline));
        let keep_alive = self.shared.bounds.keepalive;
        let mut held = Held {
            state: State::Waiting(work),
            out: first.unwrap_or_default(),
            cancelled,
            session,
            progress,
            keep_alive,
            timer: Box::pin(tokio::time::sleep(keep_alive)),
        };
        held.say();
        reply::events(Out::Held(Box::new(held)))
    }

    /// Returns when the approval is decided or expired, or the call may wait no longer.
    async fn decided(&self, ticket: &Ticket, deadline: Instant) -> End {
        let approvals = &self.shared.approvals;
        let mut watch = approvals.watch(&ticket.id);
        let mut draining = self.shared.draining.clone();
        let expires = approvals.clock.at(ticket.expires_ms);
        // What was decided before anybody listened.
        if approvals.is_decided(&ticket.id).await {
            return End::Decided;
        }
        tokio::select! {
            biased;
            () = watch.rung() => End::Decided,
            () = tokio::time::sleep_until(expires), if expires < deadline => End::Decided,
            () = tokio::time::sleep_until(deadline) => End::Over,
            _ = draining.wait_for(|draining| *draining) => End::Over,
        }
    }

    async fn looks_again(&self, entry: &Entry, body: &[u8], ticket: &Ticket) -> Next {
        // Judged once more it might need another approval, and nobody would hear of this one.
        match self.shared.approvals.denial(&ticket.id).await {
            Ok(Some(no)) => return Next::Denied(no),
            Ok(None) => {}
            Err(_) => return Next::Later,
        }
        match again(self, entry, body).await {
            Ok(reply) => Next::Answer(reply),
            Err(why) if why.is_silence() => Next::Later,
            Err(why) => Next::Refused(why),
        }
    }

    /// Some time goes by; false when the call may wait no longer.
    async fn pauses(&self, deadline: Instant) -> bool {
        let mut draining = self.shared.draining.clone();
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => Instant::now() < deadline,
            () = tokio::time::sleep_until(deadline) => false,
            _ = draining.wait_for(|draining| *draining) => false,
        }
    }

    /// The request as if it came now: of whoever it is by now, to the server of that name.
    async fn once_more(&self, entry: &Entry, body: &[u8]) -> Result<Reply, Refused> {
        let registry = self.shared.registry.load();
        let server = Arc::clone(usable(&registry, &entry.server.id, &entry.agent)?);
        self.read_once(&Entry { server, ..entry.clone() }, body).await
    }
}

/// What is found when it is judged again.
enum Next {
    Denied(Why),
    Answer(Reply),
    Refused(Refused),
    /// The store does not say now; what was decided is still there when it does.
    Later,
}

/// Waits and reads again, as long as that leads to more waiting: what was approved may have been another's to use.
async fn wait(pipeline: Pipeline, entry: Entry, body: Bytes, refused: Refused, deadline: Instant) -> Reply {
    let mut refused = refused;
    loop {
        let Some(ticket) = refused.ticket().cloned() else {
            pipeline.turned_away(&entry.server.id, &entry.agent, &refused);
            return refused.reply();
        };
        match pipeline.decided(&ticket, deadline).await {
            End::Over => return pipeline.waited(&body, refused).await,
            End::Decided => match pipeline.looks_again(&entry, &body, &ticket).await {
                Next::Denied(no) => refused = refused.then(no),
                Next::Answer(reply) => return reply,
                Next::Refused(why) => refused = answering(&refused, why),
                Next::Later if pipeline.pauses(deadline).await => {}
                Next::Later => return pipeline.waited(&body, refused).await,
            },
        }
    }
}

/// A refusal by whatever is looked at before the message is read still answers the one that waited.
fn answering(waited: &Refused, mut refused: Refused) -> Refused {
    if refused.to.id.is_none() {
        refused.to.id.clone_from(&waited.to.id);
    }
    refused
}

/// Boxed: reading leads to waiting, and waiting to reading.
fn again<'a>(pipeline: &'a Pipeline, entry: &'a Entry, body: &'a [u8]) -> Work<'a, Result<Reply, Refused>> {
    Box::pin(pipeline.once_more(entry, body))
}

impl Held {
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if !self.out.is_empty() {
                return Poll::Ready(Some(std::mem::take(&mut self.out).into()));
            }
            // INVARIANT: looked at before the call is: what was cancelled before it left does not leave
            if self.is_cancelled(cx) {
                self.state = State::Over;
            }
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Answering(out) => match std::task::ready!(Pin::new(&mut **out).poll_frame(cx)) {
                    None => self.state = State::Over,
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(data));
                        }
                    }
                },
                State::Waiting(work) => match work.as_mut().poll(cx) {
                    Poll::Ready(reply) => self.answer(reply),
                    Poll::Pending => {
                        std::task::ready!(self.timer.as_mut().poll(cx));
                        self.tick();
                    }
                },
            }
        }
    }

    fn is_cancelled(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(cancelled) = &mut self.cancelled else { return false };
        match Pin::new(cancelled).poll(cx) {
            Poll::Pending => false,
            Poll::Ready(told) => {
                self.cancelled = None;
                told.is_ok() // else it left
            }
        }
    }

    /// What has been waited for: a stream goes on in this one, and a message is an event.
    fn answer(&mut self, reply: Reply) {
        let out = reply.into_body();
        self.state = match out {
            Out::Whole(None) => State::Over,
            Out::Whole(Some(message)) => {
                sse::write(&sse::Event { data: Some(message.into()), ..sse::Event::default() }, &mut self.out);
                State::Over
            }
            out @ (Out::Relay(_) | Out::Merged(_) | Out::Fed(_) | Out::Held(_) | Out::Until(..)) => {
                State::Answering(Box::new(out))
            }
        };
    }

    fn tick(&mut self) {
        if let Some(session) = &self.session {
            session.touch(); // somebody waits
        }
        self.out.extend_from_slice(sse::KEEP_ALIVE);
        self.say();
        self.timer.as_mut().reset(Instant::now() + self.keep_alive);
    }

    fn say(&mut self) {
        if let Some(progress) = self.progress.as_mut().and_then(Progress::next) {
            sse::write(&sse::Event { data: Some(progress), ..sse::Event::default() }, &mut self.out);
        }
    }
}

impl Progress {
    /// None where the client wants none.
    fn of(body: &[u8], ticket: &Ticket) -> Option<Self> {
        let Ok(Body::One(Message::Request(request))) = mcp::parse(body) else { return None };
        let meta = request.params.get("_meta").and_then(|meta| Object::read(meta.get()))?;
        let token = meta.get("progressToken").filter(|token| mcp::Id::read(token).is_some())?;
        let message = format!("waiting for a person's approval, at {}", ticket.url);
        Some(Self { token: token.get().into(), message, step: 0 })
    }

    /// Each larger than the one before, as the protocol wants it; and all so small that whatever the server tells of its own progress
    /// afterwards is larger still.
    fn next(&mut self) -> Option<Vec<u8>> {
        self.step = Some(self.step + 1).filter(|step| *step <= STEPS)?;
        let Self { token, message, step } = self;
        let message = mcp::string(message);
        let params = format!(r#"{{"progressToken":{token},"progress":0.{step:06},"message":{message}}}"#);
        Some(Writer::server_message(None, ServerNotice::Progress.as_str(), Some(&params)))
    }
}
