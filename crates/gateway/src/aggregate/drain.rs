//! One server's list, read page by page through its mount: bounded in time, pages, items and bytes.

use std::sync::Arc;

use mcp::{Era, Object, ServerMessage, Verdict};
use serde_json::value::RawValue;

use super::asker::{Asker, Outgoing};
use super::events;
use super::kind::Kind;
use super::seen;
use crate::era::error_code;
use crate::refusal::Addressee;
use crate::server::Server;

/// Pages of one server that are read for one answer.
const MAX_PAGES: usize = 100;

/// Bytes of definitions of one server, and of one answer: what is beyond comes on another page.
pub(super) const MAX_BYTES: usize = 8 << 20;

/// Items that are compared when a server says that its list has changed, or that a search looks through.
pub(super) const MAX_ITEMS: usize = 20_000;

const METHOD_NOT_FOUND: i64 = -32601;

/// Where a list goes on: a page of the server's (the first has no cursor), and how many of its items were shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct From {
    pub(super) cursor: Option<Arc<str>>,
    pub(super) offset: usize,
}

#[derive(Default)]
pub(super) struct Drained {
    pub(super) items: Vec<Item>,
    /// Where the rest is, if there is one.
    pub(super) next: Option<From>,
    pub(super) ttl: u64,
}

pub(super) struct Item {
    pub(super) json: String,
    pub(super) at: From,
}

/// Why there is no list; for the log.
pub(super) type Failure = String;

/// Items from there on, until there are `room` of them. `params` are the client's, without a cursor.
pub(super) async fn drain(
    asker: &Asker,
    server: &Arc<Server>,
    kind: Kind,
    wanted: &Wanted,
    from: From,
    room: usize,
) -> Result<Drained, Failure> {
    let drained = asker.patiently(server, pages(asker, server, kind, wanted, from, room)).await;
    drained.unwrap_or_else(|silent| Err(silent.to_string()))
}

/// For whom and with which params a list is asked for.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) to: Addressee,
    /// `_meta` as JSON text; none for legacy.
    pub(super) meta: Option<String>,
}

impl Wanted {
    /// For what the aggregate asks of its own accord, for a legacy client. The id is one that no client has reason to use.
    pub(super) fn ours(asker: &Asker) -> Self {
        let era = if asker.is_modern() { Era::Modern } else { Era::Legacy };
        let to = Addressee { id: Some("\"toolgate/look\"".into()), era: Some(era), ..Addressee::default() };
        Self { to, meta: None }
    }
}

async fn pages(
    asker: &Asker,
    server: &Arc<Server>,
    kind: Kind,
    wanted: &Wanted,
    from: From,
    room: usize,
) -> Result<Drained, Failure> {
    let mut drained = Drained { ttl: u64::MAX, ..Drained::default() };
    let mut from = Some(from);
    for _ in 0..MAX_PAGES {
        let Some(page) = from.take() else { break };
        let next = one(asker, server, kind, wanted, &page, &mut drained).await?;
        from = next.map(|cursor| From { cursor: Some(cursor.into()), offset: 0 });
        let bytes: usize = drained.items.iter().map(|item| item.json.len()).sum();
        if drained.items.len() >= room || bytes >= MAX_BYTES {
            break;
        }
    }
    // It would be asked on and on, and those after it never.
    if drained.items.is_empty() && from.is_some() {
        return Err(format!("{MAX_PAGES} empty pages, and more to come"));
    }
    drained.next = from;
    Ok(drained)
}

/// One page. The cursor of the next, if there is one.
async fn one(
    asker: &Asker,
    server: &Arc<Server>,
    kind: Kind,
    wanted: &Wanted,
    page: &From,
    into: &mut Drained,
) -> Result<Option<String>, Failure> {
    let members = [("cursor", page.cursor.as_deref().map(mcp::string)), ("_meta", wanted.meta.clone())];
    let members = members.into_iter().filter_map(|(key, json)| Some(format!("{}:{}", mcp::string(key), json?)));
    let params = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    let reply = asker.send(server, &Outgoing::new(&wanted.to, kind.method(), None, params)).await;
    let status = reply.status();
    let answer = events::answer(reply, asker.pipeline.shared.bounds.response).await;
    let answer = answer.ok_or_else(|| "no answer".to_owned())?;
    let Some(ServerMessage::Answer(answer)) = ServerMessage::read(&answer) else {
        return Err(format!("no answer, status {status}"));
    };
    let result = match answer.verdict {
        Verdict::Result(result) => Object::read(result.get()).ok_or("an unreadable list")?,
        Verdict::Error(error) => match error_code(error.get()) {
            // Servers without such a list say so: it is empty, and they are not amiss.
            Some(METHOD_NOT_FOUND) => {
                into.ttl = 0;
                return Ok(None);
            }
            _ => return Err(error.get().chars().take(256).collect()),
        },
    };
    let list = result.get(kind.member()).ok_or("no list")?;
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|_| "no list")?;
    let mut unnameable = 0;
    for (offset, item) in items.iter().enumerate().skip(page.offset) {
        match kind.renamed(&server.id, item.get()) {
            Some(json) => into.items.push(Item { json, at: From { cursor: page.cursor.clone(), offset } }),
            None => unnameable += 1,
        }
    }
    if unnameable > 0 {
        let kind = kind.member();
        tracing::warn!(server = %server.id, kind, unnameable, "left out: with the server's id before it the name is too long");
    }
    let ttl = result.get("ttlMs").and_then(|ttl| ttl.get().parse().ok()).unwrap_or(0);
    into.ttl = into.ttl.min(ttl);
    Ok(result.text("nextCursor").map(Into::into))
}

/// How a server's whole list looks now; none where it cannot be had.
pub(super) async fn look(asker: &Asker, server: &Arc<Server>, kind: Kind, wanted: &Wanted) -> Option<u64> {
    let drained = drain(asker, server, kind, wanted, From::default(), MAX_ITEMS).await.ok()?;
    drained.next.is_none().then(|| seen::hash(drained.items.iter().map(|item| item.json.as_str())))
}
