//! The approvals section: where people decide, and how they are told. How many calls may wait for them is in `live.rs`.

use url::Url;

use super::layers::Layers;
use super::notify::{self, Notify};
use super::settings::Settings;
use super::value;

#[derive(Clone, Debug)]
pub struct Approvals {
    /// What people call the admin listener. None: its own address.
    pub url: Option<Url>,
    /// Who is told that a call waits.
    pub notify: Vec<Notify>,
}

impl Approvals {
    pub(super) fn read(settings: &mut Settings, layers: &Layers) -> Self {
        Self {
            url: settings.read("approvals.url", None, "a URL such as \"https://toolgate.example.com\", or \"\"", base),
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
