//! Headers that only one upstream may see, usually its credentials: written as they are, or as the file or variable that holds them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr as _;

use http::{HeaderName, HeaderValue};

use super::error::Problem;
use super::layers::{Layers, read_text};
use super::origin::Origin;
use super::settings::{Entry, Settings};
use super::value::{self, Written};

/// Static headers for one upstream, usually its credentials. `Debug` shows their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UpstreamHeaders(Vec<(HeaderName, HeaderValue)>);

impl UpstreamHeaders {
    /// A token for a server of our own.
    pub(crate) fn bearer(token: &str) -> Result<Self, http::header::InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        value.set_sensitive(true);
        Ok(Self(vec![(http::header::AUTHORIZATION, value)]))
    }

    pub(super) fn extend(&mut self, more: &Self) {
        self.0.extend(more.0.iter().cloned());
    }

    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl fmt::Debug for UpstreamHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, _)| (name, "***"))).finish()
    }
}

/// One way to write one header. Several may name the same header, in different layers or spellings.
struct Spelling {
    name: String,
    /// `file` or `env`; none for the value itself.
    place: Option<String>,
    entry: Entry,
}

/// The table of headers at `at`, such as `servers.ID.headers`.
pub(super) fn read(at: &[&str], settings: &mut Settings, layers: &Layers) -> UpstreamHeaders {
    let path =
        |rest: &[String]| at.iter().map(|part| (*part).to_owned()).chain(rest.iter().cloned()).collect::<Vec<_>>();
    let mut by_name: BTreeMap<String, Spelling> = BTreeMap::new();
    for (rest, entry) in settings.take_below(at) {
        let mut rest = rest.into_iter();
        let (name, place, deeper) = (rest.next(), rest.next(), rest.next());
        let Some(name) = name else {
            // `headers = {}`, or something that is no table.
            if !matches!(entry.value, Written::Table) {
                settings.invalid(&path(&[]), &entry.value, "a table", entry.origin);
            }
            continue;
        };
        let known_place = matches!(place.as_deref(), None | Some("file" | "env"));
        if !known_place || deeper.is_some() {
            let rest: Vec<String> = [Some(name), place, deeper].into_iter().flatten().collect();
            settings.unknown(&path(&rest), entry.origin);
            continue;
        }
        let written = Spelling { name, place, entry };
        match by_name.get(&written.name.to_ascii_lowercase()) {
            Some(other) if other.entry.origin.layer() == written.entry.origin.layer() => {
                settings.problem(Problem::Unusable {
                    key: format!("{}.{}", at.join("."), written.name),
                    reason: "is written twice: give the value, or one of `file` and `env`".to_owned(),
                    origin: written.entry.origin,
                });
            }
            Some(other) if other.entry.origin > written.entry.origin => {}
            Some(_) | None => {
                by_name.insert(written.name.to_ascii_lowercase(), written);
            }
        }
    }

    let mut headers = Vec::new();
    for written in by_name.into_values() {
        let origin = written.entry.origin.clone();
        let key = format!("{}.{}", at.join("."), written.name);
        match header(written, layers) {
            Ok(header) => headers.push(header),
            Err(reason) => settings.problem(Problem::Unusable { key, reason, origin }),
        }
    }
    UpstreamHeaders(headers)
}

/// The error is the reason, and never the value.
fn header(written: Spelling, layers: &Layers) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_str(&written.name).map_err(|_| "is not a header name".to_owned())?;
    if is_ours(&name) {
        return Err("is a header that the gateway writes itself".to_owned());
    }
    let secret = secret(&written.entry, written.place.as_deref(), layers)?;
    let mut secret = HeaderValue::try_from(secret).map_err(|_| "holds a character that no header may have")?;
    secret.set_sensitive(true);
    Ok((name, secret))
}

/// The value itself, or what is in the `file` or the variable (`env`) that it names.
pub(super) fn secret(entry: &Entry, place: Option<&str>, layers: &Layers) -> Result<String, String> {
    let expected = match entry.origin == Origin::Store {
        true => "must be a string",
        false => "must be a string, `{ file = \"…\" }` or `{ env = \"…\" }`",
    };
    let text = value::text(&entry.value).ok_or(expected)?;
    let secret = match place {
        Some("file") => {
            let path = entry.origin.resolve(text).map_err(|e| e.to_string())?;
            let secret = read_text(&path).map_err(|e| format!("cannot be read from `{}`: {e}", path.display()))?;
            secret.trim_end_matches(['\r', '\n']).to_owned()
        }
        Some(_) => {
            let variable = layers.variable(text);
            variable.ok_or_else(|| format!("needs the variable `{text}`, which is not set"))?.to_owned()
        }
        None => text.to_owned(),
    };
    if secret.is_empty() { Err("is empty".to_owned()) } else { Ok(secret) }
}

/// What frames the message or speaks the protocol is written by the gateway alone.
fn is_ours(name: &HeaderName) -> bool {
    const OURS: [&str; 14] = [
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "last-event-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    OURS.contains(&name.as_str()) || name.as_str().starts_with("mcp-")
}
