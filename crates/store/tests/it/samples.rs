//! Records to keep.

use std::collections::BTreeMap;

use serde_json::json;
use store::{Admin, Agent, AskBounds, Asked, AuditRecord, Credential, Draft, Grant, Role, Server, Token, Vote};

pub(crate) fn server(url: &str) -> Server {
    Server { document: json!({ "url": url }), policy: Some("github".to_owned()), enabled: true }
}

pub(crate) fn agent() -> Agent {
    Agent {
        labels: BTreeMap::from([("team".to_owned(), "ops".to_owned())]),
        servers: Some(["github".to_owned()].into()),
        policies: BTreeMap::new(),
        enabled: true,
    }
}

pub(crate) fn token(agent: &str, byte: u8) -> Token {
    Token {
        agent: agent.to_owned(),
        prefix: "tg_abcdef".to_owned(),
        sha256: [byte; 32],
        label: "laptop".to_owned(),
        expires_ms: None,
        revoked_ms: None,
        replaced_by: None,
    }
}

pub(crate) fn credential(server: &str, agent: Option<&str>) -> Credential {
    Credential {
        server: server.to_owned(),
        agent: agent.map(str::to_owned),
        kind: "headers".to_owned(),
        sealed: vec![0, 1, 254, 255],
        hint: "ghp_…1234".to_owned(),
    }
}

pub(crate) fn admin(role: Role) -> Admin {
    Admin { role, enabled: true, groups: Vec::new() }
}

pub(crate) fn draft(text: &str) -> Draft {
    Draft {
        hash: format!("hash of {text}"),
        text: text.to_owned(),
        catalogue: None,
        note: "why".to_owned(),
        author: "alice".to_owned(),
    }
}

pub(crate) fn record(node: &str, seq: i64, time_ms: i64) -> AuditRecord {
    AuditRecord {
        node: node.to_owned(),
        seq,
        segment: 1,
        time_ms,
        kind: "decision".to_owned(),
        agent: Some(format!("agent-{}", seq % 3)),
        server: Some(format!("server-{}", seq % 2)),
        outcome: Some("denied".to_owned()),
        line: format!("{{\"seq\":{seq}}}"),
        ..AuditRecord::default()
    }
}

/// Room for everybody.
pub(crate) const WIDE: AskBounds = AskBounds { per_agent: 1000, per_server: 1000, per_hour: 1000 };

/// A call of `agent` that differs from others by its number.
pub(crate) fn asked(agent: &str, number: u16) -> Asked {
    let mut binding = [7; 32];
    binding[..2].copy_from_slice(&number.to_be_bytes());
    Asked {
        binding,
        agent: agent.to_owned(),
        owner: Some("ops".to_owned()),
        server: "github".to_owned(),
        method: "tools/call".to_owned(),
        subject: "delete_repo".to_owned(),
        arguments: format!("{{\"n\": {number}, \"t\": \"\\u0000ü\"}}"),
        digest: "d".repeat(64),
        definition: None,
        policy: "hash of one".to_owned(),
        rule: "tools.delete_repo".to_owned(),
        reason: Some("deletes".to_owned()),
        approvers: vec!["ops".to_owned()],
        quorum: 1,
        self_approval: false,
    }
}

pub(crate) fn vote(by: &str, approve: bool, at_ms: i64) -> Vote {
    Vote { by: by.to_owned(), approve, reason: Some("because".to_owned()), at_ms }
}

/// Good from 10 until 1000.
pub(crate) fn grant(agent: &str, max_uses: i64) -> Grant {
    Grant {
        id: String::new(),
        agent: agent.to_owned(),
        server: "github".to_owned(),
        method: "tools/call".to_owned(),
        subject: "delete_repo".to_owned(),
        scope: "{}".to_owned(),
        definition: Some("def".to_owned()),
        policy: "hash of one".to_owned(),
        max_uses,
        used: 5,
        created_ms: 10,
        expires_ms: 1000,
        revoked_ms: Some(3),
        made_by: "root".to_owned(),
        approval: "a1".to_owned(),
    }
}
