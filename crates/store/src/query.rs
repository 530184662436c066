//! Asking for audit records: filters, the newest first, a page at a time.

use std::fmt;
use std::str::FromStr;

use crate::limits;
use crate::sql::{Row, args};
use crate::{AuditRecord, Store, StoreError};

/// What to look for: all that is set must be so, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    pub node: Option<String>,
    pub kind: Option<String>,
    pub agent: Option<String>,
    pub server: Option<String>,
    pub method: Option<String>,
    pub subject: Option<String>,
    pub outcome: Option<String>,
    pub code: Option<String>,
    pub rule: Option<String>,
    pub policy: Option<String>,
    /// From this time on.
    pub since_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
    /// What the last page gave as `next`.
    pub after: Option<AuditCursor>,
}

/// The place of a record in the order of all. Written as text, it is safe in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCursor {
    time_ms: i64,
    seq: i64,
    node: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    pub records: Vec<AuditRecord>,
    pub next: Option<AuditCursor>,
}

/// The first condition decides which index is read.
macro_rules! select {
    ($first:literal) => {
        concat!(
            "SELECT node, seq, segment, time_ms, kind, agent, server, method, subject, outcome, code, rule, policy, latency_us, line \
             FROM tg_audit WHERE ",
            $first,
            " AND (time_ms, node, seq) < ($3, $4, $5) AND time_ms >= $6 AND time_ms < $7 AND ($8 IS NULL OR node = $8) \
             AND ($9 IS NULL OR kind = $9) AND ($10 IS NULL OR method = $10) AND ($11 IS NULL OR subject = $11) \
             AND ($12 IS NULL OR outcome = $12) AND ($13 IS NULL OR code = $13) AND ($14 IS NULL OR rule = $14) \
             AND ($15 IS NULL OR policy = $15) ORDER BY time_ms DESC, node DESC, seq DESC LIMIT $16"
        )
    };
}

impl AuditQuery {
    fn sql(&self) -> &'static str {
        match (&self.agent, &self.server) {
            (Some(_), _) => select!("agent = $1 AND ($2 IS NULL OR server = $2)"),
            (None, Some(_)) => select!("$1 IS NULL AND server = $2"),
            (None, None) => select!("$1 IS NULL AND $2 IS NULL"),
        }
    }
}

impl Store {
    /// The newest first, by time, then node, then number. Records that a node brings late may belong before a page that was read already.
    pub async fn audit(&self, query: &AuditQuery, limit: u32) -> Result<AuditPage, StoreError> {
        let size = limits::page(limit);
        let first = AuditCursor { time_ms: i64::MAX, seq: i64::MAX, node: String::new() };
        let after = query.after.as_ref().unwrap_or(&first);
        let args = args![
            query.agent.as_deref(),
            query.server.as_deref(),
            after.time_ms,
            &after.node,
            after.seq,
            query.since_ms.unwrap_or(i64::MIN),
            query.until_ms.unwrap_or(i64::MAX),
            query.node.as_deref(),
            query.kind.as_deref(),
            query.method.as_deref(),
            query.subject.as_deref(),
            query.outcome.as_deref(),
            query.code.as_deref(),
            query.rule.as_deref(),
            query.policy.as_deref(),
            size as i64 + 1,
        ];
        let rows = self.ask("ask for audit records", query.sql(), args).await?;
        let more = rows.len() > size;
        let records: Vec<AuditRecord> = rows.iter().take(size).map(read).collect::<Result<_, _>>()?;
        let next = if more { records.last().map(AuditCursor::of) } else { None };
        Ok(AuditPage { records, next })
    }

    pub async fn audit_record(&self, node: &str, seq: i64) -> Result<AuditRecord, StoreError> {
        const SQL: &str = "SELECT node, seq, segment, time_ms, kind, agent, server, method, subject, outcome, code, rule, policy, \
            latency_us, line FROM tg_audit WHERE node = $1 AND seq = $2";
        let row = self.ask_one("read an audit record", SQL, args![node, seq]).await?;
        read(&row.ok_or_else(|| StoreError::missing("audit record", &format!("{node}/{seq}")))?)
    }
}

impl AuditCursor {
    fn of(record: &AuditRecord) -> Self {
        Self { time_ms: record.time_ms, seq: record.seq, node: record.node.clone() }
    }
}

impl fmt::Display for AuditCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.time_ms, self.seq, crate::hex::write(self.node.as_bytes()))
    }
}

impl FromStr for AuditCursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let read = || {
            let (time, rest) = text.split_once('.')?;
            let (seq, node) = rest.split_once('.')?;
            let node = String::from_utf8(crate::hex::read(node)?).ok().filter(|node| !node.contains('\0'))?;
            Some(Self { time_ms: time.parse().ok()?, seq: seq.parse().ok()?, node })
        };
        read().ok_or_else(|| StoreError::Invalid { what: "the cursor", why: "is not one of ours".to_owned() })
    }
}

pub(crate) fn read(row: &Row) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        node: row.get("node")?,
        seq: row.get("seq")?,
        segment: row.get("segment")?,
        time_ms: row.get("time_ms")?,
        kind: row.get("kind")?,
        agent: row.get("agent")?,
        server: row.get("server")?,
        method: row.get("method")?,
        subject: row.get("subject")?,
        outcome: row.get("outcome")?,
        code: row.get("code")?,
        rule: row.get("rule")?,
        policy: row.get("policy")?,
        latency_us: row.get("latency_us")?,
        line: row.get("line")?,
    })
}
