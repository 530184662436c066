//! What a server's tools are, as far as a call needs it: which names exist, and which arguments headers must mirror.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use http::HeaderMap;
use mcp::{ListOf, Method, Mirror, Object, Params, ServerMessage, Verdict, Writer};
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::era::{OWN_META, first_answer, modern_headers};
use crate::upstream::{Upstream, UpstreamError, is_type};

/// How long a list that we fetched is believed.
const FRESH: Duration = Duration::from_secs(60);

/// A name that is not in the list may be new; but the list is not fetched more often than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pages of one list, and tools of one server, that are read at most.
const MAX_PAGES: usize = 100;
const MAX_TOOLS: usize = 20_000;

/// Tools by name.
type Tools = HashMap<Box<str>, Tool>;

struct Tool {
    /// The arguments that headers mirror.
    mirrors: Vec<Mirror>,
    /// The SHA-256 of its definition without whitespace, in hexadecimal.
    definition: Arc<str>,
}

/// What was listed.
struct Listed {
    /// When it was asked for.
    asked: Instant,
    /// When it came.
    at: Instant,
    tools: Tools,
}

#[derive(Default)]
pub(crate) struct Catalogue {
    current: ArcSwapOption<Listed>,
    /// Held while fetching, so that one fetches for all; says when that failed.
    fetching: Mutex<Option<Instant>>,
}

/// How a list is asked for: alone, or within a legacy session.
pub(crate) struct Asking<'a> {
    pub(crate) upstream: &'a Upstream,
    /// The headers of the session; none for modern.
    pub(crate) session: Option<HeaderMap>,
}

impl Catalogue {
    /// The mirrored arguments of a tool; none when the server has no such tool.
    pub(crate) async fn tool(&self, name: &str, asking: &Asking<'_>) -> Result<Option<Vec<Mirror>>, UpstreamError> {
        let known = || self.listed(name, None, |tool| tool.mirrors.clone());
        match known() {
            Some(mirrors) => Ok(Some(mirrors)),
            None => {
                self.fetched(asking, None, || known().is_some()).await?;
                Ok(known())
            }
        }
    }

    /// The hash of a tool's definition: as the server listed it when it was asked `since` then, if that matters. None when the server has no
    /// such tool.
    pub(crate) async fn defined(
        &self,
        name: &str,
        asking: &Asking<'_>,
        since: Option<Instant>,
    ) -> Result<Option<Arc<str>>, UpstreamError> {
        let known = || self.listed(name, since, |tool| Arc::clone(&tool.definition));
        match known() {
            Some(definition) => Ok(Some(definition)),
            None => {
                self.fetched(asking, since, || known().is_some()).await?;
                Ok(known())
            }
        }
    }

    /// Has the list fetched, by one for all who want it. `enough`: what another has fetched meanwhile will do.
    async fn fetched(
        &self,
        asking: &Asking<'_>,
        since: Option<Instant>,
        enough: impl Fn() -> bool,
    ) -> Result<(), UpstreamError> {
        let arrived = Instant::now();
        let mut failed = asking.upstream.turn(self.fetching.lock()).await?;
        let new = |listed: &Listed| since.is_none_or(|since| listed.asked >= since) && listed.at.elapsed() < PATIENCE;
        // What is not in a list that just came is not asked for at once again.
        if enough() || self.current.load().as_deref().is_some_and(new) {
            return Ok(());
        }
        if failed.is_some_and(|at| at >= arrived) {
            return Err(UpstreamError::LatelyFailed);
        }
        let asked = Instant::now();
        let tools = fetch(asking).await.inspect_err(|_| *failed = Some(Instant::now()))?;
        self.current.store(Some(Arc::new(Listed { asked, at: Instant::now(), tools })));
        Ok(())
    }

    /// The tools may have changed.
    pub(crate) fn forget(&self) {
        self.current.store(None);
    }

    /// Of a tool in a list that is believed, and asked for `since` then.
    fn listed<T>(&self, name: &str, since: Option<Instant>, get: impl FnOnce(&Tool) -> T) -> Option<T> {
        let current = self.current.load();
        let listed = current.as_deref()?;
        let good = listed.at.elapsed() < FRESH && since.is_none_or(|since| listed.asked >= since);
        good.then(|| listed.tools.get(name).map(get)).flatten()
    }

    /// The hash of a tool's definition as it was last listed, if the gateway read that list.
    pub(crate) fn definition(&self, name: &str) -> Option<Arc<str>> {
        let current = self.current.load();
        Some(Arc::clone(&current.as_ref()?.tools.get(name)?.definition))
    }
}

async fn fetch(asking: &Asking<'_>) -> Result<Tools, UpstreamError> {
    let mut tools = Tools::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let answer = page(asking, cursor.as_deref()).await?;
        let Some(ServerMessage::Answer(mcp::Answer { verdict: Verdict::Result(result), .. })) =
            ServerMessage::read(&answer)
        else {
            return Err(UpstreamError::NotAnAnswer);
        };
        let result = Object::read(result.get()).ok_or(UpstreamError::Unfilterable)?;
        let list = result.get(ListOf::Tools.member()).ok_or(UpstreamError::Unfilterable)?;
        let items: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|_| UpstreamError::Unfilterable)?;
        for item in items.into_iter().take(MAX_TOOLS.saturating_sub(tools.len())) {
            if let Some(name) = Object::read(item.get()).and_then(|tool| tool.text("name")) {
                let mirrors = mcp::mirrors(item).unwrap_or_default();
                tools.insert(name.as_ref().into(), Tool { mirrors, definition: hash(item) });
            }
        }
        cursor = result.get("nextCursor").filter(|cursor| cursor.get() != "null").map(|cursor| cursor.get().to_owned());
        if cursor.is_none() {
            break;
        }
    }
    Ok(tools)
}

fn hash(definition: &RawValue) -> Arc<str> {
    let mut compact = Vec::with_capacity(definition.get().len());
    mcp::compact(definition.get(), &mut compact);
    HEXLOWER.encode(digest(&SHA256, &compact).as_ref()).into()
}

/// One page; `cursor` is JSON text.
async fn page(asking: &Asking<'_>, cursor: Option<&str>) -> Result<Vec<u8>, UpstreamError> {
    let upstream = asking.upstream;
    let mut params = Params::default();
    if let Some(cursor) = cursor {
        params.add("cursor", cursor.to_owned());
    }
    let headers = match &asking.session {
        Some(headers) => headers.clone(),
        None => {
            params.replace_meta(OWN_META.to_owned());
            modern_headers(Method::ToolsList)
        }
    };
    let body = Writer::request(upstream.server.next_id(), Method::ToolsList, &params);
    let response = upstream.post(headers, body, None).await?;
    if !response.status().is_success() {
        return Err(UpstreamError::Status(response.status()));
    }
    match is_type(&response, "text/event-stream") {
        true => first_answer(upstream, response.into_body()).await,
        false => Ok(upstream.read(response.into_body()).await?.to_vec()),
    }
}
