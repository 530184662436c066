//! An entry: what a client is told about one server of the gateway.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use url::Url;

use crate::client::Client;
use crate::error::Error;

/// The members of an entry, in order.
pub type Members = Vec<(String, Value)>;

/// An entry under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Under which the client knows the server.
    pub name: Name,
    /// What the client is told.
    pub members: Members,
}

/// A server's name that every client takes: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_` and `-`, with a letter or digit first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Box<str>);

impl Name {
    const MAX: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let lawful = text.len() <= Self::MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if lawful { Ok(Self(text.into())) } else { Err(Error::Name(text.to_owned())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable(Box<str>);

impl Variable {
    const MAX: usize = 128;
}

impl FromStr for Variable {
    type Err = Error;

    /// The error does not repeat the text: it may be the token itself.
    fn from_str(text: &str) -> Result<Self, Error> {
        let lawful = text.len() <= Self::MAX
            && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if lawful { Ok(Self(text.into())) } else { Err(Error::Variable) }
    }
}

/// How the client reaches the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By a URL, or by `program` where the client takes no URL.
    Best {
        /// Toolgate's own path.
        program: String,
    },
    /// By starting `program bridge URL`.
    Stdio {
        /// Toolgate's own path.
        program: String,
    },
}

/// What is to be connected.
#[derive(Clone, Debug)]
pub struct Request {
    /// The gateway's address.
    pub gateway: String,
    /// Servers of the gateway by themselves; none is all of them behind one URL.
    pub servers: Vec<Name>,
    /// The name of the entry, if it is not to be the server's.
    pub name: Option<Name>,
    /// How.
    pub transport: Transport,
    /// The variable that has the token.
    pub token: Option<Variable>,
}

/// The name of the entry that stands for all servers.
const AGGREGATE: &str = "toolgate";

impl Request {
    /// The entries for a client.
    pub fn entries(&self, client: &Client) -> Result<Vec<Entry>, Error> {
        let gateway = self.gateway()?;
        let url = |path: &str| format!("{}{path}", gateway.as_str().trim_end_matches('/'));
        if self.servers.is_empty() {
            let name = self.name.clone().map_or_else(|| AGGREGATE.parse(), Ok)?;
            return Ok(vec![Entry { name, members: self.members(client, &url("/mcp"))? }]);
        }
        if self.name.is_some() && self.servers.len() > 1 {
            return Err(Error::OneName);
        }
        let entry = |server: &Name| {
            let members = self.members(client, &url(&format!("/mcp/{server}")))?;
            Ok(Entry { name: self.name.clone().unwrap_or_else(|| server.clone()), members })
        };
        self.servers.iter().map(entry).collect()
    }

    /// The names of the entries, without what is in them.
    pub fn names(&self) -> Result<Vec<Name>, Error> {
        match (&self.name, self.servers.as_slice()) {
            (Some(_), [_, _, ..]) => Err(Error::OneName),
            (Some(name), _) => Ok(vec![name.clone()]),
            (None, []) => Ok(vec![AGGREGATE.parse()?]),
            (None, servers) => Ok(servers.to_vec()),
        }
    }

    /// Whether the token would travel in the clear to another machine.
    pub fn exposes_token(&self) -> bool {
        let local = |url: &Url| match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.token.is_some() && self.gateway().is_ok_and(|url| url.scheme() == "http" && !local(&url))
    }

    fn gateway(&self) -> Result<Url, Error> {
        let no = |why: &'static str| Error::Url { url: self.gateway.clone(), why };
        let url: Url = self.gateway.parse().map_err(|_| no("it is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            // Not repeated: it has a secret in it.
            return Err(Error::Url { url: "the URL".to_owned(), why: "it has user information in it" });
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(no("it is neither http nor https"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(no("it has a query or a fragment"));
        }
        if url.path().trim_end_matches('/').ends_with("/mcp") {
            return Err(no("the address of the gateway comes without `/mcp`"));
        }
        Ok(url)
    }

    fn members(&self, client: &Client, url: &str) -> Result<Members, Error> {
        let (shape, program) = match (&self.transport, client.http()) {
            (Transport::Best { .. }, Some(http)) => (http, None),
            (Transport::Best { program }, None) | (Transport::Stdio { program }, _) => (client.stdio(), Some(program)),
        };
        // Most clients put variables into what they start.
        if let Some(program) = program.filter(|program| program.contains('$')) {
            return Err(Error::Program { program: program.clone() });
        }
        let mut members = shape.plain.clone();
        if self.token.is_some() {
            let is_http = program.is_none();
            let token = shape.token.ok_or_else(|| Error::NoToken { client: client.name.clone(), is_http })?;
            token.iter().for_each(|(key, value)| put(&mut members, key, value.clone()));
        }
        let token = self.token.as_ref().map_or("", |token| &token.0);
        // The path comes last: nothing in it is looked at.
        let fill = |text: &str| {
            let text = text.replace("{url}", url).replace("{token}", token);
            text.replace("{program}", program.map_or("", String::as_str))
        };
        Ok(members.into_iter().map(|(key, value)| (key, filled(value, &fill))).collect())
    }
}

fn put(members: &mut Members, key: &str, value: Value) {
    match members.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => *old = value,
        None => members.push((key.to_owned(), value)),
    }
}

fn filled(value: Value, fill: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(fill(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| filled(item, fill)).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (fill(&key), filled(value, fill))).collect())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}
