//! Why somebody is not let in: one text for the client, another for the operator. Neither holds what was shown.

use std::time::SystemTime;

use http::{HeaderValue, StatusCode};

use super::jwt::Invalid;

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
    /// Of somebody else's.
    #[error(transparent)]
    Signed(#[from] Invalid),
    #[error("a signed token where there is no mount that it could be for")]
    NoMount,
    #[error("the token of `{0}` lacks a scope that the server asks for")]
    Scope(Box<str>),
    #[error("a token that is bound to another certificate than the one that was shown, if there was one")]
    Certificate,
    #[error("the certificate has expired since the connection was made")]
    Outdated,
    #[error("the token ceased to be good while the request was under way")]
    Over,
}

/// How a refusal is told: all of RFC 6750, section 3.1, and one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NoToken,
    Request,
    Token,
    Scope,
    /// It is not the client's fault.
    Later,
}

impl Unauthorized {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing | Self::Scheme => Kind::NoToken,
            Self::Twice | Self::InQuery => Kind::Request,
            Self::Signed(why) if why.is_temporary() => Kind::Later,
            Self::Scope(_) => Kind::Scope,
            Self::Malformed
            | Self::Unknown
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::Disabled(_)
            | Self::Signed(_)
            | Self::NoMount
            | Self::Certificate
            | Self::Outdated
            | Self::Over => Kind::Token,
        }
    }

    /// What the client hears. Whether a token ever was one is nobody's business.
    pub(crate) fn public(&self) -> &'static str {
        match self.kind() {
            Kind::NoToken => "this gateway wants a token: `Authorization: Bearer TOKEN`",
            Kind::Request => "a token goes into one `Authorization` header, and nowhere else",
            Kind::Token => "the token is not valid",
            Kind::Scope => "the token lacks a scope that this server asks for",
            Kind::Later => "the token cannot be verified now: try again later",
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self.kind() {
            Kind::Request => StatusCode::BAD_REQUEST,
            Kind::NoToken | Kind::Token => StatusCode::UNAUTHORIZED,
            Kind::Scope => StatusCode::FORBIDDEN,
            Kind::Later => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code of the error in a challenge. Who showed nothing is told nothing of an error; and where a new token would be of no use,
    /// there is no challenge.
    pub(crate) fn error(&self) -> Option<Option<&'static str>> {
        match self.kind() {
            Kind::NoToken => Some(None),
            Kind::Request => Some(Some("invalid_request")),
            Kind::Token => Some(Some("invalid_token")),
            Kind::Scope => Some(Some("insufficient_scope")),
            Kind::Later => None,
        }
    }

    /// `WWW-Authenticate`, where nothing more is to be said.
    pub(crate) fn challenge(&self) -> Option<HeaderValue> {
        self.error().map(|error| match error {
            None => HeaderValue::from_static("Bearer"),
            Some(error) => {
                HeaderValue::try_from(format!("Bearer error=\"{error}\"")).unwrap_or(HeaderValue::from_static("Bearer"))
            }
        })
    }
}
