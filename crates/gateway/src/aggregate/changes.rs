//! A server says that its list has changed; the client is told where it would see another list than it has.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mcp::{ListOf, Writer, meta, sse};
use tokio::time::Instant;

use super::asker::Asker;
use super::drain::{Wanted, look};
use super::kind::Kind;
use super::merged::Work;
use super::seen::Seen;
use crate::server::Server;

/// A server that cries without end has its lists fetched no more often than this, for each stream that listens to it.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Changes {
    asker: Asker,
    wanted: Wanted,
    seen: Arc<Seen>,
    of: Box<[ListOf]>,
    watched: Vec<Watched>,
    /// The id of the subscription as JSON text; none for legacy.
    subscription: Option<Box<str>>,
}

/// Lists as they are now; none where one cannot be had.
type Looks = Vec<(Kind, Option<u64>)>;

/// One server's lists of one kind.
struct Watched {
    server: Arc<Server>,
    of: ListOf,
    /// What is looked at now.
    looking: Option<Work<Looks>>,
    /// It changed again meanwhile.
    again: bool,
    last: Option<Instant>,
    policy: Arc<str>,
}

impl Changes {
    /// `of`: the lists whose changes the client is told of.
    pub(super) fn new(asker: &Asker, wanted: Wanted, seen: Arc<Seen>, servers: &[Arc<Server>], of: &[ListOf]) -> Self {
        let watch = |server: &Arc<Server>, of: ListOf| Watched::new(server, of, hash(asker, server));
        let watched = servers.iter().flat_map(|server| of.iter().map(move |of| watch(server, *of))).collect();
        Self { asker: asker.clone(), wanted, seen, of: of.into(), watched, subscription: None }
    }

    pub(super) fn subscribed(mut self, id: Option<Box<str>>) -> Self {
        self.subscription = id;
        self
    }

    pub(super) fn heard(&mut self, server: &Arc<str>, of: ListOf) {
        self.look(|watched| watched.server.id == *server && watched.of == of);
    }

    /// Nobody listened to the server for a while.
    pub(super) fn missed(&mut self, server: &Arc<str>) {
        self.look(|watched| watched.server.id == *server);
    }

    /// A policy that was reloaded may show another list of the same server.
    pub(super) fn watch_policies(&mut self) {
        let asker = self.asker.clone();
        self.look(|watched| {
            let now = hash(&asker, &watched.server);
            now != std::mem::replace(&mut watched.policy, Arc::clone(&now))
        });
    }

    /// Another server: what it lists, the client has not seen.
    pub(super) fn came(&mut self, server: &Arc<Server>) {
        self.watched.extend(self.of.iter().map(|of| Watched::new(server, *of, hash(&self.asker, server))));
        self.missed(&server.id);
    }

    /// A server is gone, and with it what it listed.
    pub(super) fn left(&mut self, server: &Arc<Server>, out: &mut Vec<u8>) {
        self.watched.retain(|watched| !Arc::ptr_eq(&watched.server, server));
        self.seen.forget(&server.id);
        for of in &self.of {
            self.tell(*of, out);
        }
    }

    pub(super) fn are_none(&self) -> bool {
        self.watched.iter().all(|watched| watched.looking.is_none())
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) {
        let mut changed = Vec::new();
        for watched in &mut self.watched {
            while let Some(looking) = &mut watched.looking {
                let Poll::Ready(now) = looking.as_mut().poll(cx) else { break };
                watched.looking = None;
                if self.seen.update(&watched.server.id, &now) {
                    changed.push(watched.of);
                }
                if std::mem::take(&mut watched.again) {
                    watched.start(&self.asker, &self.wanted);
                }
            }
        }
        for of in changed {
            self.tell(of, out);
        }
    }

    fn tell(&self, of: ListOf, out: &mut Vec<u8>) {
        let message = notice(of, self.subscription.as_deref());
        sse::write(&sse::Event { data: Some(message), ..sse::Event::default() }, out);
    }

    fn look(&mut self, which: impl Fn(&mut Watched) -> bool) {
        for watched in &mut self.watched {
            if !which(watched) {
                continue;
            }
            match watched.looking {
                Some(_) => watched.again = true,
                None => watched.start(&self.asker, &self.wanted),
            }
        }
    }
}

impl Watched {
    fn new(server: &Arc<Server>, of: ListOf, policy: Arc<str>) -> Self {
        Self { server: Arc::clone(server), of, looking: None, again: false, last: None, policy }
    }

    fn start(&mut self, asker: &Asker, wanted: &Wanted) {
        let (asker, wanted, server, of) = (asker.clone(), wanted.clone(), Arc::clone(&self.server), self.of);
        let at = self.last.map(|last| last + PAUSE);
        self.last = Some(Instant::now().max(at.unwrap_or_else(Instant::now)));
        self.looking = Some(Box::pin(async move {
            if let Some(at) = at {
                tokio::time::sleep_until(at).await;
            }
            looks(&asker, &server, of, &wanted).await
        }));
    }
}

fn hash(asker: &Asker, server: &Server) -> Arc<str> {
    Arc::clone(&asker.agent().policy(server).current().hash)
}

/// How these lists of a server look now.
pub(super) async fn looks(asker: &Asker, server: &Arc<Server>, of: ListOf, wanted: &Wanted) -> Looks {
    let mut looks = Vec::new();
    for kind in kinds(of) {
        looks.push((*kind, look(asker, server, *kind, wanted).await));
    }
    looks
}

fn kinds(of: ListOf) -> &'static [Kind] {
    match of {
        ListOf::Tools => &[Kind::Tools],
        ListOf::Prompts => &[Kind::Prompts],
        ListOf::Resources | ListOf::Templates => &[Kind::Resources, Kind::Templates],
    }
}

fn notice(of: ListOf, subscription: Option<&str>) -> Vec<u8> {
    let method = match of {
        ListOf::Tools => mcp::ServerNotice::ToolsChanged,
        ListOf::Prompts => mcp::ServerNotice::PromptsChanged,
        ListOf::Resources | ListOf::Templates => mcp::ServerNotice::ResourcesChanged,
    };
    let params = subscription.map(|id| format!("{{\"_meta\":{{{}:{id}}}}}", mcp::string(meta::SUBSCRIPTION_ID)));
    Writer::server_message(None, method.as_str(), params.as_deref())
}
