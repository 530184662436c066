//! Tokens that somebody else signed: good for the mount that they were issued for, and beside the certificate that they are bound to.

use std::collections::BTreeSet;

use http::{HeaderValue, Uri};
use subtle::ConstantTimeEq as _;

use super::jwt::{Bearer, Now, Verifier};
use super::metadata::{Mount, Resources};
use super::proof::Proof;
use super::unauthorized::Unauthorized;
use super::vouched::Vouched;
use crate::config::Config;
use crate::listener::Certificate;
use crate::tls::Tls;

pub(crate) struct Foreign {
    verifier: Verifier,
    pub(crate) resources: Resources,
}

impl Foreign {
    pub(super) fn new(config: &Config, resources: Resources, tls: &Tls) -> Result<Self, rustls::Error> {
        Ok(Self { verifier: Verifier::new(&config.jwt, tls)?, resources })
    }

    pub(super) async fn bearer(
        &self,
        shown: &[u8],
        uri: &Uri,
        certificate: Option<&Certificate>,
    ) -> Result<Vouched, Unauthorized> {
        let token = std::str::from_utf8(shown).map_err(|_| Unauthorized::Malformed)?;
        let mount = Mount::of(uri).ok_or(Unauthorized::NoMount)?;
        let bearer = self.verifier.verify(token, &self.resources.url(mount), Now::read()).await?;
        bound(&bearer, certificate)?;
        let lacks = self.resources.lacking(&bearer.scopes);
        if mount.server.is_some_and(|server| lacks.contains(server)) {
            return Err(Unauthorized::Scope(bearer.agent));
        }
        Ok(vouched(bearer, lacks))
    }

    /// Keeps the issuers' keys fresh, as long as it is polled.
    pub(super) fn keepers(&self) -> impl Iterator<Item = impl Future<Output = ()> + Send + use<>> {
        self.verifier.keepers()
    }

    /// `WWW-Authenticate` for somebody who came by this way. `error` is the code of RFC 6750, if there is one.
    pub(super) fn challenge(&self, uri: &Uri, error: Option<&str>) -> HeaderValue {
        self.resources.challenge(Mount::of(uri), error)
    }
}

fn vouched(bearer: Bearer, lacks: BTreeSet<Box<str>>) -> Vouched {
    let Bearer { agent, labels, until, issuer, scopes: _, certificate: _ } = bearer;
    Vouched { agent, labels, lacks, until, proof: Proof::Jwt(issuer) }
}

/// RFC 8705, section 3.
fn bound(bearer: &Bearer, certificate: Option<&Certificate>) -> Result<(), Unauthorized> {
    let Some(wanted) = &bearer.certificate else { return Ok(()) };
    match certificate.is_some_and(|shown| bool::from(shown.sha256.ct_eq(wanted))) {
        true => Ok(()),
        false => Err(Unauthorized::Certificate),
    }
}
