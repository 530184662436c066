//! Which tools of a legacy server can only be called as tasks (2025-11-25, `execution.taskSupport`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use mcp::{Answer, Method, Object, Params, ServerMessage, Verdict};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::session::Session;
use crate::upstream::{Upstream, UpstreamError};

/// How long a list that we fetched is believed.
const FRESH: Duration = Duration::from_secs(60);

/// Pages and tools that are read at most.
const MAX_PAGES: usize = 100;
const MAX_TOOLS: usize = 20_000;

#[derive(Default)]
pub(super) struct TaskTools {
    known: ArcSwapOption<(Instant, HashSet<Box<str>>)>,
    /// Held while fetching, so that one fetches for all.
    fetching: tokio::sync::Mutex<()>,
}

impl TaskTools {
    /// The tools may have changed.
    pub(super) fn forget(&self) {
        self.known.store(None);
    }

    fn fresh(&self) -> Option<Arc<(Instant, HashSet<Box<str>>)>> {
        self.known.load_full().filter(|known| known.0.elapsed() < FRESH)
    }
}

impl Session {
    /// Must this tool be called as a task?
    pub(super) async fn needs_task(&self, name: &str, upstream: &Upstream) -> Result<bool, UpstreamError> {
        if !self.can(&["tasks", "requests", "tools", "call"]) {
            return Ok(false);
        }
        if let Some(known) = self.task_tools.fresh() {
            return Ok(known.1.contains(name));
        }
        let turn = upstream.turn(self.task_tools.fetching.lock()).await?;
        let known = match self.task_tools.fresh() {
            Some(known) => known,
            None => {
                let known = Arc::new((Instant::now(), self.task_only(upstream).await?));
                self.task_tools.known.store(Some(Arc::clone(&known)));
                known
            }
        };
        drop(turn);
        Ok(known.1.contains(name))
    }

    async fn task_only(&self, upstream: &Upstream) -> Result<HashSet<Box<str>>, UpstreamError> {
        let (mut all, mut cursor, mut seen) = (HashSet::new(), None, 0);
        for _ in 0..MAX_PAGES {
            let mut params = Params::default();
            if let Some(cursor) = cursor.take() {
                params.add("cursor", cursor);
            }
            let answer = self.ask(upstream, Method::ToolsList, &params).await?;
            let Some(ServerMessage::Answer(Answer { verdict: Verdict::Result(result), .. })) =
                ServerMessage::read(&answer)
            else {
                return Err(UpstreamError::NotAnAnswer);
            };
            let result = Object::read(result.get()).ok_or(UpstreamError::Unfilterable)?;
            let tools = result.get("tools").ok_or(UpstreamError::Unfilterable)?;
            let tools: Vec<&RawValue> = serde_json::from_str(tools.get()).map_err(|_| UpstreamError::Unfilterable)?;
            seen += tools.len();
            let tools = tools.into_iter().filter_map(|tool| Object::read(tool.get()));
            let only = |tool: &Object<'_>| tool.object("execution")?.text("taskSupport").map(|it| it == "required");
            let tools = tools.filter(|tool| only(tool) == Some(true));
            all.extend(tools.filter_map(|tool| tool.text("name").map(|name| Box::from(name.as_ref()))));
            let next = result.get("nextCursor").filter(|next| next.get() != "null");
            match next {
                Some(next) if seen < MAX_TOOLS => cursor = Some(next.get().to_owned()),
                _ => break,
            }
        }
        Ok(all)
    }
}
