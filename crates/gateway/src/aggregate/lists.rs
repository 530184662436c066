//! A list of the aggregate: every server asked at once, the answers in the order of the servers' ids, in pages of bounded size.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;
use mcp::{Object, Request, meta};
use serde_json::json;

use super::asker::{self, Asker};
use super::drain::{Drained, Failure, From, MAX_BYTES, Wanted, drain};
use super::kind::Kind;
use super::{CARRIED, SERVER_INFO, UNAVAILABLE, seen};
use crate::agent;
use crate::refusal::{Addressee, Refusal, Refused};
use crate::reply::Reply;
use crate::server::Server;

/// Where a list goes on: from this server.
#[derive(Debug, Default, PartialEq, Eq)]
struct Position {
    server: String,
    from: From,
}

/// What was collected for one page.
#[derive(Default)]
struct Page {
    items: Vec<String>,
    bytes: usize,
    next: Option<Position>,
    ttl: Option<u64>,
    unavailable: Vec<Arc<str>>,
}

pub(super) async fn list(asker: &Asker, kind: Kind, request: &Request<'_>, to: &Addressee) -> Result<Reply, Refused> {
    let position = match request.params.text("cursor") {
        None => Position::default(),
        Some(cursor) => asker.open_cursor(kind, &cursor).ok_or_else(|| to.refuse(Refusal::NotOurs("cursor")))?,
    };
    let wanted = Wanted { to: to.clone(), meta: asker.meta(request) };
    let servers: Vec<_> = asker.servers().filter(|server| *server.id >= *position.server).collect();
    let room = asker.aggregate().settings.page.get();
    let drained = join_all(servers.iter().map(|server| {
        let resumed = *server.id == *position.server;
        let from = if resumed { position.from.clone() } else { From::default() };
        drain(asker, server, kind, &wanted, from, room)
    }))
    .await;
    let mut page = Page::default();
    for (server, drained) in servers.into_iter().zip(drained) {
        let whole = *server.id != *position.server || position.from == From::default();
        page.take(asker, server, kind, drained, room, whole);
    }
    Ok(asker::result(to, &page.written(asker, kind)))
}

impl Page {
    /// `whole`: the list was read from its beginning.
    fn take(
        &mut self,
        asker: &Asker,
        server: &Arc<Server>,
        kind: Kind,
        drained: Result<Drained, Failure>,
        room: usize,
        whole: bool,
    ) {
        if self.next.is_some() {
            return; // it comes on another page
        }
        let drained = match drained {
            Ok(drained) => drained,
            Err(why) => {
                tracing::warn!(server = %server.id, list = kind.member(), error = crate::record::visible(&why), "left out of a list");
                self.unavailable.push(Arc::clone(&server.id));
                return;
            }
        };
        self.ttl = Some(self.ttl.map_or(drained.ttl, |ttl| ttl.min(drained.ttl)));
        let hash = seen::hash(drained.items.iter().map(|item| item.json.as_str()));
        let at = |from| Some(Position { server: server.id.to_string(), from });
        for item in drained.items {
            // One item at least, or the list would never end.
            let full = self.items.len() >= room || self.bytes + item.json.len() > MAX_BYTES;
            if full && !self.items.is_empty() {
                self.next = at(item.at);
                break;
            }
            self.bytes += item.json.len();
            self.items.push(item.json);
        }
        if self.next.is_none() {
            self.next = drained.next.and_then(at);
        }
        if let Some(joint) = asker.joint() {
            joint.seen.set(&server.id, kind, (whole && self.next.is_none()).then_some(hash));
        }
    }

    fn written(self, asker: &Asker, kind: Kind) -> String {
        let mut members = vec![format!("{}:[{}]", mcp::string(kind.member()), self.items.join(","))];
        let cursor = self.next.as_ref().and_then(|next| asker.seal_cursor(kind, next));
        members.extend(cursor.map(|cursor| format!("\"nextCursor\":{}", mcp::string(&cursor))));
        let gone: Vec<&str> = self.unavailable.iter().map(|id| &**id).collect();
        let mut about = serde_json::Map::new();
        if !gone.is_empty() {
            about.insert(UNAVAILABLE.to_owned(), json!(gone));
        }
        if asker.is_modern() {
            // What is not there now may be soon.
            let ttl = self.ttl.filter(|_| gone.is_empty()).unwrap_or(0).min(super::MAX_TTL);
            members.push(format!(r#""ttlMs":{ttl},"cacheScope":"private","resultType":"complete""#));
            about.insert(meta::SERVER_INFO.to_owned(), SERVER_INFO.clone());
        }
        if !about.is_empty() {
            members.push(format!("\"_meta\":{}", serde_json::Value::Object(about)));
        }
        format!("{{{}}}", members.join(","))
    }
}

impl Asker {
    /// The client's `_meta` for requests that go to several servers: progress of all under one token would make no sense.
    pub(super) fn meta(&self, request: &Request<'_>) -> Option<String> {
        let meta = request.params.get("_meta")?.get();
        Some(Object::read(meta)?.amended(&["progressToken"], &[]))
    }

    /// Of what it may use, and all policies for that together: another one makes old cursors bad.
    fn revision(&self) -> String {
        let policy = |server| self.agent().policy(server).current().hash.clone();
        self.servers().map(|server| format!("{}={}={} ", server.id, server.description, policy(server))).collect()
    }

    fn seal_cursor(&self, kind: Kind, next: &Position) -> Option<String> {
        let text = json!([next.server, next.from.cursor.as_deref(), next.from.offset]).to_string();
        let (agent, revision) = (self.agent(), self.revision());
        let about = ["cursor", kind.member(), &agent.key, &agent::home(&agent.key), &revision];
        self.pipeline.shared.vault.carry(&about, text.as_bytes(), SystemTime::now() + CARRIED)
    }

    /// A cursor that we gave to this agent, for this list, under the policies of now.
    fn open_cursor(&self, kind: Kind, cursor: &str) -> Option<Position> {
        let (agent, revision) = (self.agent(), self.revision());
        let about = ["cursor", kind.member(), &agent.key, &agent::home(&agent.key), &revision];
        let text = self.pipeline.shared.vault.carried(&about, cursor, SystemTime::now()).ok()?;
        let (server, cursor, offset): (String, Option<String>, usize) = serde_json::from_slice(&text).ok()?;
        Some(Position { server, from: From { cursor: cursor.map(Into::into), offset } })
    }
}
