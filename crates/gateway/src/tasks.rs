//! Whose task is whose. A task belongs to the agent whose call made it; to everybody else it does not exist (vector 31).

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use mcp::Object;
use tokio::time::Instant;

/// Tasks that are remembered, and for how long after they were last seen.
const MAX_TASKS: usize = 100_000;
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Default)]
pub(crate) struct Tasks(DashMap<(Arc<str>, Box<str>), Owner>);

struct Owner {
    agent: Arc<str>,
    seen: Instant,
}

impl Tasks {
    /// Notes the task that a result hands out, if it hands out one.
    pub(crate) fn note(&self, server: &Arc<str>, agent: &Arc<str>, result: &str) {
        if !result.contains("taskId") {
            return; // an escaped key goes unnoticed, and its task stays unreachable
        }
        let Some(result) = Object::read(result) else { return };
        let inner = result.object("task");
        let Some(id) = inner.as_ref().unwrap_or(&result).text("taskId") else { return };
        if self.0.len() >= MAX_TASKS {
            self.expire();
        }
        if self.0.len() < MAX_TASKS {
            let owner = Owner { agent: Arc::clone(agent), seen: Instant::now() };
            // INVARIANT: whose a task is, it stays: a result that names it gives it to nobody else
            self.0.entry((Arc::clone(server), id.as_ref().into())).or_insert(owner);
        }
    }

    pub(crate) fn belongs(&self, server: &Arc<str>, agent: &Arc<str>, id: &str) -> bool {
        let Some(mut owner) = self.0.get_mut(&(Arc::clone(server), id.into())) else { return false };
        owner.seen = Instant::now();
        owner.agent == *agent
    }

    pub(crate) fn expire(&self) {
        self.0.retain(|_, owner| owner.seen.elapsed() < KEPT);
    }
}
