//! How severe a log message is, and how severe it must be for a request to be told.

/// The severities of RFC 5424, mildest first.
const NAMES: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// A severity: a place in that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Level(usize);

impl Level {
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMES.iter().position(|known| *known == name).map(Self)
    }

    pub(super) fn as_str(self) -> &'static str {
        NAMES.get(self.0).copied().unwrap_or("emergency")
    }
}
