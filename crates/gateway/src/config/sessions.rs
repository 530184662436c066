//! The sessions section: where legacy sessions are kept, for one node or for many.

use std::time::Duration;

use super::settings::Settings;
use super::{MILLISECOND, SECOND, prefix, redis};

#[derive(Clone, Debug)]
pub struct Sessions {
    /// None: in memory, each node its own.
    pub store: Option<redis_link::Address>,
    /// How long a request waits for the store.
    pub timeout: Duration,
    /// What our keys and channels in the store start with.
    pub prefix: redis_link::Prefix,
}

impl Sessions {
    pub(super) fn read(settings: &mut Settings) -> Self {
        Self {
            store: redis(settings, "sessions.store"),
            timeout: settings.span("sessions.timeout", MILLISECOND..=10 * SECOND),
            prefix: prefix(settings, "sessions.prefix"),
        }
    }
}
