//! The records in the store: asked there, and read in again from the journal, which is the truth.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;
use store::{AuditPage, AuditQuery, Store, StoreError};

use crate::audit::{AuditError, Source, node};
use crate::config;
use crate::trail::Filter;

/// Records that are asked for at once.
const PAGE: u32 = 200;

/// A store that is asked for records, or told them.
pub struct Index(Store);

#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the journal cannot be read")]
    Journal(#[from] std::io::Error),
    #[error("the journal has no name")]
    Name(#[from] AuditError),
    #[error("there is no journal: `audit.dir` is empty")]
    NoJournal,
    #[error("there is no record in `{0}`: what the store has stays as it is")]
    Empty(PathBuf),
}

/// What was read in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    pub records: u64,
    /// The number of the first of them: those before were left as they were.
    pub first: u64,
}

/// A record, and whose journal it is from.
#[derive(Clone, Debug)]
pub struct Found {
    pub node: String,
    pub record: Value,
}

impl Index {
    /// `url` is `store.url` of the configuration.
    pub async fn open(url: &str) -> Result<Self, IndexError> {
        Ok(Self(Store::open(url).await?))
    }

    /// The newest that are wanted, at most `limit`, the newest first.
    pub async fn query(&self, kind: Option<&str>, filter: &Filter, limit: usize) -> Result<Vec<Found>, IndexError> {
        let mut query = AuditQuery { kind: kind.map(str::to_owned), ..asked(filter) };
        let mut found = Vec::new();
        loop {
            let left = u32::try_from(limit - found.len()).unwrap_or(u32::MAX);
            let AuditPage { records, next } = self.0.audit(&query, left.clamp(1, PAGE)).await?;
            found.extend(
                records.into_iter().take(limit - found.len()).map(|kept| Found {
                    record: serde_json::from_str(&kept.line).unwrap_or_default(),
                    node: kept.node,
                }),
            );
            query.after = next;
            if query.after.is_none() || found.len() >= limit {
                return Ok(found);
            }
        }
    }

    /// Forgets what is known of this journal, and reads all of it in.
    ///
    /// INVARIANT: what is in the files no more is not forgotten: they were dropped since the store had it, and nobody else has.
    pub async fn rebuild(&self, audit: &config::Audit) -> Result<Rebuilt, IndexError> {
        let folder = audit.dir.as_deref().ok_or(IndexError::NoJournal)?;
        let node = node(&audit.node, folder)?;
        let first = journal::segments(folder)?.first().map(|segment| segment.first);
        let first = first.ok_or_else(|| IndexError::Empty(folder.to_owned()))?;
        // What is not on the disk may be written once more under the same number.
        sync(folder)?;
        while self.0.forget_audit(&node, first.cast_signed()).await? > 0 {}
        let mut source = Source::of(folder, &node, 0)?;
        let mut records = 0;
        loop {
            let batch = source.batch(u64::MAX)?;
            if batch.records.is_empty() {
                return Ok(Rebuilt { records, first });
            }
            self.0.insert_audit(&batch.records).await?;
            records += batch.records.len() as u64;
        }
    }
}

fn asked(filter: &Filter) -> AuditQuery {
    let Filter { agent, server, subject, outcome, code, since, until } = filter;
    let millis = |time: &SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    };
    AuditQuery {
        agent: agent.clone(),
        server: server.clone(),
        subject: subject.clone(),
        outcome: outcome.clone(),
        code: code.clone(),
        since_ms: since.as_ref().map(millis),
        until_ms: until.as_ref().map(millis),
        ..AuditQuery::default()
    }
}

fn sync(folder: &Path) -> std::io::Result<()> {
    journal::segments(folder)?.iter().try_for_each(|segment| std::fs::File::open(&segment.path)?.sync_all())
}
