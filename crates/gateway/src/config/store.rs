//! The store section: where that is kept which the admin API manages, how long its last word counts, and what it may never say.

use std::fmt;
use std::time::Duration;

use super::error::Problem;
use super::layers::Layers;
use super::settings::Settings;
use super::{DAY, SECOND, value};

/// Where a database that is a file is.
const SQLITE: &str = "sqlite:";

#[derive(Clone, Debug)]
pub struct Store {
    /// None: there is no store, and all that there is stands in files.
    pub url: Option<StoreUrl>,
    /// How long what was read last stays in force when the store cannot be read.
    pub stale: Duration,
    /// May a server that the API manages be a program?
    pub commands: bool,
}

/// May hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&value::mask_url(&self.0))
    }
}

impl Store {
    pub(super) fn read(settings: &mut Settings, layers: &Layers) -> Self {
        Self {
            url: url(settings, layers),
            stale: settings.span("store.stale", SECOND..=DAY),
            commands: settings.read("store.commands", false, "true or false", value::flag),
        }
    }
}

fn url(settings: &mut Settings, layers: &Layers) -> Option<StoreUrl> {
    let origin = settings.origin(&["store", "url"]);
    let expected = "\"sqlite:PATH\", \"postgres://…\", or \"\" for no store";
    let url = settings.read("store.url", String::new(), expected, |found| {
        let url = value::text(found)?;
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        let file = url.strip_prefix(SQLITE).is_some_and(|path| !path.is_empty());
        (url.is_empty() || known || file).then(|| url.to_owned())
    });
    match url.strip_prefix(SQLITE) {
        _ if url.is_empty() => None,
        None => Some(StoreUrl(url)),
        Some(path) => match layers.beside(&origin, path) {
            Ok(path) => Some(StoreUrl(format!("{SQLITE}{}", path.display()))),
            Err(error) => {
                let reason = format!("cannot be made absolute: {error}");
                settings.problem(Problem::Unusable { key: "store.url".to_owned(), reason, origin });
                None
            }
        },
    }
}
