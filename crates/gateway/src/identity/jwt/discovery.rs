//! Where an issuer's keys are: as the operator says, or as the issuer's own metadata say (RFC 8414, OpenID Connect Discovery).

use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use url::{Host, Url};

use super::fetch::{self, NoDocument};
use super::keys::Keys;
use super::token;
use crate::config::{self, KeySource};
use crate::guard::Guard;
use crate::health::Health;
use crate::server::Road;
use crate::tls::Tls;

/// A place that key sets come from.
pub(super) struct Source {
    place: Place,
    rules: config::Issuer,
    tls: Tls,
}

enum Place {
    File(PathBuf),
    Url(Url),
    /// Of an issuer that says so itself.
    Metadata(Url),
}

/// Why there are no keys to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSet {
    #[error("`{}` cannot be read: {reason}", file.display())]
    File { file: PathBuf, reason: String },
    #[error(transparent)]
    Document(#[from] NoDocument),
    #[error("`{0}` is no key set")]
    Set(String),
    #[error("`{0}` is not about this issuer, or does not name its `jwks_uri`")]
    Metadata(Url),
    #[error(
        "`{0}` is where the issuer says that its keys are, and keys are only taken from an https URL, or one of its own origin"
    )]
    Place(String),
}

impl Source {
    pub(super) fn new(rules: &config::Issuer, system: &Tls) -> Result<Self, rustls::Error> {
        let place = match &rules.keys {
            KeySource::File(path) => Place::File(path.clone()),
            KeySource::Url(url) => Place::Url(url.clone()),
            KeySource::Discovery(issuer) => Place::Metadata(issuer.clone()),
        };
        let tls = rules.tls.as_ref().map_or_else(|| Ok(system.clone()), Tls::new)?;
        Ok(Self { place, rules: rules.clone(), tls })
    }

    pub(super) async fn get(&self) -> Result<Keys, NoSet> {
        let (text, from) = match &self.place {
            Place::File(path) => {
                let text = config::read_text(path)
                    .map_err(|error| NoSet::File { file: path.clone(), reason: error.to_string() })?;
                (text, path.display().to_string())
            }
            Place::Url(url) => (self.fetch(url, true).await?, url.to_string()),
            Place::Metadata(issuer) => {
                let (url, own) = self.discover(issuer).await?;
                (self.fetch(&url, own).await?, url.to_string())
            }
        };
        Keys::parse(&text).ok_or(NoSet::Set(from))
    }

    /// Where the keys are, and whether that is the operator's own word: an origin that he wrote himself.
    async fn discover(&self, issuer: &Url) -> Result<(Url, bool), NoSet> {
        let mut why = NoSet::Metadata(issuer.clone());
        for url in metadata_of(issuer) {
            match self.fetch(&url, true).await {
                Ok(text) => match jwks_uri(&text, &self.rules.issuer) {
                    Some(place) => return keys_of(issuer, &place),
                    None => why = NoSet::Metadata(url),
                },
                // It is there, and has its metadata elsewhere.
                Err(error @ NoDocument::Status(..)) => why = error.into(),
                Err(error @ (NoDocument::Slow(_) | NoDocument::Broken(..))) => return Err(error.into()),
            }
        }
        Err(why)
    }

    async fn fetch(&self, url: &Url, own: bool) -> Result<String, NoDocument> {
        let uri: Uri = url.as_str().parse().unwrap_or_default();
        fetch::get(&self.road(url, own), &uri).await
    }

    /// An address that only the issuer wrote out is judged like one that was looked up.
    fn road(&self, url: &Url, own: bool) -> Road {
        let host = url.host().filter(|_| own).unwrap_or(Host::Domain(""));
        Road {
            guard: Arc::new(Guard::new(&host, &self.rules.networks)),
            pinned: Arc::default(),
            tls: self.tls.clone(),
            health: Arc::new(Health::new(&self.rules.name)),
        }
    }
}

/// Where an issuer's metadata may be, in the order that MCP asks for.
fn metadata_of(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    let mut places = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        places.push(at(format!("{path}/.well-known/openid-configuration")));
    }
    places
}

fn jwks_uri(metadata: &str, issuer: &str) -> Option<String> {
    let metadata = token::strict(metadata)?;
    // INVARIANT: metadata speak of the issuer they were asked for, or of nothing (RFC 8414, 3.3)
    (metadata.get("issuer")?.as_str()? == issuer).then_some(())?;
    metadata.get("jwks_uri")?.as_str().map(str::to_owned)
}

fn keys_of(issuer: &Url, place: &str) -> Result<(Url, bool), NoSet> {
    let refused = || NoSet::Place(place.chars().take(256).collect());
    let url: Url = place.parse().map_err(|_| refused())?;
    let own = url.origin() == issuer.origin();
    match own || url.scheme() == "https" {
        true => Ok((url, own)),
        false => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn places(issuer: &str, expected: &[&str]) {
        let found = metadata_of(&issuer.parse().unwrap());
        assert_eq!(found.iter().map(Url::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn metadata_are_looked_for_where_mcp_says() {
        places(
            "https://id.example",
            &[
                "https://id.example/.well-known/oauth-authorization-server",
                "https://id.example/.well-known/openid-configuration",
            ],
        );
        places(
            "https://id.example/",
            &[
                "https://id.example/.well-known/oauth-authorization-server",
                "https://id.example/.well-known/openid-configuration",
            ],
        );
        places(
            "https://id.example/realms/a",
            &[
                "https://id.example/.well-known/oauth-authorization-server/realms/a",
                "https://id.example/.well-known/openid-configuration/realms/a",
                "https://id.example/realms/a/.well-known/openid-configuration",
            ],
        );
    }

    #[test]
    fn an_issuer_cannot_send_us_to_another_machine_in_the_clear() {
        let of = |issuer: &str, place: &str| {
            keys_of(&issuer.parse().unwrap(), place).map(|(url, own)| (url.to_string(), own)).ok()
        };
        assert_eq!(of("https://a.example/x", "https://a.example/k"), Some(("https://a.example/k".into(), true)));
        assert_eq!(of("https://a.example", "https://b.example/k"), Some(("https://b.example/k".into(), false)));
        assert_eq!(of("http://127.0.0.1:9", "http://127.0.0.1:9/k"), Some(("http://127.0.0.1:9/k".into(), true)));
        assert_eq!(of("http://127.0.0.1:9", "http://127.0.0.1:10/k"), None);
        assert_eq!(of("https://a.example", "http://a.example/k"), None);
        assert_eq!(of("https://a.example", "file:///etc/passwd"), None);
        assert_eq!(of("https://a.example", "/k"), None);
    }
}
