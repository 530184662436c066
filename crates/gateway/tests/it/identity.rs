//! Agents that are known by tokens: who comes in, what belongs to whom, and how everybody else is answered.

mod bound;
mod canary;
mod doors;
mod flood;
mod kept;
mod sessions;
mod whose;

use std::time::{Duration, SystemTime};

use gateway::NewToken;
use testkit::{HttpClient, McpClient, Recorder};

use crate::gate::{Gate, Plan};

/// An agent with one token.
pub(crate) struct Known {
    pub(crate) id: &'static str,
    pub(crate) token: NewToken,
    lines: String,
    expires: Option<SystemTime>,
}

impl Known {
    pub(crate) fn new(id: &'static str) -> Self {
        Self { id, token: NewToken::generate().unwrap(), lines: String::new(), expires: None }
    }

    /// More of its configuration.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.lines += line;
        self.lines += "\n";
        self
    }

    pub(crate) fn for_only(mut self, span: Duration) -> Self {
        self.expires = Some(SystemTime::now() + span);
        self
    }

    pub(crate) fn expired(mut self) -> Self {
        self.expires = Some(SystemTime::UNIX_EPOCH);
        self
    }

    pub(crate) fn toml(&self) -> String {
        let expires = self.expires.map(|at| format!(", expires = \"{}\"", humantime::format_rfc3339_nanos(at)));
        let hash = self.token.sha256_hex();
        let tokens = format!("[{{ sha256 = \"{hash}\", label = \"t\"{} }}]", expires.unwrap_or_default());
        format!("[agents.\"{}\"]\n{}tokens = {tokens}\n", self.id, self.lines)
    }

    pub(crate) fn shown(&self) -> String {
        format!("Bearer {}", self.token.text())
    }

    pub(crate) fn shows(&self, http: HttpClient) -> HttpClient {
        http.header("Authorization", &self.shown())
    }

    pub(crate) fn http(&self, gate: &Gate) -> HttpClient {
        self.shows(gate.http())
    }

    pub(crate) fn modern(&self, gate: &Gate) -> McpClient {
        McpClient::modern(self.http(gate))
    }

    pub(crate) async fn legacy(&self, gate: &Gate) -> McpClient {
        McpClient::legacy(self.http(gate)).await
    }
}

/// These agents, and no other.
pub(crate) fn known(plan: Plan, agents: &[&Known]) -> Plan {
    agents.iter().fold(plan.set("auth.mode", "tokens"), |plan, agent| plan.toml(&agent.toml()))
}

/// One server, `s`, behind `policy.json`, for these agents.
pub(crate) fn before(upstream: &Recorder, policy: &str, agents: &[&Known]) -> Gate {
    let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", policy);
    known(plan, agents).start()
}
