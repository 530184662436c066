//! What was decided and done, as the journals of all nodes have it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{AuditCursor, AuditQuery, AuditRecord};
use utoipa::{IntoParams, ToSchema};

use crate::extract::Query;
use crate::here::State;
use crate::page::{DEFAULT_LIMIT, MAX_LIMIT, Page};
use crate::problem::Problem;
use crate::reply::{Body, time};

/// What to look for: all that is given must be so, exactly.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    node: Option<String>,
    /// Such as `decision`, `outcome`, `admin`
    kind: Option<String>,
    agent: Option<String>,
    server: Option<String>,
    method: Option<String>,
    /// The tool, prompt or resource
    subject: Option<String>,
    /// Such as `allowed`, `denied`, `refused`
    outcome: Option<String>,
    code: Option<String>,
    rule: Option<String>,
    /// A policy's hash
    policy: Option<String>,
    /// From this time on, as RFC 3339
    since: Option<String>,
    /// Before this time, as RFC 3339
    until: Option<String>,
    /// How many at most
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    cursor: Option<String>,
}

/// A record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordView {
    node: String,
    seq: i64,
    time: String,
    /// As it stands in the journal
    #[schema(value_type = Object)]
    record: Value,
}

/// How the journal of this gateway is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditStatus {
    /// Is anything recorded?
    on: bool,
    /// Records that wait to be written
    waiting: u64,
    /// Records that found no room. Anything but 0 is an alarm
    lost: u64,
    /// Why nothing can be written, and therefore nothing is let through
    trouble: Option<String>,
}

impl From<AuditRecord> for RecordView {
    fn from(record: AuditRecord) -> Self {
        let line = serde_json::from_str(&record.line).unwrap_or(Value::String(record.line));
        Self { node: record.node, seq: record.seq, time: time(record.time_ms), record: line }
    }
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let wrong = || Problem::invalid(name, "must be a time such as `2026-11-27T12:00:00Z`");
    let read = |text| {
        let time = humantime::parse_rfc3339_weak(text).ok()?;
        i64::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis()).ok()
    };
    text.map(|text| read(text).ok_or_else(wrong)).transpose()
}

/// Records, the newest first
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", operation_id = "query_audit", params(Wanted),
    responses((status = 200, body = Page<RecordView>)))]
pub(super) async fn query(here: State, Query(wanted): Query<Wanted>) -> Result<Body<Page<RecordView>>, Problem> {
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid("limit", format!("must be from 1 to {MAX_LIMIT}")));
    }
    let after = wanted.cursor.as_deref().map(str::parse::<AuditCursor>).transpose();
    let query = AuditQuery {
        since_ms: moment("since", wanted.since.as_deref())?,
        until_ms: moment("until", wanted.until.as_deref())?,
        after: after.map_err(|_| Problem::invalid("cursor", "is not one that was given out"))?,
        node: wanted.node,
        kind: wanted.kind,
        agent: wanted.agent,
        server: wanted.server,
        method: wanted.method,
        subject: wanted.subject,
        outcome: wanted.outcome,
        code: wanted.code,
        rule: wanted.rule,
        policy: wanted.policy,
    };
    let page = here.store.audit(&query, u32::try_from(limit).unwrap_or(u32::MAX)).await?;
    let items = page.records.into_iter().map(RecordView::from).collect();
    Ok(Body(Page { items, next: page.next.map(|next| next.to_string()) }))
}

/// How the journal of this gateway is doing
#[utoipa::path(get, path = "/api/v1/audit/status", tag = "audit", operation_id = "audit_status",
    responses((status = 200, body = AuditStatus)))]
pub(super) async fn status(here: State) -> Body<AuditStatus> {
    let status = here.control.audit_status();
    Body(match status {
        None => AuditStatus { on: false, waiting: 0, lost: 0, trouble: None },
        Some(status) => AuditStatus { on: true, waiting: status.waiting, lost: status.lost, trouble: status.trouble },
    })
}
