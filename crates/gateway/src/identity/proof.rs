//! By what somebody was let in, as records tell it: never what was shown.

use std::sync::Arc;

use data_encoding::HEXLOWER;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing was asked for, or nothing that was shown was any good.
    #[default]
    None,
    /// Ours: by its id in the store, or its label in a file.
    Token(Arc<str>),
    /// Somebody else's: by what the operator calls its issuer.
    Jwt(Arc<str>),
    /// By the beginning of its SHA-256.
    Certificate(Arc<str>),
}

/// Bytes of a certificate's SHA-256 that are told: enough to find it by.
const FINGERPRINT: usize = 8;

impl Proof {
    pub(super) fn certificate(sha256: &[u8; 32]) -> Self {
        Self::Certificate(HEXLOWER.encode(sha256.get(..FINGERPRINT).unwrap_or_default()).into())
    }

    pub(crate) fn way(&self) -> &'static str {
        match self {
            Self::None => "anonymous",
            Self::Token(_) => "token",
            Self::Jwt(_) => "jwt",
            Self::Certificate(_) => "certificate",
        }
    }

    /// Which of them.
    pub(crate) fn which(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Token(which) | Self::Jwt(which) | Self::Certificate(which) => Some(which),
        }
    }
}
