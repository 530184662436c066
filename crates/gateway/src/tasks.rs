//! Whose task is whose. A task belongs to the agent whose call made it; to everybody else it does not exist (vector 31).

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use mcp::Object;
use tokio::time::Instant;

use crate::server::Server;

/// Tasks that are remembered, and for how long after they were last seen.
const MAX_TASKS: usize = 100_000;
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Default)]
pub(crate) struct Tasks(DashMap<Key, Owner>);

/// Processes that count their tasks give out equal ids: where each agent has its own, the agent is part of the key.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// Its key.
    server: Arc<str>,
    process: Option<Arc<str>>,
    id: Box<str>,
}

struct Owner {
    /// None once two agents were given this id: nobody can tell whose the task is.
    agent: Option<Arc<str>>,
    seen: Instant,
}

impl Key {
    fn new(server: &Server, agent: &Arc<str>, id: &str) -> Self {
        let process = server.is_private().then(|| Arc::clone(agent));
        Self { server: Arc::clone(&server.key), process, id: id.into() }
    }
}

impl Owner {
    fn is(&self, agent: &Arc<str>) -> bool {
        self.agent.as_ref() == Some(agent)
    }

    // INVARIANT: an id that two were given is nobody's: neither reads what may be the other's
    fn named_again(&mut self, agent: &Arc<str>) {
        if !self.is(agent) {
            self.agent = None;
        }
        self.seen = Instant::now();
    }
}

impl Tasks {
    /// Notes the task that a result hands out, if it hands out one.
    pub(crate) fn note(&self, server: &Server, agent: &Arc<str>, result: &str) {
        if !result.contains("taskId") {
            return; // an escaped key goes unnoticed, and its task stays unreachable
        }
        let Some(result) = Object::read(result) else { return };
        let inner = result.object("task");
        let made = inner.as_ref().or_else(|| (result.text("resultType").as_deref() == Some("task")).then_some(&result));
        let Some(id) = made.and_then(|task| task.text("taskId")) else { return };
        let key = Key::new(server, agent, &id);
        if self.0.len() >= MAX_TASKS {
            self.expire();
        }
        let full = self.0.len() >= MAX_TASKS;
        match self.0.get_mut(&key) {
            Some(mut owner) => return owner.named_again(agent),
            None if full => return,
            None => {}
        }
        let mut owner =
            self.0.entry(key).or_insert_with(|| Owner { agent: Some(Arc::clone(agent)), seen: Instant::now() });
        owner.named_again(agent);
    }

    pub(crate) fn belongs(&self, server: &Server, agent: &Arc<str>, id: &str) -> bool {
        let Some(mut owner) = self.0.get_mut(&Key::new(server, agent, id)) else { return false };
        let own = owner.is(agent);
        if own {
            owner.seen = Instant::now();
        }
        own
    }

    pub(crate) fn expire(&self) {
        self.0.retain(|_, owner| owner.seen.elapsed() < KEPT);
    }
}
