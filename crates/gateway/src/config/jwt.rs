//! Issuers of access tokens: whom to trust, for what, and what their claims are called.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jsonwebtoken::Algorithm;
use url::{Host, Url};

use super::error::Problem;
use super::server::ServerId;
use super::settings::{Entry, Settings};
use super::tls::{self, TlsOptions};
use super::value::{self, Written};
use super::{Auth, DAY, Listen, SECOND};
use crate::identity::jwt::algorithm;

/// What is taken of an issuer, unless the operator says otherwise.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
const TYPES: [&str; 2] = ["at+jwt", "jwt"];

const MAX_ISSUERS: usize = 16;
const MAX_LABELS: usize = 32;

/// Access tokens, and who may issue them.
#[derive(Clone, Debug)]
pub struct Jwt {
    pub issuers: Vec<Issuer>,
    /// The scopes that a server asks for. All of them are needed.
    pub scopes: BTreeMap<Box<str>, Box<[Box<str>]>>,
    /// How wrong clocks may be.
    pub leeway: Duration,
    /// How often keys are fetched.
    pub refresh: Duration,
    /// How old keys may become when they cannot be fetched.
    pub keep: Duration,
}

#[derive(Clone, Debug)]
pub struct Issuer {
    /// The operator's name for it.
    pub name: Arc<str>,
    /// Its own: the `iss` of its tokens, to the byte.
    pub issuer: Box<str>,
    pub keys: KeySource,
    pub algorithms: Vec<Algorithm>,
    /// Lawful values of `typ`, in lower case; an empty one stands for none.
    pub types: Vec<Box<str>>,
    /// Audiences that are taken beside the URL of the mount.
    pub audience: Vec<Box<str>>,
    /// The claim that says whose a token is.
    pub agent: Box<str>,
    /// What the agent's id begins with.
    pub prefix: Box<str>,
    /// Labels, and the claims that they come from.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    pub networks: Vec<IpNet>,
    pub(crate) tls: Option<TlsOptions>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The issuer's metadata say where.
    Discovery(Url),
    Url(Url),
    File(PathBuf),
}

impl Jwt {
    pub(super) fn read(settings: &mut Settings, auth: Auth, listen: &Listen) -> Self {
        let origin = settings.origin(&["auth", "jwt"]);
        let names = settings.names(&["auth", "jwt", "issuers"]);
        let jwt = Self {
            issuers: names.iter().filter_map(|name| issuer(name, settings)).collect(),
            scopes: scopes(settings),
            leeway: settings.span("auth.jwt.leeway", Duration::ZERO..=300 * SECOND),
            refresh: settings.span("auth.jwt.refresh", SECOND..=DAY),
            keep: settings.span("auth.jwt.keep", SECOND..=30 * DAY),
        };
        let mut unusable = |key: &str, reason: String| {
            settings.problem(Problem::Unusable { key: key.to_owned(), reason, origin: origin.clone() })
        };
        if jwt.keep < jwt.refresh {
            unusable(
                "auth.jwt.keep",
                "is shorter than `auth.jwt.refresh`: keys would be too old before they are renewed".to_owned(),
            );
        }
        match auth {
            Auth::Jwt if names.is_empty() => {
                unusable("auth.jwt.issuers", "are none, and `auth.mode = \"jwt\"` needs one to trust".to_owned());
            }
            Auth::Jwt if listen.url.is_none() && listen.data.ip().is_unspecified() => {
                let reason = "is missing: what clients call this gateway, such as \"https://gateway.example.com\", is the audience of their tokens";
                unusable("listen.url", reason.to_owned());
            }
            Auth::Anonymous | Auth::Tokens if !names.is_empty() => {
                unusable("auth.jwt.issuers", "have no effect unless `auth.mode` is \"jwt\"".to_owned());
            }
            Auth::Anonymous | Auth::Tokens | Auth::Jwt => {}
        }
        if names.len() > MAX_ISSUERS {
            unusable("auth.jwt.issuers", format!("are more than {MAX_ISSUERS}"));
        }
        for (n, one) in jwt.issuers.iter().enumerate() {
            if jwt.issuers.iter().take(n).any(|other| other.issuer == one.issuer) {
                unusable(&format!("auth.jwt.issuers.{}.issuer", one.name), "is that of another issuer too".to_owned());
            }
        }
        jwt
    }
}

fn issuer(name: &str, settings: &mut Settings) -> Option<Issuer> {
    let key = |last: &str| format!("auth.jwt.issuers.{name}.{last}");
    let origin = settings.origin(&["auth", "jwt", "issuers", name]);
    let mut problems = Vec::new();
    if name.parse::<ServerId>().is_err() {
        problems.push((format!("auth.jwt.issuers.{name}"), "is not a name: use `a-z`, `0-9`, `_` and `-`".to_owned()));
    }
    let texts = "a list of strings";
    let lower = |text: &str| Some(text.to_ascii_lowercase().into());
    let issuer: Box<str> = settings.read(&key("issuer"), Box::default(), "the issuer's URL", |found| {
        Some(value::text(found).filter(|text| !text.is_empty())?.into())
    });
    let url =
        settings.read(&key("jwks_url"), None, "a URL", |found| Some(Some(value::text(found)?.parse::<Url>().ok()?)));
    let file = tls::file(&["auth", "jwt", "issuers", name, "jwks_file"], "the path of a JSON file", settings);
    let keys = match (url, file) {
        (Some(_), Some(_)) => {
            problems.push((key("jwks_file"), "is written beside `jwks_url`: give one of them".to_owned()));
            None
        }
        (Some(url), None) => Some(KeySource::Url(url)),
        (None, Some(file)) => Some(KeySource::File(file.path)),
        (None, None) => issuer.parse().ok().map(KeySource::Discovery),
    };
    match &keys {
        _ if issuer.is_empty() => {
            problems.push((key("issuer"), "is missing: it is the `iss` of the issuer's tokens".to_owned()))
        }
        Some(KeySource::Url(url)) => problems.extend(unsafe_url(url).map(|reason| (key("jwks_url"), reason))),
        Some(KeySource::Discovery(url)) => problems.extend(unsafe_url(url).map(|reason| (key("issuer"), reason))),
        Some(KeySource::File(_)) => {}
        None => problems
            .push((key("issuer"), "is not a URL, so `jwks_url` or `jwks_file` must say where its keys are".to_owned())),
    }
    let expected = "a list of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA";
    let algorithms = settings.read(&key("algorithms"), ALGORITHMS.into(), expected, |found| {
        value::list(found, algorithm).filter(|all| !all.is_empty())
    });
    let claim = |found: &Written| Some(value::text(found).filter(|text| !text.is_empty())?.into());
    let read = Issuer {
        name: name.into(),
        keys: keys.unwrap_or(KeySource::File(PathBuf::new())),
        algorithms,
        types: settings.read(&key("types"), TYPES.map(Into::into).into(), texts, |found| match found {
            Written::List(_) => value::list(found, lower).filter(|all| !all.is_empty()),
            Written::Text(_) | Written::Number(_) | Written::Item(_) | Written::Table | Written::Other(_) => None,
        }),
        audience: settings.read(&key("audience"), Vec::new(), texts, |found| {
            value::list(found, |text| (!text.is_empty()).then(|| text.into()))
        }),
        agent: settings.read(&key("agent"), "sub".into(), "the name of a claim", claim),
        prefix: settings.read(&key("prefix"), format!("{name}:").into(), "at most 64 characters", |found| {
            Some(value::text(found).filter(|text| text.len() <= 64 && !text.chars().any(char::is_control))?.into())
        }),
        labels: labels(name, settings),
        networks: settings.read(&key("networks"), Vec::new(), "a list such as [\"10.0.0.0/8\"]", value::networks),
        tls: tls::authority(&["auth", "jwt", "issuers", name, "ca"], settings),
        issuer,
    };
    let sound = problems.is_empty();
    for (key, reason) in problems {
        settings.problem(Problem::Unusable { key, reason, origin: origin.clone() });
    }
    sound.then_some(read)
}

/// What comes in the clear can be another's, but on this machine.
fn unsafe_url(url: &Url) -> Option<String> {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => Some("may not have user information".to_owned()),
        "https" => None,
        "http" if loopback => None,
        _ => Some("must be an https URL, or http on this machine".to_owned()),
    }
}

fn scopes(settings: &mut Settings) -> BTreeMap<Box<str>, Box<[Box<str>]>> {
    let scope = |text: &str| {
        // As RFC 6749, 3.3 has it: it stands between quotes in a challenge.
        let lawful = !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        lawful.then(|| text.into())
    };
    let path = ["auth", "jwt", "scopes"];
    table(&path, settings, "a list of scopes such as [\"tools:read\"]", |server, found| {
        server.parse::<ServerId>().ok()?;
        Some(value::list(found, scope)?.into())
    })
}

fn labels(name: &str, settings: &mut Settings) -> BTreeMap<Box<str>, Box<str>> {
    let path = ["auth", "jwt", "issuers", name, "labels"];
    let labels = table(&path, settings, "the name of a claim such as \"groups.0\"", |_, found| {
        Some(value::text(found).filter(|text| !text.is_empty())?.into())
    });
    if labels.len() > MAX_LABELS {
        let origin = settings.origin(&path);
        let reason = format!("are more than {MAX_LABELS}");
        settings.problem(Problem::Unusable { key: path.join("."), reason, origin });
    }
    labels
}

/// A table whose names are the operator's.
fn table<T>(
    path: &[&str],
    settings: &mut Settings,
    expected: &str,
    parse: impl Fn(&str, &Written) -> Option<T>,
) -> BTreeMap<Box<str>, T> {
    let mut all = BTreeMap::new();
    for (rest, Entry { value, origin }) in settings.take_below(path) {
        match rest.as_slice() {
            [] if matches!(value, Written::Table) => {}
            [name] if parse(name, &value).is_some() => {
                all.extend(parse(name, &value).map(|value| (name.as_str().into(), value)));
            }
            _ => {
                let whole: Vec<String> = path.iter().map(|part| (*part).to_owned()).chain(rest).collect();
                settings.invalid(&whole, &value, expected, origin);
            }
        }
    }
    all
}
