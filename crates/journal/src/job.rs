//! A record on its way to the file.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::journal::NotWritten;

/// The longest record, in bytes.
pub(crate) const MAX_RECORD: usize = 1 << 20;

/// The record's number, or why it was not written.
pub(crate) type Written = Result<u64, Arc<io::Error>>;

pub(crate) struct Job {
    /// None for who only wants to know when all before it is written.
    record: Option<String>,
    /// None for who does not wait.
    pub(crate) done: Option<oneshot::Sender<Written>>,
}

impl Job {
    /// Of a JSON object on one line.
    pub(crate) fn of(record: String, done: Option<oneshot::Sender<Written>>) -> Result<Self, NotWritten> {
        let inner = inner(&record);
        let lawful =
            !inner.is_empty() && inner.len() <= MAX_RECORD && memchr::memchr2(b'\n', b'\r', inner.as_bytes()).is_none();
        if lawful { Ok(Self { record: Some(record), done }) } else { Err(NotWritten::Unwritable) }
    }

    pub(crate) fn mark(done: oneshot::Sender<Written>) -> Self {
        Self { record: None, done: Some(done) }
    }

    /// What stands between the braces.
    pub(crate) fn members(&self) -> Option<&str> {
        self.record.as_deref().map(inner)
    }
}

fn inner(record: &str) -> &str {
    record.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
}
