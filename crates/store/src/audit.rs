//! Audit records of all nodes, to be asked: a copy of the journals, which stay the truth. Each record is kept once, however often it is brought.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Serialize;

use crate::limits::{self, MAX_ID, MAX_NOTE};
use crate::sql::{Arg, args};
use crate::tx::Tx;
use crate::{Store, StoreError};

/// Records that are brought at once.
const MAX_BATCH: usize = 1000;
/// Bytes of them, about.
const MAX_BATCH_BYTES: usize = 16 << 20;
/// Records that one step of retention deletes: others write in between.
const MAX_SWEEP: i64 = 2_000;

/// A record of a node's journal. What is not in `line` already is not here either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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

/// Rows of one statement for SQLite, which takes values that are bound in half the time that it reads them from JSON in.
const ROWS: usize = 250;

static ROW: LazyLock<String> = LazyLock::new(|| sqlite(1));
static MANY: LazyLock<String> = LazyLock::new(|| sqlite(ROWS));

/// For PostgreSQL one JSON text is all of a batch: one round trip.
const POSTGRES: &str = "INSERT INTO tg_audit (node, seq, segment, time_ms, kind, agent, server, method, subject, outcome, code, rule, \
    policy, latency_us, line) \
    SELECT node, seq, segment, time_ms, kind, agent, server, method, subject, outcome, code, rule, policy, latency_us, line \
    FROM json_to_recordset($1::json) AS r (node text, seq bigint, segment bigint, time_ms bigint, kind text, agent text, server text, \
    method text, subject text, outcome text, code text, rule text, policy text, latency_us bigint, line text) \
    ON CONFLICT (node, seq) DO NOTHING";

impl Store {
    /// All of them, or none; those that are there already are left as they are. How many were new.
    pub async fn insert_audit(&self, records: &[AuditRecord]) -> Result<u64, StoreError> {
        bounded(records)?;
        self.within("keep audit records", async {
            let mut tx = self.write().await?;
            let new = insert(&mut tx, records).await?;
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

    /// Deletes some of what is older, of all nodes: how many. Call it until it is 0. Several may do it at a time.
    pub async fn sweep_audit(&self, before_ms: i64) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM tg_audit WHERE (node, seq) IN \
            (SELECT node, seq FROM tg_audit WHERE time_ms < $1 ORDER BY time_ms LIMIT $2)";
        const POSTGRES: &str = "WITH picked AS MATERIALIZED \
            (SELECT node, seq FROM tg_audit WHERE time_ms < $1 ORDER BY time_ms LIMIT $2 FOR UPDATE SKIP LOCKED) \
            DELETE FROM tg_audit WHERE (node, seq) IN (SELECT node, seq FROM picked)";
        self.within("sweep audit records", async {
            let mut tx = self.write().await?;
            let sql = tx.either(SQL, POSTGRES);
            let gone = tx.run(sql, args![before_ms, MAX_SWEEP]).await?;
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }

    /// Deletes some of a node's records from this number on, so that its journal can be read in again: how many. Call it until it is 0; then the
    /// node goes on from there. Those before stay: nobody else may have them any more.
    pub async fn forget_audit(&self, node: &str, from: i64) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM tg_audit WHERE node = $1 AND seq IN \
            (SELECT seq FROM tg_audit WHERE node = $1 AND seq >= $2 ORDER BY seq LIMIT $3)";
        const BACK: &str = "UPDATE tg_audit_nodes SET seq = $2 - 1 WHERE node = $1 AND seq >= $2";
        self.within("forget a node's audit records", async {
            let mut tx = self.write().await?;
            let gone = tx.run(SQL, args![node, from, MAX_SWEEP]).await?;
            if gone == 0 {
                tx.run(BACK, args![node, from]).await?;
                tx.run("DELETE FROM tg_audit_nodes WHERE node = $1 AND seq < 1", args![node]).await?;
            }
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }
}

/// Those that are there already are left as they are. How many were new.
pub(crate) async fn insert(tx: &mut Tx, records: &[AuditRecord]) -> Result<u64, StoreError> {
    let rows: Vec<Clean<'_>> = records.iter().map(AuditRecord::cleaned).collect();
    if let Tx::Postgres(_) = tx {
        let invalid = |error: serde_json::Error| StoreError::Invalid { what: "a record", why: error.to_string() };
        let batch = serde_json::to_string(&rows).map_err(invalid)?;
        return tx.run(POSTGRES, args![&batch]).await;
    }
    let (many, rest) = rows.as_chunks::<ROWS>();
    let mut new = 0;
    for rows in many {
        new += tx.run(&MANY, &rows.iter().flat_map(Clean::args).collect::<Vec<_>>()).await?;
    }
    for row in rest {
        new += tx.run(&ROW, &row.args()).await?;
    }
    Ok(new)
}

/// The statement for so many rows.
fn sqlite(rows: usize) -> String {
    let row = format!("({})", vec!["?"; COLUMNS].join(", "));
    format!(
        "INSERT INTO tg_audit (node, seq, segment, time_ms, kind, agent, server, method, subject, outcome, code, rule, policy, \
         latency_us, line) VALUES {} ON CONFLICT (node, seq) DO NOTHING",
        vec![row; rows].join(", ")
    )
}

fn bounded(records: &[AuditRecord]) -> Result<(), StoreError> {
    let bytes: usize = records.iter().map(|record| record.line.len()).sum();
    if records.len() > MAX_BATCH || bytes > MAX_BATCH_BYTES {
        let why =
            format!("of {} records and {bytes} bytes is more than {MAX_BATCH} and {MAX_BATCH_BYTES}", records.len());
        return Err(StoreError::Invalid { what: "a batch", why });
    }
    records.iter().try_for_each(|record| limits::id("the node", &record.node))
}

/// A record as it can be kept.
#[derive(Serialize)]
struct Clean<'r> {
    node: &'r str,
    seq: i64,
    segment: i64,
    time_ms: i64,
    kind: Cow<'r, str>,
    agent: Option<Cow<'r, str>>,
    server: Option<Cow<'r, str>>,
    method: Option<Cow<'r, str>>,
    subject: Option<Cow<'r, str>>,
    outcome: Option<Cow<'r, str>>,
    code: Option<Cow<'r, str>>,
    rule: Option<Cow<'r, str>>,
    policy: Option<Cow<'r, str>>,
    latency_us: Option<i64>,
    line: Cow<'r, str>,
}

const COLUMNS: usize = 15;

impl Clean<'_> {
    /// In the order of the statement's columns.
    fn args(&self) -> [Arg<'_>; COLUMNS] {
        [
            self.node.into(),
            self.seq.into(),
            self.segment.into(),
            self.time_ms.into(),
            (&*self.kind).into(),
            self.agent.as_deref().into(),
            self.server.as_deref().into(),
            self.method.as_deref().into(),
            self.subject.as_deref().into(),
            self.outcome.as_deref().into(),
            self.code.as_deref().into(),
            self.rule.as_deref().into(),
            self.policy.as_deref().into(),
            self.latency_us.into(),
            (&*self.line).into(),
        ]
    }
}

impl AuditRecord {
    /// A record that says something odd is kept all the same: a journal must not get stuck at it.
    fn cleaned(&self) -> Clean<'_> {
        fn short(text: Option<&String>) -> Option<Cow<'_, str>> {
            text.map(|text| cut(text, MAX_NOTE))
        }
        Clean {
            node: &self.node,
            seq: self.seq,
            segment: self.segment,
            time_ms: self.time_ms,
            kind: cut(&self.kind, MAX_ID),
            agent: short(self.agent.as_ref()),
            server: short(self.server.as_ref()),
            method: short(self.method.as_ref()),
            subject: short(self.subject.as_ref()),
            outcome: short(self.outcome.as_ref()),
            code: short(self.code.as_ref()),
            rule: short(self.rule.as_ref()),
            policy: short(self.policy.as_ref()),
            latency_us: self.latency_us,
            line: cut(&self.line, usize::MAX),
        }
    }
}

/// The beginning of a text, without NUL, which PostgreSQL does not keep.
fn cut(text: &str, max: usize) -> Cow<'_, str> {
    let text = text.get(..text.floor_char_boundary(max)).unwrap_or_default();
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
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
