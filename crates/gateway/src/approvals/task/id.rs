//! The ids of tasks that stand for calls that wait: sealed, so that they are nobody else's, and so that a node that does not have the
//! task still knows what became of it.

use mcp::Object;

use crate::agent::Agent;
use crate::server::Server;
use crate::vault::Vault;

const OURS: &str = "tgat1.";

/// What an id says of its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    /// What it waited for when it was made.
    pub(crate) approval: Box<str>,
    pub(crate) created_ms: i64,
    pub(crate) ttl_ms: i64,
    /// Two tasks may wait for one approval.
    pub(crate) nonce: u64,
}

pub(crate) fn is_ours(id: &str) -> bool {
    id.starts_with(OURS)
}

impl Id {
    /// None without randomness.
    pub(crate) fn seal(&self, vault: &Vault, server: &Server, agent: &Agent) -> Option<Box<str>> {
        let Self { approval, created_ms, ttl_ms, nonce } = self;
        let text = format!(
            r#"{{"approval":{},"created":{created_ms},"ttl":{ttl_ms},"nonce":{nonce}}}"#,
            mcp::string(approval)
        );
        let sealed = vault.seal_text(&about(server, agent), text.as_bytes())?;
        Some(format!("{OURS}{sealed}").into())
    }

    /// None for what is not this agent's at this server.
    pub(crate) fn open(id: &str, vault: &Vault, server: &Server, agent: &Agent) -> Option<Self> {
        let text = vault.open_text(&about(server, agent), id.strip_prefix(OURS)?)?;
        let text = Object::read(str::from_utf8(&text).ok()?)?;
        Some(Self {
            approval: text.text("approval")?.as_ref().into(),
            created_ms: text.get("created")?.get().parse().ok()?,
            ttl_ms: text.get("ttl")?.get().parse().ok()?,
            nonce: text.get("nonce")?.get().parse().ok()?,
        })
    }

    pub(crate) fn is_over(&self, now_ms: i64) -> bool {
        now_ms >= self.created_ms.saturating_add(self.ttl_ms)
    }
}

fn about<'a>(server: &'a Server, agent: &'a Agent) -> [&'a str; 3] {
    ["approval.task", &server.id, &agent.key]
}
