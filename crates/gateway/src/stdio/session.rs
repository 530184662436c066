//! What a line knows of its legacy sessions, and what a program that is started again must hear to be as it was.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mcp::{Method, Object, Revision};
use tokio::time::Instant;

use super::outlet::Outlet;

/// Messages that wait for a session that has no stream at the moment, and for how long.
const MAX_KEPT: usize = 64;
const MAX_KEPT_BYTES: usize = 256 << 10;
const KEPT_FOR: Duration = Duration::from_secs(10);

/// Resources that one session may be subscribed to.
pub(super) const MAX_SUBSCRIPTIONS: usize = 1_024;

/// A session after whose `initialize` nothing came: whoever asked for it is gone.
pub(super) const UNCLAIMED: Duration = Duration::from_secs(30);

pub(super) struct Session {
    /// Its GET stream.
    pub(super) stream: Option<Outlet>,
    kept: VecDeque<(Instant, Vec<u8>)>,
    /// Has `initialize` been answered?
    pub(super) established: bool,
    /// Did anything come after it?
    pub(super) claimed: bool,
    pub(super) used: Instant,
}

impl Session {
    pub(super) fn new() -> Self {
        Self { stream: None, kept: VecDeque::new(), established: false, claimed: false, used: Instant::now() }
    }

    pub(super) fn keep(&mut self, message: Vec<u8>) {
        self.kept.push_back((Instant::now(), message));
        while self.kept.len() > MAX_KEPT || self.kept.iter().map(|(_, kept)| kept.len()).sum::<usize>() > MAX_KEPT_BYTES
        {
            self.kept.pop_front();
        }
    }

    /// What waited, as far as it is not stale.
    pub(super) fn kept(&mut self) -> impl Iterator<Item = Vec<u8>> + use<> {
        let kept = std::mem::take(&mut self.kept);
        kept.into_iter().filter(|(since, _)| since.elapsed() < KEPT_FOR).map(|(_, message)| message)
    }

    /// Pushes into the stream, if there is one that takes it; gives the message back otherwise.
    pub(super) fn stream(&mut self, message: Vec<u8>) -> Option<Vec<u8>> {
        self.stream.take_if(|stream| stream.is_closed());
        let Some(stream) = &mut self.stream else { return Some(message) };
        if let Err(overflow) = stream.push(message)
            && let Some(stream) = self.stream.take()
        {
            stream.fail(overflow);
        }
        None
    }

    pub(super) fn is_listening(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| !stream.is_closed())
    }

    /// Has whoever had it gone, without a word?
    pub(super) fn is_left(&self, idle: Duration) -> bool {
        let patience = if self.claimed { idle * 2 } else { UNCLAIMED };
        self.established && !self.is_listening() && self.used.elapsed() >= patience
    }
}

/// How the program was introduced, and what it was told that it must keep.
#[derive(Default)]
pub(super) struct Memory {
    /// The params of `initialize`, once agreed.
    pub(super) hello: Option<Box<str>>,
    /// The whole result of it.
    pub(super) agreed: Option<Box<str>>,
    pub(super) initialized: bool,
    /// The params of the latest `logging/setLevel`.
    pub(super) level: Option<Box<str>>,
    /// Who is subscribed to what; whose subscription is not answered yet counts only to be told.
    pub(super) subscribers: BTreeMap<Box<str>, HashSet<Arc<str>>>,
}

impl Memory {
    /// The params of the `initialize` that a new process must hear, if any. A shared process is introduced by us, as a client that can
    /// do nothing: so it has nothing to ask, and of whom would it?
    pub(super) fn hello(&self, ours: bool) -> Option<String> {
        match ours {
            false => self.hello.as_deref().map(str::to_owned),
            true => Some(format!(
                r#"{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"toolgate","version":"{}"}}}}"#,
                Revision::LATEST_LEGACY.as_str(),
                env!("CARGO_PKG_VERSION")
            )),
        }
    }

    /// What follows `initialize`: requests with their params, and where there is no method, the notification that it is done.
    pub(super) fn told(&self) -> Vec<(Option<Method>, String)> {
        let mut told = Vec::new();
        if self.initialized {
            told.push((None, String::new()));
        }
        if let Some(level) = &self.level {
            told.push((Some(Method::SetLevel), level.as_ref().to_owned()));
        }
        let uris = self.subscribers.keys();
        told.extend(uris.map(|uri| (Some(Method::Subscribe), uri_params(uri))));
        told
    }

    /// The revision that the program agreed to.
    pub(super) fn revision(&self) -> Option<Revision> {
        revision(self.agreed.as_deref()?)
    }

    /// How many resources a session is subscribed to.
    pub(super) fn count(&self, session: &str) -> usize {
        self.subscribers.values().filter(|subscribers| subscribers.contains(session)).count()
    }

    /// Takes one subscription away. True when it was the last to that resource.
    pub(super) fn unsubscribe(&mut self, uri: &str, session: &str) -> bool {
        let Some(subscribers) = self.subscribers.get_mut(uri) else { return true };
        subscribers.remove(session);
        let last = subscribers.is_empty();
        if last {
            self.subscribers.remove(uri);
        }
        last
    }

    /// Takes all subscriptions of a session away, and returns those that nobody else has.
    pub(super) fn leave(&mut self, session: &str) -> Vec<Box<str>> {
        let own = self.subscribers.iter().filter(|(_, subscribers)| subscribers.contains(session));
        let own: Vec<Box<str>> = own.map(|(uri, _)| uri.clone()).collect();
        own.into_iter().filter(|uri| self.unsubscribe(uri, session)).collect()
    }
}

pub(super) fn revision(result: &str) -> Option<Revision> {
    Revision::named(&Object::read(result)?.text("protocolVersion")?)
}

pub(super) fn uri_params(uri: &str) -> String {
    format!("{{\"uri\":{}}}", mcp::string(uri))
}
