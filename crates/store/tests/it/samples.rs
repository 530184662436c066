//! Records to keep.

use std::collections::BTreeMap;

use serde_json::json;
use store::{Admin, Agent, AuditRecord, Credential, Draft, Role, Server, Token};

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
