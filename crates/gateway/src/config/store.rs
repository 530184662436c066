//! The store section: where that is kept which the admin API manages, how long its last word counts, what it may never say, and the key
//! of what is secret in it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::Problem;
use super::layers::Layers;
use super::settings::{Entry, Settings};
use super::{DAY, SECOND, headers, tls, value};
use crate::vault::Vault;

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
    /// Of secrets that are kept, and of what clients carry for us; all nodes have the same. None: nothing secret is kept, and what clients
    /// carry is for the process that gave it out.
    pub key: Option<Arc<Vault>>,
    /// A file of keys that every user of this machine can read.
    pub(crate) exposed_key: Option<PathBuf>,
}

/// May hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// May several nodes share it?
    pub(crate) fn is_for_many(&self) -> bool {
        !self.0.starts_with(SQLITE)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&value::mask_url(&self.0))
    }
}

impl Store {
    pub(super) fn read(settings: &mut Settings, layers: &Layers) -> Self {
        let (key, exposed_key) = key(settings, layers).unzip();
        Self {
            key,
            exposed_key: exposed_key.flatten(),
            url: url(settings, layers),
            stale: settings.span("store.stale", SECOND..=DAY),
            commands: settings.read("store.commands", false, "true or false", value::flag),
        }
    }
}

/// `{ file = "…" }` or `{ env = "…" }`: a key to other secrets does not stand among them.
fn key(settings: &mut Settings, layers: &Layers) -> Option<(Arc<Vault>, Option<PathBuf>)> {
    let found = settings.take_below(&["store", "key"]);
    let origin = found.first()?.1.origin.clone();
    let read = match &found[..] {
        [(rest, entry)] => match &rest[..] {
            [place] if place == "file" || place == "env" => vault(entry, place, layers),
            _ => Err(PLACES.to_owned()),
        },
        _ => Err(PLACES.to_owned()),
    };
    read.map_err(|reason| settings.problem(Problem::Unusable { key: "store.key".to_owned(), reason, origin })).ok()
}

const PLACES: &str = "must be one `{ file = \"…\" }` or one `{ env = \"…\" }`, and never the key itself";

/// The error is the reason, and never the key.
fn vault(entry: &Entry, place: &str, layers: &Layers) -> Result<(Arc<Vault>, Option<PathBuf>), String> {
    let text = headers::secret(entry, Some(place), layers)?;
    let vault = Vault::read(&text).map_err(|bad| format!("cannot be used: each line {bad}"))?;
    Ok((Arc::new(vault), exposed(entry, place)))
}

fn exposed(entry: &Entry, place: &str) -> Option<PathBuf> {
    let path = value::text(&entry.value).filter(|_| place == "file")?;
    entry.origin.resolve(path).ok().filter(|path| tls::is_exposed(path))
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
