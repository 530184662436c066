//! The approvals section: where people decide, how many calls may wait for them, and how long what they said is kept.

use std::num::NonZeroUsize;
use std::time::Duration;

use url::Url;

use super::layers::Layers;
use super::notify::{self, Notify};
use super::settings::Settings;
use super::{DAY, HOUR, KIB, MIB, value};

#[derive(Clone, Debug)]
pub struct Approvals {
    /// What people call the admin listener. None: its own address.
    pub url: Option<Url>,
    /// Calls that may wait, of one agent and to one server.
    pub pending_per_agent: NonZeroUsize,
    pub pending_per_server: NonZeroUsize,
    /// How many approvals an agent may ask for within an hour.
    pub asks_per_hour: NonZeroUsize,
    /// Bytes of arguments that a person is shown: calls with larger ones cannot be approved.
    pub arguments: usize,
    /// How long an approval is kept after it is over.
    pub keep: Duration,
    /// Rounds that one approved call may take.
    pub rounds: NonZeroUsize,
    /// Who is told that a call waits.
    pub notify: Vec<Notify>,
}

impl Approvals {
    pub(super) fn read(settings: &mut Settings, layers: &Layers) -> Self {
        Self {
            url: settings.read("approvals.url", None, "a URL such as \"https://toolgate.example.com\", or \"\"", base),
            pending_per_agent: settings.count("approvals.pending_per_agent", 10_000),
            pending_per_server: settings.count("approvals.pending_per_server", 100_000),
            asks_per_hour: settings.count("approvals.asks_per_hour", 1_000_000),
            arguments: settings.bytes("approvals.arguments", KIB..=MIB),
            keep: settings.span("approvals.keep", HOUR..=3_660 * DAY),
            rounds: settings.count("approvals.rounds", 1_000),
            notify: notify::read_all(settings, layers),
        }
    }
}

/// Nothing for an empty text. What is below the path stays below it.
fn base(found: &value::Written) -> Option<Option<Url>> {
    let text = value::text(found)?;
    if text.is_empty() {
        return Some(None);
    }
    let url: Url = text.parse().ok()?;
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    (plain && url.has_host() && matches!(url.scheme(), "http" | "https")).then_some(Some(url))
}
