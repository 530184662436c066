//! HTTP+SSE for old clients (2024-11-05): a GET opens a stream whose first event names a path; what is posted there is answered on
//! the stream. The session begins and ends with it.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use http::request::Parts;
use http::{Method as Verb, StatusCode};
use hyper::body::Incoming;
use mcp::{Body, Message, sse};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout};

use super::message::is_modern;
use super::service::{Here, Service, Target};
use super::{FAREWELL, Front, serve};
use crate::agent::Agent;
use crate::body;
use crate::head::{self, Door};
use crate::pipeline::{Peer, Pipeline, Shared, usable};
use crate::refusal::{Addressee, Refusal, Refused};
use crate::reply::{self, Out, Reply};
use crate::session::random_id;

/// Messages of one client that wait to be taken.
const POSTS: usize = 16;

/// The streams that are open, by their ids.
#[derive(Default)]
pub(crate) struct Fronts(DashMap<Box<str>, Posting>);

/// Where to put what is posted for a stream, and who may.
struct Posting {
    /// The name of its target.
    to: Box<str>,
    agent: Agent,
    queue: mpsc::Sender<Bytes>,
}

/// A stream's place among them.
struct Place {
    shared: Arc<Shared>,
    id: Box<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.fronts.0.remove(&self.id);
    }
}

impl Pipeline {
    pub(crate) async fn sse(&self, door: Door<'_>, head: &Parts, body: Incoming, peer: &Peer) -> Reply {
        let outcome = match door {
            Door::Stream(server) => self.open(server, head, peer),
            Door::Message(server) => self.posted(server, head, body, peer).await,
        };
        outcome.unwrap_or_else(|refused| {
            let (Door::Stream(server) | Door::Message(server)) = door;
            let target = self.target(server, &peer.agent);
            self.turned_away(target.as_ref().map_or("(unknown)", Target::name), &peer.agent, &refused);
            refused.reply()
        })
    }

    fn target(&self, server: Option<&str>, agent: &Agent) -> Result<Target, Refusal> {
        match server {
            Some(id) => {
                let registry = self.shared.registry.load();
                Ok(Target::Server(Arc::clone(&usable(&registry, id, agent)?.id)))
            }
            None if self.shared.aggregate.settings.enabled => Ok(Target::Aggregate),
            None => Err(Refusal::NoRoute),
        }
    }

    fn guarded(&self, server: Option<&str>, head: &Parts, verb: &Verb, peer: &Peer) -> Result<Target, Refusal> {
        self.shared.doors.check(&head.headers)?;
        let target = self.target(server, &peer.agent)?;
        match head.method == *verb {
            true => Ok(target),
            false => Err(Refusal::OtherVerb(verb.clone())),
        }
    }

    fn open(&self, server: Option<&str>, head: &Parts, peer: &Peer) -> Result<Reply, Refused> {
        let to = self.guarded(server, head, &Verb::GET, peer)?;
        if !head::accepts(&head.headers, "text/event-stream") {
            return Err(Refusal::NotAcceptable.into());
        }
        if self.shared.fronts.0.len() >= self.shared.bounds.sessions.get() {
            return Err(Refusal::SessionsFull.into());
        }
        let id = random_id()?;
        let endpoint = format!("/sse{}/message?id={id}", to.path());
        let (queue, mut posts) = mpsc::channel(POSTS);
        let posting = Posting { to: to.name().into(), agent: peer.agent.clone(), queue };
        self.shared.fronts.0.insert(id.clone(), posting);
        let place = Place { shared: Arc::clone(&self.shared), id };

        let here = Here { pipeline: self.clone(), to, agent: peer.agent.clone() };
        let (front, said) = Front::new(Service::Here(here), Arc::clone(&self.shared.bounds));
        let (feed, fed) = mpsc::channel(1);
        let mut writing = tokio::spawn(write(Arc::clone(&front), said, feed, endpoint));
        let mut draining = self.shared.draining.clone();
        tokio::spawn(async move {
            let drained = async { _ = draining.wait_for(|draining| *draining).await };
            serve(&front, async move || posts.recv().await.map(Ok), drained).await;
            if timeout(FAREWELL, &mut writing).await.is_err() {
                writing.abort();
            }
            drop(place);
        });
        Ok(reply::events(Out::Fed(fed)))
    }

    async fn posted(&self, server: Option<&str>, head: &Parts, body: Incoming, peer: &Peer) -> Result<Reply, Refused> {
        let to = self.guarded(server, head, &Verb::POST, peer)?;
        head::json(&head.headers)?;
        let id = head.uri.query().and_then(|query| query.strip_prefix("id=")).ok_or(Refusal::SessionGone)?;
        // INVARIANT: only whoever opened the stream, and only where it was opened
        let queue = match self.shared.fronts.0.get(id) {
            Some(posting) if *posting.to == *to.name() && posting.agent.is_like(&peer.agent) => posting.queue.clone(),
            _ => return Err(Refusal::SessionGone.into()),
        };
        let body = body::read(body, &self.shared.bounds).await?;
        if let Body::One(Message::Request(request)) = mcp::parse(&body)?
            && is_modern(&request.params)
        {
            let addressee = Addressee { id: Some(request.id.to_json()), ..Addressee::default() };
            let why = format!("HTTP+SSE carries revisions up to 2025-11-25: use `/mcp{}`", to.path());
            return Err(addressee.refuse(Refusal::Era(why)));
        }
        match queue.try_send(body) {
            Ok(()) => Ok(reply::empty(StatusCode::ACCEPTED)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Refusal::TooManyOpen.into()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Refusal::SessionGone.into()),
        }
    }
}

/// Writes the stream until the front ends it or the client hangs up.
async fn write(
    front: Arc<Front>,
    mut said: mpsc::Receiver<Option<Vec<u8>>>,
    feed: mpsc::Sender<Bytes>,
    endpoint: String,
) {
    let keep_alive = front.bounds.keepalive;
    let mut alive = interval_at(Instant::now() + keep_alive, keep_alive);
    let mut next = event("endpoint", endpoint.into_bytes());
    loop {
        if feed.send(next).await.is_err() {
            return;
        }
        next = tokio::select! {
            message = said.recv() => match message {
                Some(Some(message)) => event("message", message),
                Some(None) | None => return,
            },
            _ = alive.tick() => {
                front.service.touch(&front.hello.line().headers());
                Bytes::from_static(sse::KEEP_ALIVE)
            }
            () = feed.closed() => return,
        };
    }
}

fn event(name: &str, data: Vec<u8>) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + 32);
    sse::write(&sse::Event { event: Some(name.to_owned()), data: Some(data), ..sse::Event::default() }, &mut out);
    out.into()
}
