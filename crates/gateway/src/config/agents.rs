//! The agents section: who may come in by which tokens, what they may use, and what rules may know of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use super::Auth;
use super::error::Problem;
use super::origin::Origin;
use super::server::{PolicySource, Server, ServerId};
use super::settings::{Entry, Settings};
use super::value::{self, Written};

/// Our own name for an agent: 1 to 64 of `a-z`, `0-9`, `_`, `-`, `.` and `@`. Those that nobody knows are called `anonymous…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(Box<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 of `a-z`, `0-9`, `_`, `-`, `.` and `@`, and not begin with `anonymous`")]
pub struct InvalidAgentId;

impl AgentId {
    const MAX: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentId {
    type Err = InvalidAgentId;

    fn from_str(text: &str) -> Result<Self, InvalidAgentId> {
        let lawful = (1..=Self::MAX).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'@'))
            && !text.starts_with("anonymous");
        if lawful { Ok(Self(text.into())) } else { Err(InvalidAgentId) }
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug)]
pub struct Agent {
    pub labels: BTreeMap<String, String>,
    /// None: all.
    pub servers: Option<BTreeSet<ServerId>>,
    /// Instead of the server's own.
    pub policies: BTreeMap<ServerId, PolicySource>,
    pub tokens: Vec<Token>,
}

/// A token as far as it is written down.
#[derive(Clone, Debug)]
pub struct Token {
    pub sha256: [u8; 32],
    pub label: String,
    pub expires: Option<SystemTime>,
}

type Servers = BTreeMap<ServerId, Server>;

/// Labels of an agent, and tokens; characters of a label's key and value.
const MAX_LABELS: usize = 64;
const MAX_TOKENS: usize = 64;
const MAX_KEY: usize = 64;
const MAX_VALUE: usize = 256;

const TOKENS: &str = "a list such as [{ sha256 = \"…\", label = \"laptop\", expires = \"2027-01-01T00:00:00Z\" }]";

pub(super) fn read_all(settings: &mut Settings, auth: Auth, servers: &Servers) -> BTreeMap<AgentId, Agent> {
    let mut agents = BTreeMap::new();
    let whole = settings.origin(&["agents"]);
    for name in settings.names(&["agents"]) {
        let origin = settings.origin(&["agents", &name]);
        let agent = read_one(&name, settings, servers);
        match name.parse() {
            Ok(id) => _ = agents.insert(id, agent),
            Err(invalid) => {
                let invalid: InvalidAgentId = invalid;
                unusable(settings, format!("agents.{name}"), format!("is not an agent id: it {invalid}"), origin);
            }
        }
    }
    if auth == Auth::Anonymous && !agents.is_empty() {
        let reason = "has no effect while `auth.mode` is \"anonymous\", which lets in everybody: set it to \"tokens\"";
        unusable(settings, "agents".to_owned(), reason.to_owned(), whole.clone());
    }
    unique(settings, &agents, &whole);
    agents
}

fn read_one(name: &str, settings: &mut Settings, servers: &Servers) -> Agent {
    Agent {
        labels: labels(name, settings),
        servers: bound(name, settings, servers),
        policies: policies(name, settings, servers),
        tokens: tokens(name, settings),
    }
}

fn labels(name: &str, settings: &mut Settings) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let origin = settings.origin(&["agents", name, "labels"]);
    for (rest, Entry { value, origin }) in settings.take_below(&["agents", name, "labels"]) {
        let path = || below(name, "labels", &rest);
        match (rest.as_slice(), value::text(&value)) {
            ([], _) if matches!(value, Written::Table) => {}
            ([key], Some(text)) if is_key(key) && is_short(text) => _ = labels.insert(key.clone(), text.to_owned()),
            ([key], Some(_)) if !is_key(key) => {
                let reason = format!("is not a label's name: that is 1 to {MAX_KEY} of `a-z`, `0-9`, `_` and `-`");
                unusable(settings, path().join("."), reason, origin);
            }
            _ => {
                let expected = format!("a text of at most {MAX_VALUE} characters, without control characters");
                settings.invalid(&path(), &value, &expected, origin);
            }
        }
    }
    if labels.len() > MAX_LABELS {
        unusable(settings, format!("agents.{name}.labels"), format!("are more than {MAX_LABELS}"), origin);
    }
    labels
}

/// The same of labels that are said elsewhere. The error is the reason.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), String> {
    if labels.len() > MAX_LABELS {
        return Err(format!("has more than {MAX_LABELS} labels"));
    }
    match labels.iter().find(|(key, value)| !is_key(key) || !is_short(value)) {
        Some((key, _)) => Err(format!(
            "has a label `{key}` that is none: its name is 1 to {MAX_KEY} of `a-z`, `0-9`, `_` and `-`, its value a text of at most {MAX_VALUE} characters"
        )),
        None => Ok(()),
    }
}

fn is_key(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= MAX_VALUE && !text.chars().any(char::is_control)
}

fn bound(name: &str, settings: &mut Settings, servers: &Servers) -> Option<BTreeSet<ServerId>> {
    let path = ["agents", name, "servers"];
    let Entry { value, origin } = settings.take(&path)?;
    let Some(ids) = value::list(&value, |id| Some(id.to_owned())) else {
        settings.invalid(&path.map(str::to_owned), &value, "a list of server ids such as [\"github\"]", origin);
        return None;
    };
    let ids = ids.iter().filter_map(|id| server(settings, &path.join("."), id, servers, &origin));
    Some(ids.collect())
}

fn policies(name: &str, settings: &mut Settings, servers: &Servers) -> BTreeMap<ServerId, PolicySource> {
    let mut policies = BTreeMap::new();
    for (rest, Entry { value, origin }) in settings.take_below(&["agents", name, "policies"]) {
        let path = below(name, "policies", &rest);
        let key = path.join(".");
        match (rest.as_slice(), value::text(&value)) {
            ([], _) if matches!(value, Written::Table) => {}
            ([id], Some(file)) if !file.is_empty() => {
                let id = server(settings, &key, id, servers, &origin);
                match origin.resolve(file) {
                    Ok(file) => policies.extend(id.map(|id| (id, PolicySource::File(file)))),
                    Err(error) => unusable(settings, key, format!("cannot be made absolute: {error}"), origin),
                }
            }
            _ => settings.invalid(&path, &value, "the path of a policy file", origin),
        }
    }
    policies
}

/// None, and a problem, where there is no such server.
fn server(settings: &mut Settings, key: &str, id: &str, servers: &Servers, origin: &Origin) -> Option<ServerId> {
    let known = id.parse().ok().filter(|id| servers.contains_key(id));
    if known.is_none() {
        unusable(settings, key.to_owned(), format!("names `{id}`, and there is no such server"), origin.clone());
    }
    known
}

fn tokens(name: &str, settings: &mut Settings) -> Vec<Token> {
    let path = ["agents", name, "tokens"];
    let Some(Entry { value, origin }) = settings.take(&path) else { return Vec::new() };
    let Written::List(items) = &value else {
        settings.invalid(&path.map(str::to_owned), &value, TOKENS, origin);
        return Vec::new();
    };
    if items.len() > MAX_TOKENS {
        unusable(settings, path.join("."), format!("are more than {MAX_TOKENS}"), origin.clone());
    }
    let read = items.iter().enumerate().filter_map(|(at, item)| match token(item) {
        Ok(token) => Some(token),
        Err(reason) => {
            unusable(settings, format!("agents.{name}.tokens[{at}]"), reason, origin.clone());
            None
        }
    });
    read.collect()
}

/// The error is the reason, and never the value: there may stand a token.
fn token(item: &Written) -> Result<Token, String> {
    let Written::Item(members) = item else { return Err(format!("is not a table: expected {TOKENS}")) };
    if let Some(odd) = members.keys().find(|key| !["sha256", "label", "expires"].contains(&key.as_str())) {
        return Err(format!("has a member `{odd}`; there are `sha256`, `label` and `expires`"));
    }
    let text = |key: &str| members.get(key).map(value::text);
    let sha256 = text("sha256").flatten().and_then(hash).ok_or(
        "needs the `sha256` of a token, 64 hexadecimal digits, and never the token: `toolgate agents new-token` prints both",
    )?;
    let label = text("label").flatten().filter(|label| !label.is_empty() && is_short(label));
    let label = label.ok_or("needs a `label`, by which people know it")?.to_owned();
    let expires = match text("expires") {
        None => None,
        Some(at) => {
            let at = at.and_then(|at| humantime::parse_rfc3339(at).ok());
            Some(at.ok_or("has an `expires` that is not a time such as \"2027-01-01T00:00:00Z\"")?)
        }
    };
    Ok(Token { sha256, label, expires })
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    });
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// Two agents with one token would be one.
fn unique(settings: &mut Settings, agents: &BTreeMap<AgentId, Agent>, origin: &Origin) {
    let mut owners: BTreeMap<&[u8; 32], (&AgentId, &str)> = BTreeMap::new();
    for (id, agent) in agents {
        for Token { sha256, label, .. } in &agent.tokens {
            if let Some((other, theirs)) = owners.insert(sha256, (id, label)) {
                let reason = format!("has the token `{label}`, which is also the token `{theirs}` of agent `{other}`");
                unusable(settings, format!("agents.{id}"), reason, origin.clone());
            }
        }
    }
}

fn below(name: &str, key: &str, rest: &[String]) -> Vec<String> {
    ["agents", name, key].iter().map(|&part| part.to_owned()).chain(rest.iter().cloned()).collect()
}

fn unusable(settings: &mut Settings, key: String, reason: String, origin: Origin) {
    settings.problem(Problem::Unusable { key, reason, origin });
}
