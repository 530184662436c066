//! Where the service is, and which of its two API surfaces is spoken.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::error::ConfigError;

/// Why a URL cannot be an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// It is not an absolute URL.
    #[error("the endpoint is not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// Only `https` carries a key, except to this very machine.
    #[error("the endpoint is neither https nor on the loopback interface")]
    Insecure,
    /// A user, password, query or fragment has no meaning here.
    #[error("the endpoint carries a user, a query or a fragment")]
    Decorated,
}

/// The root under which paths are appended: `https`, or `http` on the loopback interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    pub(crate) fn parse(text: &str, allow_insecure: bool) -> Result<Self, InvalidEndpoint> {
        let mut url = Url::parse(text.trim())?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let secure = url.scheme() == "https" || (url.scheme() == "http" && (loopback || allow_insecure));
        if !secure {
            return Err(InvalidEndpoint::Insecure);
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidEndpoint::Decorated);
        }
        // People paste what a portal or another SDK shows; the surface is chosen apart.
        let path = url.path().trim_end_matches('/');
        let path = ["/openai/v1", "/openai"].iter().find_map(|tail| path.strip_suffix(tail)).unwrap_or(path).to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The endpoint with these segments appended. Each stays one segment, whatever it contains.
    pub(crate) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // Every http(s) URL has a path, so this is always taken.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// Which API of the service is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiSurface {
    /// The current API, under `/openai/v1`.
    #[default]
    V1,
    /// The current API with features that are still in preview.
    V1Preview,
    /// An API version with a date, under `/openai?api-version=…`.
    Dated(ApiVersion),
}

/// A dated API version, such as `2024-10-21` or `2025-04-01-preview`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// The version as it stands in `api-version`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiVersion {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let date = text.strip_suffix("-preview").unwrap_or(text);
        let parts: Vec<usize> = date.split('-').map(str::len).collect();
        let digits = date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if parts == [4, 2, 2] && digits {
            return Ok(Self(text.to_owned()));
        }
        Err(ConfigError::ApiVersion(text.to_owned()))
    }
}

impl FromStr for ApiSurface {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text.trim() {
            "v1" => Ok(Self::V1),
            "preview" => Ok(Self::V1Preview),
            dated => dated.parse().map(Self::Dated),
        }
    }
}

impl fmt::Display for ApiSurface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V1Preview => "preview",
            Self::Dated(version) => version.as_str(),
        })
    }
}

impl ApiSurface {
    pub(crate) fn is_dated(&self) -> bool {
        matches!(self, Self::Dated(_))
    }

    /// The last stable dated version is the last one without pause and resume.
    pub(crate) fn can_pause(&self) -> bool {
        match self {
            Self::V1 | Self::V1Preview => true,
            Self::Dated(version) => version.as_str().ends_with("-preview") || version.as_str() > "2024-10-21",
        }
    }

    pub(crate) fn segments(&self) -> &'static [&'static str] {
        if self.is_dated() { &["openai"] } else { &["openai", "v1"] }
    }

    /// The value of `api-version`; the v1 surface needs none.
    pub(crate) fn api_version(&self) -> Option<&str> {
        match self {
            Self::V1 => None,
            Self::V1Preview => Some("preview"),
            Self::Dated(version) => Some(version.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(endpoint: &str, expected: &str) {
        let found = Endpoint::parse(endpoint, false);
        let found =
            found.map_or_else(|error| error.to_string(), |endpoint| endpoint.join(["files", "a:b"]).to_string());
        assert_eq!(found, expected, "{endpoint}");
    }

    #[test]
    fn what_is_an_endpoint() {
        check("https://n.openai.azure.com", "https://n.openai.azure.com/files/a:b");
        check("https://n.openai.azure.com/", "https://n.openai.azure.com/files/a:b");
        check(" https://n.openai.azure.com/openai/v1/ ", "https://n.openai.azure.com/files/a:b");
        check("https://n.openai.azure.com/openai", "https://n.openai.azure.com/files/a:b");
        check("https://proxy.example/azure/", "https://proxy.example/azure/files/a:b");
        check("http://127.0.0.1:4010", "http://127.0.0.1:4010/files/a:b");
        check("http://[::1]:4010", "http://[::1]:4010/files/a:b");
        check("http://localhost", "http://localhost/files/a:b");
        check("http://n.openai.azure.com", "the endpoint is neither https nor on the loopback interface");
        check("http://localhost.evil.example", "the endpoint is neither https nor on the loopback interface");
        check("ftp://127.0.0.1", "the endpoint is neither https nor on the loopback interface");
        check("https://a:b@n.openai.azure.com", "the endpoint carries a user, a query or a fragment");
        check("https://n.openai.azure.com?x", "the endpoint carries a user, a query or a fragment");
        check("n.openai.azure.com", "the endpoint is not a URL: relative URL without a base");
    }

    #[test]
    fn insecure_has_to_be_asked_for() {
        assert!(Endpoint::parse("http://n.example", true).is_ok());
        assert!(Endpoint::parse("ftp://n.example", true).is_err());
    }

    #[test]
    fn what_is_a_surface() {
        assert_eq!("v1".parse::<ApiSurface>().unwrap(), ApiSurface::V1);
        assert_eq!("preview".parse::<ApiSurface>().unwrap(), ApiSurface::V1Preview);
        for (version, can_pause) in [("2024-10-21", false), ("2025-04-01-preview", true), ("2023-09-15", false)] {
            let surface = version.parse::<ApiSurface>().unwrap();
            assert_eq!((surface.to_string().as_str(), surface.can_pause()), (version, can_pause));
        }
        for wrong in ["", "v2", "2024-1-1", "2024-10-21&x=y", "2024-10-21-beta"] {
            assert!(wrong.parse::<ApiSurface>().is_err(), "{wrong}");
        }
    }
}
