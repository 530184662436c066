//! Access tokens of other people's making: the gateway as an OAuth 2.1 resource server. Which issuers there are is the operator's word;
//! a token is taken for one mount only, the one that its audience names.

mod claims;
mod discovery;
mod fetch;
mod issuer;
mod keys;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use self::claims::Claims;
use self::issuer::Issuer;
use self::keys::BadKey;
pub(crate) use self::token::algorithm;
use self::token::{Compact, Head, Malformed};
use super::Labels;
use crate::config::Jwt;
use crate::tls::Tls;

/// All issuers that are trusted, with their keys.
pub(super) struct Verifier {
    issuers: Box<[Arc<Issuer>]>,
    leeway: Duration,
}

/// Who a token says that the bearer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    /// The agent's id, with the issuer's prefix.
    pub(crate) agent: Box<str>,
    /// What the operator calls who signed it.
    pub(crate) issuer: Arc<str>,
    pub(crate) labels: Labels,
    pub(crate) scopes: BTreeSet<Box<str>>,
    /// Until then it is good, with leeway.
    pub(crate) until: SystemTime,
    /// Only who shows the certificate with this SHA-256 may use the token (RFC 8705).
    pub(crate) certificate: Option<[u8; 32]>,
}

/// Now, on both clocks: that of tokens, and one that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) unix: f64,
    pub(crate) at: Instant,
}

/// Why a token is not taken. The words are for the client too, so none of them is the token's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the token's issuer is not one that this gateway trusts")]
    Issuer,
    #[error("the token's algorithm is not one that is accepted from its issuer")]
    Algorithm,
    #[error("the token's `typ` is not that of an access token")]
    Type,
    #[error("the token says nothing of when it expires")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token was issued in the future")]
    IssuedLater,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token is bound to its holder in a way that this gateway cannot check")]
    Confirmation,
    #[error("the token does not say whose it is")]
    Nobody,
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the keys of the token's issuer cannot be had now: try again later")]
    NoKeys,
}

impl Invalid {
    /// It is not the token's fault: later it may pass.
    pub(crate) fn is_temporary(&self) -> bool {
        *self == Self::NoKeys
    }
}

impl Now {
    pub(crate) fn read() -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { unix: unix.as_secs_f64(), at: Instant::now() }
    }
}

impl Verifier {
    /// `system` is how TLS is done with issuers for which nothing else is asked.
    pub(crate) fn new(jwt: &Jwt, system: &Tls) -> Result<Self, rustls::Error> {
        let issuers = jwt.issuers.iter().map(|rules| Issuer::new(rules, jwt, system).map(Arc::new));
        Ok(Self { issuers: issuers.collect::<Result<_, _>>()?, leeway: jwt.leeway })
    }

    /// Keeps the keys of all issuers fresh, as long as it is polled.
    pub(crate) fn keepers(&self) -> impl Iterator<Item = impl Future<Output = ()> + Send + use<>> {
        self.issuers.iter().map(|issuer| Arc::clone(issuer).keep())
    }

    /// Takes a token for the mount of that URL, or says why not. Every check is made at every call.
    pub(crate) async fn verify(&self, token: &str, mount: &str, now: Now) -> Result<Bearer, Invalid> {
        let compact = Compact::split(token)?;
        let head = Head::read(&compact)?;
        let claims = Claims::read(&compact)?;
        let issuer = claims.issuer().and_then(|name| self.issuers.iter().find(|issuer| *issuer.rules.issuer == *name));
        let issuer = issuer.ok_or(Invalid::Issuer)?;
        let rules = &issuer.rules;
        let algorithm = head.algorithm().filter(|algorithm| rules.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(Invalid::Algorithm)?;
        if !rules.types.iter().any(|kind| head.is_type(kind)) {
            return Err(Invalid::Type);
        }
        // These come before the signature, so that a token which cannot pass never makes us ask for keys.
        claims.times(now.unix, self.leeway)?;
        claims.audience(|name| name == mount || rules.audience.iter().any(|known| **known == *name))?;
        let key = issuer.key(head.kid(), algorithm, now.at).await?;
        // INVARIANT: nothing that the token says leaves here before its signature was found right.
        key.verify(&compact, algorithm)?;
        claims.bearer(rules, self.leeway)
    }
}
