//! How a person consents to a call: who may, how many must, and for how long anyone waits. Asks nobody itself.

use std::num::NonZeroU32;
use std::time::Duration;

/// What a rule says of the approval that it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Names of people or groups; empty where anybody who may approve at all may approve this.
    pub approvers: Vec<String>,
    pub quorum: NonZeroU32,
    /// Whether the one who asks may be among them.
    pub self_approval: bool,
    /// When the request for approval expires.
    pub timeout: Duration,
    /// How long a call may stay open, waiting.
    pub hold: Duration,
}

impl Default for Approval {
    fn default() -> Self {
        let (timeout, hold) = (Duration::from_secs(15 * 60), Duration::from_secs(45));
        Self { approvers: Vec::new(), quorum: NonZeroU32::MIN, self_approval: false, timeout, hold }
    }
}
