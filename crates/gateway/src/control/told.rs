//! What those who manage it do is on record, and what happens can be heard.

use super::Control;
use crate::act::Act;
use crate::events::Ear;

/// How the journal is doing.
#[derive(Clone, Debug)]
pub struct AuditStatus {
    /// Records that wait to be written.
    pub waiting: u64,
    /// Records of what had happened that found no room. Anything but 0 is an alarm.
    pub lost: u64,
    /// Why nothing can be written.
    pub trouble: Option<String>,
}

/// Why an act is not on record, and must not be done.
#[derive(Debug, thiserror::Error)]
pub enum NotRecorded {
    #[error(transparent)]
    Journal(#[from] journal::NotWritten),
    #[error("the gateway has ended")]
    Ended,
}

impl Control {
    /// What an admin does, on record, and heard by those who listen. It may be done when this returns, and not before.
    pub async fn record(&self, act: Act<'_>) -> Result<(), NotRecorded> {
        let shared = self.0.shared().ok_or(NotRecorded::Ended)?;
        shared.audit.act(&act).await?;
        shared.events.acted(&act);
        Ok(())
    }

    /// Decisions and changes from here on; none when the gateway has ended.
    pub fn listen(&self) -> Option<Ear> {
        Some(self.0.shared()?.events.listen())
    }

    /// None where nothing is recorded.
    pub fn audit_status(&self) -> Option<AuditStatus> {
        let (status, lost) = self.0.shared()?.audit.status()?;
        Some(AuditStatus { waiting: status.waiting as u64, lost, trouble: status.trouble })
    }
}
