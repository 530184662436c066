//! What a server is shown beside its static headers: tokens that the gateway fetches, and what single agents' calls carry.

use std::collections::BTreeMap;

use http::Uri;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use serde_json::Value;

use super::document;
use super::error::{ConfigErrors, Problem};
use super::headers::{self, UpstreamHeaders};
use super::layers::Layers;
use super::origin::Origin;
use super::settings::{Entry, Settings};
use super::value::{self, Written};

/// Agents of one server that may have credentials of their own.
const MAX_AGENTS: usize = 10_000;

#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub oauth: Option<ClientCredentials>,
    pub agents: BTreeMap<Box<str>, AgentCredentials>,
}

impl Credentials {
    pub(super) fn are_any(&self) -> bool {
        self.oauth.is_some() || !self.agents.is_empty()
    }
}

/// In place of what the server is shown otherwise.
#[derive(Clone, Debug, Default)]
pub struct AgentCredentials {
    pub headers: UpstreamHeaders,
    pub oauth: Option<ClientCredentials>,
}

impl AgentCredentials {
    /// What the store keeps for a server: the keys of `[servers.ID.headers]`, or those of `[servers.ID.oauth]`, and nothing that would be
    /// read from a file or a variable.
    pub(crate) fn of_store(server: &str, agent: Option<&str>, kind: &str, value: &Value) -> Result<Self, ConfigErrors> {
        let at: Vec<&str> = ["servers", server]
            .into_iter()
            .chain(agent.into_iter().flat_map(|agent| ["agents", agent]))
            .chain([kind])
            .collect();
        let unusable =
            |reason: &str| Problem::Unusable { key: at.join("."), reason: reason.to_owned(), origin: Origin::Store };
        if kind != "headers" && kind != "oauth" {
            return Err(unusable("is no kind of credential: there are `headers` and `oauth`").into());
        }
        let mut settings = document::settings(at.iter().map(|part| (*part).to_owned()).collect(), value, false)?;
        let (layers, none) = (Layers::default(), UpstreamHeaders::default());
        let read = match kind {
            "headers" => Self { headers: headers::read(&at, &mut settings, &layers), oauth: None },
            _ => Self { oauth: Reader { at: at.clone(), layers: &layers }.oauth(&none, &mut settings), headers: none },
        };
        settings.finish()?;
        match read.oauth.is_none() && read.headers.iter().next().is_none() {
            true => Err(unusable("says nothing").into()),
            false => Ok(read),
        }
    }

    /// With more, unless both say the same thing.
    pub(crate) fn add(&mut self, more: &Self) -> Result<(), String> {
        let authorizes = |one: &Self| one.oauth.is_some() || one.headers.iter().any(|(name, _)| name == AUTHORIZATION);
        if authorizes(self) && authorizes(more) {
            return Err("the server's description says already how to authorize".to_owned());
        }
        if let Some((name, _)) = more.headers.iter().find(|(name, _)| self.headers.iter().any(|(own, _)| own == *name))
        {
            return Err(format!("the server's description has the header `{name}` already"));
        }
        self.headers.extend(&more.headers);
        self.oauth = self.oauth.take().or_else(|| more.oauth.clone());
        Ok(())
    }
}

/// How tokens are fetched by OAuth 2.0 client credentials. `Debug` does not show the secret.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    pub token_url: Uri,
    pub client_id: String,
    pub client_secret: SecretString,
    pub scope: Option<String>,
    /// RFC 8707: the server that the token is for.
    pub resource: Option<String>,
    /// What some identity providers have in place of `resource`.
    pub audience: Option<String>,
    pub secret_in: ClientSecretIn,
}

/// Where the client's secret is shown to the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSecretIn {
    /// `client_secret_basic`
    Header,
    /// `client_secret_post`
    Body,
}

/// One table's reader: where it stands, and what it reads from.
pub(super) struct Reader<'a> {
    pub(super) at: Vec<&'a str>,
    pub(super) layers: &'a Layers,
}

pub(super) fn read(server: &str, headers: &UpstreamHeaders, settings: &mut Settings, layers: &Layers) -> Credentials {
    let oauth = Reader { at: vec!["servers", server, "oauth"], layers }.oauth(headers, settings);
    let mut agents = BTreeMap::new();
    for agent in settings.names(&["servers", server, "agents"]) {
        let at = ["servers", server, "agents", &agent];
        let origin = settings.origin(&at);
        let own = headers::read(&[&at[..], &["headers"]].concat(), settings, layers);
        let oauth = Reader { at: [&at[..], &["oauth"]].concat(), layers }.oauth(&own, settings);
        if oauth.is_none() && own.iter().next().is_none() && settings.names(&at).is_empty() {
            problem(settings, &at, "says nothing: it needs `headers` or `oauth`", origin);
        } else if agents.len() >= MAX_AGENTS {
            problem(settings, &at, &format!("is one of more than {MAX_AGENTS}"), origin);
        } else {
            agents.insert(agent.into(), AgentCredentials { headers: own, oauth });
        }
    }
    Credentials { oauth, agents }
}

impl Reader<'_> {
    fn oauth(&self, headers: &UpstreamHeaders, settings: &mut Settings) -> Option<ClientCredentials> {
        let origin = settings.origin(&self.at);
        if settings.names(&self.at).is_empty() {
            // Not a table, or an empty one.
            let entry = settings.take(&self.at)?;
            self.invalid(&self.at, settings, &entry, "a table with `token_url`, `client_id` and `client_secret`");
            return None;
        }
        if headers.iter().any(|(name, _)| name == AUTHORIZATION) {
            problem(
                settings,
                &self.at,
                "cannot be beside `headers.Authorization`: there is one way to authorize",
                origin.clone(),
            );
        }
        let token_url = self.required("token_url", "the address of a token endpoint", settings);
        let token_url = token_url.and_then(|(text, origin)| match super::server_url(&text) {
            Ok(url) if url.scheme_str() == Some("https") || is_loopback(&url) => Some(url),
            Ok(_) => {
                problem(settings, &self.below("token_url"), "must be https: a secret is sent there", origin);
                None
            }
            Err(reason) => {
                problem(settings, &self.below("token_url"), &reason, origin);
                None
            }
        });
        let client_id = self.required("client_id", "the gateway's client id", settings).map(|(id, _)| id);
        let client_secret = self.secret("client_secret", &origin, settings);
        let scope = self.optional("scope", "scopes with spaces between", settings);
        let resource = self.optional("resource", "the address of the server that the token is for", settings);
        let audience = self.optional("audience", "the audience that the token is for", settings);
        let secret_in = self.optional("secret_in", "\"header\" or \"body\"", settings);
        let secret_in = match secret_in.as_deref() {
            None | Some("header") => ClientSecretIn::Header,
            Some("body") => ClientSecretIn::Body,
            Some(_) => {
                problem(settings, &self.below("secret_in"), "must be \"header\" or \"body\"", origin);
                ClientSecretIn::Header
            }
        };
        Some(ClientCredentials {
            token_url: token_url?,
            client_id: client_id?,
            client_secret: client_secret?,
            scope,
            resource,
            audience,
            secret_in,
        })
    }

    /// A string, or a table that says where it is.
    pub(super) fn secret(&self, key: &str, table: &Origin, settings: &mut Settings) -> Option<SecretString> {
        let path = self.below(key);
        let mut found: Vec<_> = settings.take_below(&path);
        let Some((rest, entry)) = found.pop() else {
            let expected = match *table == Origin::Store {
                true => "is missing: a string",
                false => "is missing: a string, `{ file = \"…\" }` or `{ env = \"…\" }`",
            };
            problem(settings, &path, expected, table.clone());
            return None;
        };
        let origin = entry.origin.clone();
        let place = match &rest[..] {
            [] => None,
            [place] if place == "file" || place == "env" => Some(place.as_str()),
            _ => Some(""),
        };
        if !found.is_empty() || place == Some("") {
            let expected = match origin == Origin::Store {
                true => "must be one string",
                false => "must be one string, one `{ file = \"…\" }` or one `{ env = \"…\" }`",
            };
            problem(settings, &path, expected, origin);
            return None;
        }
        match headers::secret(&entry, place, self.layers) {
            Ok(secret) => Some(secret.into()),
            Err(reason) => {
                problem(settings, &path, &reason, origin);
                None
            }
        }
    }

    pub(super) fn required(&self, key: &str, what: &str, settings: &mut Settings) -> Option<(String, Origin)> {
        let origin = settings.origin(&self.at);
        let path = self.below(key);
        match settings.take(&path) {
            Some(Entry { value: Written::Text(text), origin }) if !text.is_empty() => Some((text, origin)),
            Some(entry) => {
                self.invalid(&path, settings, &entry, what);
                None
            }
            None => {
                problem(settings, &path, &format!("is missing: {what}"), origin);
                None
            }
        }
    }

    pub(super) fn optional(&self, key: &str, what: &str, settings: &mut Settings) -> Option<String> {
        let path = self.below(key);
        let entry = settings.take(&path)?;
        match value::text(&entry.value) {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.invalid(&path, settings, &entry, what);
                None
            }
        }
    }

    fn below<'k>(&'k self, key: &'k str) -> Vec<&'k str> {
        self.at.iter().copied().chain([key]).collect()
    }

    fn invalid(&self, path: &[&str], settings: &mut Settings, entry: &Entry, expected: &str) {
        let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        settings.invalid(&path, &entry.value, expected, entry.origin.clone());
    }
}

pub(super) fn problem(settings: &mut Settings, path: &[&str], reason: &str, origin: Origin) {
    settings.problem(Problem::Unusable { key: path.join("."), reason: reason.to_owned(), origin });
}

pub(super) fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
