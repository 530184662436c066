//! The servers section: our name for each upstream, its address, its policy, and the headers only it may see.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;

use super::error::Problem;
use super::headers::{self, UpstreamHeaders};
use super::layers::Layers;
use super::origin::Origin;
use super::settings::{Entry, Settings};
use super::value::{self, Written};

/// Our own name for an upstream: `[a-z0-9][a-z0-9_-]*`, at most 64 bytes. `__` separates server and tool in aggregated names, so
/// it may not occur, nor be formed at the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(Box<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to 64 of `a-z`, `0-9`, `_` and `-`, start with a letter or digit, not end in `_`, and not contain `__`"
)]
pub struct InvalidServerId;

impl ServerId {
    const MAX: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerId {
    type Err = InvalidServerId;

    fn from_str(text: &str) -> Result<Self, InvalidServerId> {
        let lawful = text.len() <= Self::MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
            && !text.contains("__")
            && !text.ends_with('_');
        if lawful { Ok(Self(text.into())) } else { Err(InvalidServerId) }
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone)]
pub struct Server {
    pub url: Uri,
    /// Absolute, though the file need not exist.
    pub policy: PathBuf,
    pub headers: UpstreamHeaders,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("url", &value::mask_url(&self.url.to_string()))
            .field("policy", &self.policy)
            .field("headers", &self.headers)
            .finish()
    }
}

pub(super) fn read_all(settings: &mut Settings, layers: &Layers) -> BTreeMap<ServerId, Server> {
    let mut servers = BTreeMap::new();
    for name in settings.names(&["servers"]) {
        let origin = settings.origin(&["servers", &name]);
        let server = read_one(&name, settings, layers);
        match name.parse() {
            Ok(id) => {
                servers.extend(server.map(|server| (id, server)));
            }
            Err(invalid) => settings.problem(Problem::Unusable {
                key: format!("servers.{name}"),
                reason: format!("is not a server id: it {invalid}"),
                origin,
            }),
        }
    }
    servers
}

fn read_one(name: &str, settings: &mut Settings, layers: &Layers) -> Option<Server> {
    for later in ["command", "builtin", "catalog"] {
        let path = ["servers", name, later];
        let origin = settings.origin(&path);
        if !settings.take_below(&path).is_empty() {
            settings.problem(Problem::NotYet { written: path.join("."), origin });
        }
    }
    let headers = headers::read(name, settings, layers);
    let url = required(settings, name, "url", "the server's address such as \"https://mcp.example.com/mcp\"");
    let url = url.and_then(|(text, origin)| match upstream_url(&text) {
        Ok(url) => Some(url),
        Err(reason) => {
            settings.problem(Problem::Unusable {
                key: format!("servers.{name}.url"),
                reason: reason.to_owned(),
                origin,
            });
            None
        }
    });
    let policy = required(settings, name, "policy", "the path of a policy file");
    let policy = policy.and_then(|(path, origin)| match origin.resolve(&path) {
        Ok(path) => Some(path),
        Err(e) => {
            settings.problem(Problem::Unusable {
                key: format!("servers.{name}.policy"),
                reason: format!("cannot be made absolute: {e}"),
                origin,
            });
            None
        }
    });
    Some(Server { url: url?, policy: policy?, headers })
}

fn required(settings: &mut Settings, name: &str, key: &str, expected: &'static str) -> Option<(String, Origin)> {
    let path = ["servers", name, key];
    match settings.take(&path) {
        Some(Entry { value: Written::Text(text), origin }) if !text.is_empty() => Some((text, origin)),
        Some(entry) => {
            let path = path.map(str::to_owned);
            settings.invalid(&path, &entry.value, expected, entry.origin);
            None
        }
        None => {
            settings.problem(Problem::Missing { key: path.join("."), expected });
            None
        }
    }
}

fn upstream_url(text: &str) -> Result<Uri, &'static str> {
    if text.contains('#') {
        return Err("must not have a fragment");
    }
    let url: Uri = text.parse().map_err(|_| "is not a URL")?;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Err("must not hold user information: use `headers`")
        }
        (Some("http" | "https"), Some(authority)) if !authority.host().is_empty() => Ok(url),
        _ => Err("must be an absolute http or https URL"),
    }
}
