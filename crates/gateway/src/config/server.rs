//! The servers section: our name for each upstream, how it is reached, its policy, and the headers only it may see.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;
use serde_json::Value;

use super::command::{self, Command};
use super::credentials::{self, Credentials};
use super::error::Problem;
use super::headers::{self, UpstreamHeaders};
use super::layers::Layers;
use super::origin::Origin;
use super::reach::{self, Reach};
use super::settings::{Entry, Settings};
use super::value::{self, Written};
use crate::guard;

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
    pub target: Target,
    pub policy: PolicySource,
    pub headers: UpstreamHeaders,
    pub credentials: Credentials,
    pub reach: Reach,
    /// Where it is described; for people.
    pub(crate) place: Box<str>,
    /// Its description without `policy`; what may be a secret is masked.
    pub(crate) written: Value,
}

/// Where a server is.
#[derive(Clone)]
pub enum Target {
    Url(Uri),
    /// A program that is spoken to over its stdin and stdout.
    Command(Box<Command>),
    /// In this process: the Azure OpenAI fine-tuning tools.
    Finetuning(Box<finetuning_server::Settings>),
}

/// Where a policy is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicySource {
    /// Absolute, though the file need not exist.
    File(PathBuf),
    /// One that comes with the program.
    BuiltIn { name: &'static str, text: &'static str },
    /// One that is known by its name: the store's, or a file's that some server in a file names.
    Named(String),
    /// None: every call is denied.
    Missing,
}

/// What says which policy a server has.
pub(super) enum Binds {
    /// Its own `policy`.
    Own,
    To(PolicySource),
}

impl PolicySource {
    /// What the fine-tuning tools are guarded by, unless the operator writes another.
    pub const FINETUNING: Self = Self::BuiltIn {
        name: "policies/azure-ai-foundry/policy.json (built in)",
        text: include_str!("../../../../policies/azure-ai-foundry/policy.json"),
    };
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("target", &self.target)
            .field("policy", &self.policy)
            .field("headers", &self.headers)
            .field("credentials", &self.credentials)
            .field("reach", &self.reach)
            .finish()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&value::mask_url(&url.to_string())),
            Self::Command(command) => command.fmt(f),
            Self::Finetuning(_) => f.write_str(FINETUNING),
        }
    }
}

/// The name of the fine-tuning tools: as what is built in, and as a server when nothing is configured.
pub(super) const FINETUNING: &str = "azure-finetuning";

pub(super) fn read_all(settings: &mut Settings, layers: &Layers) -> BTreeMap<ServerId, Server> {
    let mut servers = BTreeMap::new();
    for name in settings.names(&["servers"]) {
        let origin = settings.origin(&["servers", &name]);
        let server = read_one(&name, settings, layers, &Binds::Own);
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

pub(super) fn read_one(name: &str, settings: &mut Settings, layers: &Layers, binds: &Binds) -> Option<Server> {
    let place = settings.origin(&["servers", name]).to_string().into();
    let mut written = settings.written(&["servers", name]);
    if let Some(written) = written.as_object_mut() {
        written.remove("policy");
    }
    let headers = headers::read(&["servers", name, "headers"], settings, layers);
    let credentials = credentials::read(name, &headers, settings, layers);
    let (target, policy, headers, reach) = read_parts(name, settings, layers, headers, binds)?;
    if credentials.are_any() && !matches!(target, Target::Url(_)) {
        let reason = "is no server that is reached by `url`, which `oauth` and `agents` are for".to_owned();
        let origin = settings.origin(&["servers", name]);
        settings.problem(Problem::Unusable { key: format!("servers.{name}"), reason, origin });
    }
    Some(Server { target, policy, headers, credentials, reach, place, written })
}

type Parts = (Target, PolicySource, UpstreamHeaders, Reach);

fn read_parts(
    name: &str,
    settings: &mut Settings,
    layers: &Layers,
    headers: UpstreamHeaders,
    binds: &Binds,
) -> Option<Parts> {
    let path = ["servers", name, "catalog"];
    let origin = settings.origin(&path);
    if !settings.take_below(&path).is_empty() {
        settings.problem(Problem::NotYet { written: path.join("."), origin });
    }
    let command = command::read(name, settings, layers);
    match (settings.take(&["servers", name, "builtin"]), command) {
        (Some(entry), command) => {
            if let Some(command) = command {
                exclusive(name, "command", "`builtin`", command.origin, settings);
            }
            read_builtin(name, &entry, settings, layers, headers, binds)
        }
        (None, Some(command)) => read_command(name, command, settings, &headers, binds),
        (None, None) => {
            let url = read_url(name, settings);
            let reach = reach::read(name, url.as_ref(), settings);
            let policy = read_policy(name, settings, binds);
            Some((Target::Url(url?.0), policy?, headers, reach))
        }
    }
}

fn exclusive(name: &str, key: &str, other: &str, origin: Origin, settings: &mut Settings) {
    let reason = format!("cannot be beside {other}: a server is reached one way");
    settings.problem(Problem::Unusable { key: format!("servers.{name}.{key}"), reason, origin });
}

fn read_command(
    name: &str,
    command: command::Found,
    settings: &mut Settings,
    headers: &UpstreamHeaders,
    binds: &Binds,
) -> Option<Parts> {
    if let Some(url) = settings.take(&["servers", name, "url"]) {
        exclusive(name, "url", "`command`", url.origin, settings);
    }
    if headers.iter().next().is_some() {
        let reason = "is a program, which takes no `headers`: what it needs to know goes into `env`".to_owned();
        let key = format!("servers.{name}.command");
        settings.problem(Problem::Unusable { key, reason, origin: command.origin });
    }
    let policy = read_policy(name, settings, binds)?;
    let target = Target::Command(Box::new(command.command?));
    Some((target, policy, UpstreamHeaders::default(), Reach::default()))
}

fn read_builtin(
    name: &str,
    builtin: &Entry,
    settings: &mut Settings,
    layers: &Layers,
    headers: UpstreamHeaders,
    binds: &Binds,
) -> Option<Parts> {
    let key = format!("servers.{name}.builtin");
    let url = settings.take(&["servers", name, "url"]);
    if let Some(origin) = url.map(|entry| entry.origin).or(headers.iter().next().map(|_| builtin.origin.clone())) {
        let reason = "is in this process: it takes neither `url` nor `headers`".to_owned();
        settings.problem(Problem::Unusable { key: key.clone(), reason, origin });
    }
    let policy = match settings.names(&["servers", name]).iter().any(|below| below == "policy") {
        false => Some(PolicySource::FINETUNING),
        true => read_policy(name, settings, binds),
    };
    if !matches!(&builtin.value, Written::Text(text) if text == FINETUNING) {
        let path = ["servers", name, "builtin"].map(str::to_owned);
        settings.invalid(&path, &builtin.value, "\"azure-finetuning\"", builtin.origin.clone());
        return None;
    }
    match finetuning(&layers.env) {
        Ok(target) => Some((target, policy?, UpstreamHeaders::default(), Reach::default())),
        Err(reason) => {
            settings.problem(Problem::Unusable { key, reason, origin: builtin.origin.clone() });
            None
        }
    }
}

/// The fine-tuning tools, as the environment describes the service behind them.
pub(super) fn finetuning(env: &[(OsString, OsString)]) -> Result<Target, String> {
    let settings = finetuning_server::Settings::from_env(env.iter().cloned());
    let settings = settings.map_err(|error| format!("cannot be used: {}", crate::policies::chain(&error)))?;
    Ok(Target::Finetuning(Box::new(settings)))
}

fn read_url(name: &str, settings: &mut Settings) -> Option<(Uri, Origin)> {
    let url = required(
        settings,
        name,
        "url",
        "the server's address such as \"https://mcp.example.com/mcp\" (or a `command`)",
    );
    url.and_then(|(text, origin)| match upstream_url(&text) {
        Ok(url) => Some((url, origin)),
        Err(reason) => {
            settings.problem(Problem::Unusable { key: format!("servers.{name}.url"), reason, origin });
            None
        }
    })
}

/// `policy = "PATH"`, or `policy = { name = "NAME" }` for one that the store has.
fn read_policy(name: &str, settings: &mut Settings, binds: &Binds) -> Option<PolicySource> {
    if let Binds::To(source) = binds {
        return Some(source.clone());
    }
    let path = ["servers", name, "policy", "name"];
    match settings.take(&path) {
        Some(Entry { value: Written::Text(name), .. }) if !name.is_empty() => Some(PolicySource::Named(name)),
        Some(entry) => {
            settings.invalid(&path.map(str::to_owned), &entry.value, "the name of a policy in the store", entry.origin);
            None
        }
        None => {
            let found = required(settings, name, "policy", "the path of a policy file");
            found.and_then(|found| policy_file(name, settings, found))
        }
    }
}

fn policy_file(name: &str, settings: &mut Settings, (path, origin): (String, Origin)) -> Option<PolicySource> {
    match origin.resolve(&path) {
        Ok(path) => Some(PolicySource::File(path)),
        Err(e) => {
            settings.problem(Problem::Unusable {
                key: format!("servers.{name}.policy"),
                reason: format!("cannot be made absolute: {e}"),
                origin,
            });
            None
        }
    }
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

pub(crate) fn upstream_url(text: &str) -> Result<Uri, String> {
    if text.contains('#') {
        return Err("must not have a fragment".to_owned());
    }
    let url: Uri = text.parse().map_err(|_| "is not a URL".to_owned())?;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Err("must not hold user information: use `headers`".to_owned())
        }
        (Some("http" | "https"), Some(authority)) if !authority.host().is_empty() => {
            guard::host(authority.host())?;
            Ok(url)
        }
        _ => Err("must be an absolute http or https URL".to_owned()),
    }
}
