//! A client's certificate, after the handshake found it good: whose it is, and until when.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::config::{Certificates, NameOf};

/// Of an agent's id, with its prefix.
const MAX_AGENT: usize = 256;

/// What callers are called that nobody knows. Nobody else is.
const NOBODY: &str = "anonymous";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Of the whole certificate, as tokens name it that are bound to one (RFC 8705).
    pub(crate) sha256: [u8; 32],
    /// The agent's id. None if nobody asked for one, or if the certificate has no name of that kind, or several.
    pub(crate) agent: Option<Box<str>>,
    /// Connections may outlive it; nobody is let in by it any more.
    pub(crate) until: SystemTime,
}

impl Certificate {
    /// None if it cannot be read, though it could be verified.
    pub(super) fn read(der: &CertificateDer<'_>, rules: Option<&Certificates>) -> Option<Self> {
        let (rest, read) = X509Certificate::from_der(der).ok()?;
        let until = u64::try_from(read.validity().not_after.timestamp()).ok()?;
        rest.is_empty().then(|| Self {
            sha256: Sha256::digest(der).into(),
            agent: rules.and_then(|rules| agent(&read, rules)),
            until: SystemTime::UNIX_EPOCH + Duration::from_secs(until),
        })
    }
}

fn agent(read: &X509Certificate<'_>, rules: &Certificates) -> Option<Box<str>> {
    let name = match rules.agent {
        NameOf::CommonName => only(read.subject().iter_common_name().map(|name| name.as_str().ok()))?.to_owned(),
        NameOf::Uri => only(names(read).filter_map(|name| uri(name).map(Some)))?.to_owned(),
        NameOf::Dns => only(names(read).filter_map(|name| dns(name).map(Some)))?.to_ascii_lowercase(),
    };
    let agent = format!("{}{name}", rules.prefix);
    let lawful = !name.is_empty() && agent.len() <= MAX_AGENT && !agent.chars().any(char::is_control);
    let lawful = lawful && !agent.starts_with(NOBODY);
    lawful.then(|| agent.into())
}

/// INVARIANT: of several names none counts, for others may count another one.
fn only<'n>(mut names: impl Iterator<Item = Option<&'n str>>) -> Option<&'n str> {
    let first = names.next()?;
    match names.next() {
        None => first,
        Some(_) => None,
    }
}

fn names<'c>(read: &'c X509Certificate<'_>) -> impl Iterator<Item = &'c GeneralName<'c>> {
    let extension = read.subject_alternative_name().ok().flatten();
    extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default().iter()
}

fn uri<'c>(name: &'c GeneralName<'_>) -> Option<&'c str> {
    if let GeneralName::URI(uri) = name { Some(uri) } else { None }
}

fn dns<'c>(name: &'c GeneralName<'_>) -> Option<&'c str> {
    if let GeneralName::DNSName(name) = name { Some(name) } else { None }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn certificate(with: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        with(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[track_caller]
    fn check(of: NameOf, expected: Option<&str>, with: impl FnOnce(&mut CertificateParams)) {
        let rules = Certificates { agent: of, prefix: "cert:".into(), bind: false };
        let read = Certificate::read(&certificate(with), Some(&rules)).unwrap();
        assert_eq!(read.agent.as_deref(), expected);
    }

    #[test]
    fn the_one_name_of_the_chosen_kind_is_the_agents() {
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let uri = |name: &str| SanType::URI(name.try_into().unwrap());
        let cn = |name: &str| DnValue::Utf8String(name.to_owned());
        check(NameOf::CommonName, Some("cert:alice"), |of| of.distinguished_name.push(DnType::CommonName, cn("alice")));
        check(NameOf::CommonName, None, |_| {});
        check(NameOf::CommonName, None, |of| of.distinguished_name.push(DnType::CommonName, cn("")));
        check(NameOf::CommonName, None, |of| of.distinguished_name.push(DnType::CommonName, cn("al\nice")));
        check(NameOf::CommonName, None, |of| of.subject_alt_names = vec![dns("alice")]);
        check(NameOf::Dns, Some("cert:bot.example"), |of| {
            of.subject_alt_names = vec![dns("Bot.Example"), uri("urn:x")]
        });
        check(NameOf::Dns, None, |of| of.subject_alt_names = vec![dns("a.example"), dns("b.example")]);
        check(NameOf::Uri, Some("cert:spiffe://corp/bot"), |of| {
            of.subject_alt_names = vec![dns("a.example"), uri("spiffe://corp/bot")];
        });
        check(NameOf::Uri, None, |of| of.subject_alt_names = vec![uri("urn:a"), uri("urn:b")]);
        check(NameOf::Uri, None, |of| of.subject_alt_names = vec![uri(&"u".repeat(300))]);
    }

    #[test]
    fn nobody_is_anybody_when_no_name_was_asked_for() {
        let der = certificate(|of| of.distinguished_name.push(DnType::CommonName, "alice"));
        let read = Certificate::read(&der, None).unwrap();
        assert_eq!(read.agent, None);
        assert_eq!(read.sha256, <[u8; 32]>::from(Sha256::digest(&der)));
    }
}
