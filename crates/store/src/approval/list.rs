//! Approvals for people: the newest first, a page at a time.

use super::{Approval, ApprovalState, read, select};
use crate::limits::{self, MAX_APPROVALS_PAGE};
use crate::sql::args;
use crate::{Page, Store, StoreError};

/// All that is set must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// As it is kept: see [`Approval::state`].
    pub state: Option<ApprovalState>,
    pub agent: Option<String>,
    pub server: Option<String>,
}

/// The first condition decides which index is read.
macro_rules! list {
    ($first:literal) => {
        select!($first, " AND (created_ms, id) < ($4, $5) ORDER BY created_ms DESC, id DESC LIMIT $6")
    };
}

impl ApprovalFilter {
    fn sql(&self) -> &'static str {
        match (&self.agent, &self.server, self.state) {
            (Some(_), _, _) => list!("agent = $1 AND ($2 IS NULL OR server = $2) AND ($3 IS NULL OR state = $3)"),
            (None, Some(_), _) => list!("$1 IS NULL AND server = $2 AND ($3 IS NULL OR state = $3)"),
            (None, None, Some(_)) => list!("$1 IS NULL AND $2 IS NULL AND state = $3"),
            (None, None, None) => list!("$1 IS NULL AND $2 IS NULL AND $3 IS NULL"),
        }
    }
}

impl Store {
    /// `after` is what the last page gave as `next`.
    pub async fn approvals(
        &self,
        filter: &ApprovalFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Approval>, StoreError> {
        let size = limits::page(limit.min(MAX_APPROVALS_PAGE));
        let (time, id) = cursor(after)?;
        let state = filter.state.map(ApprovalState::as_str);
        let args = args![filter.agent.as_deref(), filter.server.as_deref(), state, time, id, size as i64 + 1];
        let rows = self.ask("list approvals", filter.sql(), args).await?;
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, size, |approval: &Approval| place(approval.created_ms, &approval.id)))
    }
}

/// The place of a row in the order of time, as text that is safe in a URL if the id is.
pub(super) fn place(created_ms: i64, id: &str) -> String {
    format!("{created_ms}.{id}")
}

pub(super) fn cursor(after: Option<&str>) -> Result<(i64, &str), StoreError> {
    let Some(after) = after else { return Ok((i64::MAX, "")) };
    let read = || {
        let (time, id) = after.split_once('.')?;
        Some((time.parse().ok()?, id))
    };
    read().ok_or_else(|| StoreError::Invalid { what: "the cursor", why: "is not one of ours".to_owned() })
}
