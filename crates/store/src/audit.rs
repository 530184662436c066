//! Audit records of all nodes, to be asked: a copy of the journals, which stay the truth. Each record is kept once, however often it is brought.

use serde::Serialize;

use crate::limits::{self, MAX_ID, MAX_NOTE};
use crate::sql::args;
use crate::tx::Tx;
use crate::{Store, StoreError};

/// Records that are brought at once.
const MAX_BATCH: usize = 1000;
/// Bytes of them, about.
const MAX_BATCH_BYTES: usize = 16 << 20;
/// Records that one step of retention deletes: others write in between.
const MAX_SWEEP: i64 = 10_000;

/// A record of a node's journal. What is not in `line` already is not here either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct AuditRecord {
    pub node: String,
    pub seq: i64,
    pub segment: i64,
    pub time_ms: i64,
    pub kind: String,
    pub agent: Option<String>,
    pub server: Option<String>,
    pub method: Option<String>,
    pub subject: Option<String>,
    pub outcome: Option<String>,
    pub code: Option<String>,
    pub rule: Option<String>,
    pub policy: Option<String>,
    pub latency_us: Option<i64>,
    /// The whole record, as it stands in the journal.
    pub line: String,
}

const SQLITE: &str = "INSERT INTO tg_audit (node, seq, segment, time_ms, kind, agent, server, method, subject, outcome, code, rule, \
    policy, latency_us, line) \
    SELECT value ->> 'node', value ->> 'seq', value ->> 'segment', value ->> 'time_ms', value ->> 'kind', value ->> 'agent', \
    value ->> 'server', value ->> 'method', value ->> 'subject', value ->> 'outcome', value ->> 'code', value ->> 'rule', \
    value ->> 'policy', value ->> 'latency_us', value ->> 'line' \
    FROM json_each($1) WHERE true ON CONFLICT (node, seq) DO NOTHING";

const POSTGRES: &str = "INSERT INTO tg_audit (node, seq, segment, time_ms, kind, agent, server, method, subject, outcome, code, rule, \
    policy, latency_us, line) \
    SELECT node, seq, segment, time_ms, kind, agent, server, method, subject, outcome, code, rule, policy, latency_us, line \
    FROM json_to_recordset($1::json) AS r (node text, seq bigint, segment bigint, time_ms bigint, kind text, agent text, server text, \
    method text, subject text, outcome text, code text, rule text, policy text, latency_us bigint, line text) \
    ON CONFLICT (node, seq) DO NOTHING";

impl Store {
    /// All of them, or none; those that are there already are left as they are. How many were new.
    pub async fn insert_audit(&self, records: &[AuditRecord]) -> Result<u64, StoreError> {
        let batch = batch(records)?;
        self.within("keep audit records", async {
            let mut tx = self.write().await?;
            let sql = insert(&tx);
            let new = tx.run(sql, args![&batch]).await?;
            advance(&mut tx, records).await?;
            tx.commit().await?;
            Ok(new)
        })
        .await
    }

    /// The highest sequence number that this node ever brought. It is remembered when its records are long gone.
    pub async fn last_audit_seq(&self, node: &str) -> Result<Option<i64>, StoreError> {
        const SQL: &str = "SELECT seq FROM tg_audit_nodes WHERE node = $1";
        let row = self.ask_one("read how far a node is", SQL, args![node]).await?;
        row.map(|row| row.get("seq")).transpose()
    }

    /// Deletes some of what is older: how many. Call it until it is 0.
    pub async fn sweep_audit(&self, before_ms: i64) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM tg_audit WHERE (node, seq) IN \
            (SELECT node, seq FROM tg_audit WHERE time_ms < $1 ORDER BY time_ms LIMIT $2)";
        self.within("sweep audit records", async {
            let mut tx = self.write().await?;
            let gone = tx.run(SQL, args![before_ms, MAX_SWEEP]).await?;
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }

    /// Deletes some of a node's records, so that its journal can be read in again: how many. Call it until it is 0; then the node starts anew.
    pub async fn forget_audit(&self, node: &str) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM tg_audit WHERE node = $1 AND seq IN \
            (SELECT seq FROM tg_audit WHERE node = $1 ORDER BY seq LIMIT $2)";
        self.within("forget a node's audit records", async {
            let mut tx = self.write().await?;
            let gone = tx.run(SQL, args![node, MAX_SWEEP]).await?;
            if gone == 0 {
                tx.run("DELETE FROM tg_audit_nodes WHERE node = $1", args![node]).await?;
            }
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }
}

pub(crate) fn insert(tx: &Tx) -> &'static str {
    tx.either(SQLITE, POSTGRES)
}

fn batch(records: &[AuditRecord]) -> Result<String, StoreError> {
    let bytes: usize = records.iter().map(|record| record.line.len()).sum();
    if records.len() > MAX_BATCH || bytes > MAX_BATCH_BYTES {
        let why =
            format!("of {} records and {bytes} bytes is more than {MAX_BATCH} and {MAX_BATCH_BYTES}", records.len());
        return Err(StoreError::Invalid { what: "a batch", why });
    }
    records.iter().try_for_each(|record| limits::id("the node", &record.node))?;
    json(records)
}

/// One JSON text for all of them: one round trip, and no SQL that is made of values.
pub(crate) fn json(records: &[AuditRecord]) -> Result<String, StoreError> {
    let clean: Vec<AuditRecord> = records.iter().map(AuditRecord::cleaned).collect();
    let invalid = |error: serde_json::Error| StoreError::Invalid { what: "a record", why: error.to_string() };
    serde_json::to_string(&clean).map_err(invalid)
}

impl AuditRecord {
    /// A record that says something odd is kept all the same: a journal must not get stuck at it.
    fn cleaned(&self) -> Self {
        let short = |text: &Option<String>| text.as_deref().map(|text| cut(text, MAX_NOTE));
        Self {
            kind: cut(&self.kind, MAX_ID),
            agent: short(&self.agent),
            server: short(&self.server),
            method: short(&self.method),
            subject: short(&self.subject),
            outcome: short(&self.outcome),
            code: short(&self.code),
            rule: short(&self.rule),
            policy: short(&self.policy),
            line: self.line.replace('\0', "\u{fffd}"),
            ..self.clone()
        }
    }
}

/// The beginning of a text, without NUL, which PostgreSQL does not keep.
fn cut(text: &str, max: usize) -> String {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default().replace('\0', "\u{fffd}")
}

async fn advance(tx: &mut Tx, records: &[AuditRecord]) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO tg_audit_nodes (node, seq) VALUES ($1, $2) \
        ON CONFLICT (node) DO UPDATE SET seq = excluded.seq WHERE tg_audit_nodes.seq < excluded.seq";
    // In the order of their names: two who bring records of the same nodes do not wait for each other.
    let mut last = std::collections::BTreeMap::new();
    for record in records {
        let seq = last.entry(record.node.as_str()).or_insert(record.seq);
        *seq = record.seq.max(*seq);
    }
    for (node, seq) in last {
        tx.run(SQL, args![node, seq]).await?;
    }
    Ok(())
}
