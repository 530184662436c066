//! What nodes share through Redis: legacy sessions, so that any node serves any request of one; and events as they happen.
//!
//! Redis is the truth. A session is served for at most [`FRESH`] after Redis last said that it lives; what nodes tell each other makes that
//! sooner, and nothing depends on it.

mod afar;
mod keep;
mod kept;
mod questions;
mod record;
mod told;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis::{FromRedisValue, Pipeline};
use redis_link::{Address, Away, InvalidAddress, Link, Prefix};
use tokio::time::Instant;

pub(crate) use self::afar::{Afar, Outbox};
pub(crate) use self::kept::{Kept, Key};
use self::record::Record;
use crate::agent::Agent;
use crate::config;
use crate::pipeline::Entry;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::session::{Session, Sessions};
use crate::vault::Vault;

/// How long what Redis said of a session holds.
const FRESH: Duration = Duration::from_secs(1);

/// Sessions that are asked for, or touched, by one message.
const BATCH: usize = 256;

/// This node among the others.
pub(crate) struct Nodes {
    link: Link,
    /// It was said that it is away.
    lost: AtomicBool,
    prefix: Prefix,
    /// What no other process is called.
    me: Box<str>,
    /// What people call it.
    name: Box<str>,
    /// How long Redis keeps a session that nobody touches, and how often one that is used is touched.
    lifetime: Duration,
    touch: Duration,
    vault: Option<Arc<Vault>>,
    afar: Arc<Afar>,
}

/// How it stands.
pub(crate) struct Status {
    /// Why no session can be looked up now, if so.
    pub(crate) trouble: Option<Arc<str>>,
    /// What was refused because Redis did not answer as it should.
    pub(crate) refused: u64,
}

/// Why a session cannot be served by any other node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    /// It is somebody's in this process, and nobody else knows it.
    Own,
    Era,
    Way,
    Id,
    /// It is one with every server at once.
    Joint,
}

impl Nodes {
    /// None where every node is for itself. With what the keeper sends.
    pub(crate) fn new(
        config: &config::Config,
        vault: Option<Arc<Vault>>,
    ) -> Result<Option<(Arc<Self>, Outbox)>, InvalidAddress> {
        let Some(address) = &config.sessions.store else { return Ok(None) };
        Self::at(address, config, vault).map(Some)
    }

    fn at(
        address: &Address,
        config: &config::Config,
        vault: Option<Arc<Vault>>,
    ) -> Result<(Arc<Self>, Outbox), InvalidAddress> {
        let idle = config.bounds.session_idle;
        let (afar, outbox) = Afar::new();
        let nodes = Self {
            link: Link::new(address.clone(), config.sessions.timeout)?,
            lost: AtomicBool::new(false),
            prefix: config.sessions.prefix.clone(),
            me: format!("{:016x}", afar::random()).into(),
            name: config.audit.node.as_str().into(),
            // INVARIANT: longer than `idle` after it was used last, though it is touched only now and then
            lifetime: idle + idle / 4 + crate::start::SWEEP.min(idle),
            touch: idle / 8,
            vault,
            afar,
        };
        Ok((Arc::new(nodes), outbox))
    }

    pub(crate) fn afar(&self) -> &Arc<Afar> {
        &self.afar
    }

    pub(crate) fn status(&self) -> Status {
        Status { trouble: self.link.trouble(), refused: self.link.refused() }
    }

    /// How long a session that nobody uses here is remembered.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Is it known that no session can be opened now?
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.link.check().map_err(Refusal::from)
    }

    /// A session that is being opened: from here on it is every node's, or it stays here, and says why.
    pub(crate) fn takes(self: &Arc<Self>, session: &mut Session, is_own: bool) -> Option<Stays> {
        if is_own {
            return Some(Stays::Own);
        }
        if session.translated.is_some() {
            return Some(Stays::Era);
        }
        if !session.server.is_direct(session.upstream.as_ref()) {
            return Some(Stays::Way);
        }
        if session.upstream.as_ref().is_some_and(|id| id.to_str().is_err()) {
            return Some(Stays::Id);
        }
        let key = Key::of(&session.id);
        if session.agent.identity.is_none() {
            session.agent = Agent::of_all_nodes(&key);
        }
        session.kept = Some(Box::new(Kept::new(self, key, None)));
        None
    }

    /// The session of that id, wherever it began: of this very server, for whom opened it.
    pub(crate) async fn find(
        self: &Arc<Self>,
        id: &str,
        entry: &Entry,
        sessions: &Sessions,
    ) -> Result<Arc<Session>, Refusal> {
        if !is_id(id) {
            return Err(Refusal::SessionGone);
        }
        let key = Key::of(id);
        if let Some(session) = sessions.kept(&key).filter(|session| Arc::ptr_eq(&session.server, &entry.server)) {
            return self.still(session, entry, sessions).await;
        }
        let asked = Instant::now();
        let (server, agent) = (&entry.server, &entry.agent);
        let record = match self.load(&key).await? {
            None => return Err(Refusal::SessionGone),
            Some(Record::Here { node, why }) => {
                tracing::info!(server = %server.id, %node, %why, "a session was looked for here that is another node's alone");
                return Err(Refusal::SessionGone);
            }
            Some(Record::Moves(record)) => record,
        };
        let kept = Kept::new(self, key, Some(asked));
        let session = record.session(id, server, agent, kept).ok_or(Refusal::SessionGone)?;
        sessions.adopt(&key, Arc::new(session))
    }

    /// A session with all servers that is not known here: if another node has it, the log says so.
    pub(crate) async fn missed(&self, id: &str) {
        if !is_id(id) {
            return;
        }
        if let Ok(Some(Record::Here { node, why })) = self.load(&Key::of(id)).await
            && *node != *self.name
        {
            tracing::info!(mount = "/mcp", %node, %why, "a session was looked for here that is another node's alone");
        }
    }

    /// One that is known here: for its agent, and as long as Redis says so.
    async fn still(&self, session: Arc<Session>, entry: &Entry, sessions: &Sessions) -> Result<Arc<Session>, Refusal> {
        let kept = session.kept.as_ref().filter(|_| session.is_established() && session.agent.is_who(&entry.agent));
        let kept = kept.ok_or(Refusal::SessionGone)?;
        if !kept.is_fresh() && !kept.confirm().await? {
            sessions.remove(&session);
            return Err(Refusal::SessionGone);
        }
        session.touch();
        Ok(session)
    }

    /// What was used since is kept longer; what Redis has forgotten goes.
    pub(crate) async fn touch(&self, sessions: &Sessions) {
        let due = sessions.kept_where(|session, kept| kept.is_due(self.touch, session.used()));
        for due in due.chunks(BATCH) {
            let (mut pipe, asked) = (Pipeline::new(), Instant::now());
            for session in due {
                pipe.cmd("PEXPIRE").arg(self.key(session)).arg(millis(self.lifetime));
            }
            let Ok(there) = self.ask::<Vec<i64>>(&pipe).await else { return };
            for (session, there) in due.iter().zip(there) {
                match (there, &session.kept) {
                    (0, _) | (_, None) => drop(sessions.remove(session)),
                    (_, Some(kept)) => kept.was_touched(asked),
                }
            }
        }
    }

    /// The answers to some commands, in time or not at all. Boxed, so that what most calls wait in does not grow with what few wait for.
    async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Away> {
        let asked = self.link.ask(async |mut connection| commands.query_async(&mut connection).await);
        Box::pin(asked).await
    }

    /// Where a session is kept; nothing that is there where it has none.
    fn key(&self, session: &Session) -> String {
        session.kept.as_ref().map_or_else(String::new, |kept| self.named(&kept.key))
    }

    fn named(&self, key: &Key) -> String {
        format!("{}:session:{}", self.prefix.as_str(), key.hex())
    }
}

impl Stays {
    fn why(self) -> &'static str {
        match self {
            Self::Own => "it is used from within",
            Self::Era => "its server speaks another era",
            Self::Way => "its server is a program, or speaks HTTP+SSE",
            Self::Id => "its server's id for it is no text",
            Self::Joint => "it is one with all servers, at `/mcp`",
        }
    }
}

impl Server {
    /// Does each request of such a session find the way by itself, from whichever node?
    fn is_direct(&self, upstream: Option<&http::HeaderValue>) -> bool {
        self.of_all_nodes && self.way.is_plain_http(upstream)
    }
}

impl From<Away> for Refusal {
    fn from(_: Away) -> Self {
        Self::NoSessions
    }
}

/// As we give them out; for anything else nobody is asked.
fn is_id(text: &str) -> bool {
    text.len() == 48 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where the ids of requests begin that go into sessions of many nodes: far apart, and each a number that every reader has exactly.
pub(crate) fn first_id() -> u64 {
    1 + ((afar::random() >> 32) << 20)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
