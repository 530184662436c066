//! Why somebody is not let in: one text for the client, another for the operator. Neither holds what was shown.

use std::time::SystemTime;

use http::{HeaderValue, StatusCode};

/// `Display` is for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unauthorized {
    #[error("no `Authorization` header")]
    Missing,
    #[error("an `Authorization` header of another scheme than `Bearer`")]
    Scheme,
    #[error("more than one `Authorization` header")]
    Twice,
    #[error("a token in the query")]
    InQuery,
    #[error("not a token of this gateway's form")]
    Malformed,
    #[error("a token that nobody here has")]
    Unknown,
    #[error("the token `{label}` of `{agent}` was revoked")]
    Revoked { agent: Box<str>, label: Box<str> },
    #[error("the token `{label}` of `{agent}` expired at {}", humantime::format_rfc3339_seconds(*.at))]
    Expired { agent: Box<str>, label: Box<str>, at: SystemTime },
    #[error("the agent `{0}` is disabled")]
    Disabled(Box<str>),
    #[error("the token ceased to be good while the request was under way")]
    Over,
}

impl Unauthorized {
    /// What the client hears. Whether a token ever was one is nobody's business.
    pub(crate) fn public(&self) -> &'static str {
        match self {
            Self::Missing | Self::Scheme => "this gateway wants a token: `Authorization: Bearer TOKEN`",
            Self::Twice | Self::InQuery => "a token goes into one `Authorization` header, and nowhere else",
            Self::Malformed
            | Self::Unknown
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::Disabled(_)
            | Self::Over => "the token is not valid",
        }
    }

    /// RFC 6750, section 3.1.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Twice | Self::InQuery => StatusCode::BAD_REQUEST,
            Self::Missing
            | Self::Scheme
            | Self::Malformed
            | Self::Unknown
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::Disabled(_)
            | Self::Over => StatusCode::UNAUTHORIZED,
        }
    }

    /// `WWW-Authenticate`. Who showed nothing is told nothing of an error.
    pub(crate) fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Missing | Self::Scheme => "Bearer",
            Self::Twice | Self::InQuery => "Bearer error=\"invalid_request\"",
            Self::Malformed
            | Self::Unknown
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::Disabled(_)
            | Self::Over => "Bearer error=\"invalid_token\"",
        })
    }
}
