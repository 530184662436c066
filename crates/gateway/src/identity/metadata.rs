//! What the gateway says of itself to those who look for an authorization server: metadata of each mount (RFC 9728), and challenges that
//! point there (RFC 6750). Its own name comes from the configuration, never from a request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use http::{HeaderValue, Uri};
use serde_json::json;

use crate::config::{Config, Jwt, Listen, ServerId};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The mounts of this gateway, as OAuth's protected resources.
pub(crate) struct Resources {
    origin: Box<str>,
    issuers: Box<[Box<str>]>,
    scopes: BTreeMap<Box<str>, Box<[Box<str>]>>,
}

/// Where clients come in. `/sse` is a door to the same servers, and to clients another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mount<'u> {
    door: &'static str,
    /// None: all servers as one.
    pub(crate) server: Option<&'u str>,
}

impl<'u> Mount<'u> {
    /// The mount that a request's path belongs to.
    pub(crate) fn of(uri: &'u Uri) -> Option<Self> {
        let path = uri.path();
        let path = match path.starts_with("/sse") {
            true => path.strip_suffix("/message").unwrap_or(path),
            false => path,
        };
        Self::at(path)
    }

    /// The mount that somebody asks about. Who asks about none in particular asks about the one for all servers.
    pub(crate) fn asked_about(uri: &'u Uri) -> Option<Option<Self>> {
        match uri.path().strip_prefix(WELL_KNOWN)? {
            "" => Some(Some(Self { door: "/mcp", server: None })),
            rest if rest.starts_with('/') => Some(Self::at(rest)),
            _ => None,
        }
    }

    fn at(path: &'u str) -> Option<Self> {
        ["/mcp", "/sse"].into_iter().find_map(|door| match path.strip_prefix(door)? {
            "" => Some(Self { door, server: None }),
            rest => {
                let server = rest.strip_prefix('/').filter(|id| id.parse::<ServerId>().is_ok())?;
                Some(Self { door, server: Some(server) })
            }
        })
    }

    fn path(self) -> String {
        match self.server {
            None => self.door.to_owned(),
            Some(server) => format!("{}/{server}", self.door),
        }
    }
}

impl Resources {
    pub(crate) fn new(config: &Config, bound: SocketAddr) -> Self {
        Self::made_of(&config.listen, &config.jwt, bound)
    }

    fn made_of(listen: &Listen, jwt: &Jwt, bound: SocketAddr) -> Self {
        let scheme = if listen.tls.is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{bound}");
        Self {
            origin: listen.url.as_ref().map_or_else(own, |url| url.ascii_serialization()).into(),
            issuers: jwt.issuers.iter().map(|issuer| issuer.issuer.clone()).collect(),
            scopes: jwt.scopes.clone(),
        }
    }

    /// The mount's canonical URL: what tokens for it have as their audience.
    pub(crate) fn url(&self, mount: Mount<'_>) -> String {
        format!("{}{}", self.origin, mount.path())
    }

    /// The scopes that a server asks for.
    fn needed(&self, server: &str) -> &[Box<str>] {
        self.scopes.get(server).map(AsRef::as_ref).unwrap_or_default()
    }

    /// The servers that ask for more scopes than these.
    pub(super) fn lacking(&self, scopes: &BTreeSet<Box<str>>) -> BTreeSet<Box<str>> {
        let lacks = |needed: &[Box<str>]| !needed.iter().all(|scope| scopes.contains(scope));
        self.scopes.iter().filter(|(_, needed)| lacks(needed)).map(|(server, _)| server.clone()).collect()
    }

    /// The document about a mount.
    pub(crate) fn document(&self, mount: Mount<'_>) -> Vec<u8> {
        let scopes: BTreeSet<&str> = match mount.server {
            Some(server) => self.needed(server).iter().map(AsRef::as_ref).collect(),
            None => self.scopes.values().flatten().map(AsRef::as_ref).collect(),
        };
        let mut document = json!({
            "resource": self.url(mount),
            "authorization_servers": self.issuers,
            "bearer_methods_supported": ["header"],
        });
        if let Some(document) = document.as_object_mut().filter(|_| !scopes.is_empty()) {
            document.insert("scopes_supported".to_owned(), json!(scopes));
        }
        document.to_string().into()
    }

    /// `WWW-Authenticate` for a mount. `error` is none for those who showed nothing.
    pub(crate) fn challenge(&self, mount: Option<Mount<'_>>, error: Option<&str>) -> HeaderValue {
        let mut said = Vec::new();
        if let Some(mount) = mount {
            said.push(format!("resource_metadata=\"{}{WELL_KNOWN}{}\"", self.origin, mount.path()));
            let scopes = mount.server.map(|server| self.needed(server).join(" ")).unwrap_or_default();
            if !scopes.is_empty() {
                said.push(format!("scope=\"{scopes}\""));
            }
        }
        said.extend(error.map(|error| format!("error=\"{error}\"")));
        let said = format!("Bearer {}", said.join(", "));
        HeaderValue::try_from(said.trim_end()).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}
