//! TLS towards one server: whom to trust, and who we are. The files are read here, so that a bad one is found before anything starts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Uri;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use super::error::Problem;
use super::layers::read_text;
use super::origin::Origin;
use super::settings::{Entry, Settings};
use super::value::{self, Written};

const PEM: &str = "the path of a PEM file";

#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Trusted beside the system's roots, or instead of them.
    pub(crate) ca: Vec<CertificateDer<'static>>,
    pub(crate) ca_only: bool,
    /// Our own certificate, for servers that want to see one.
    pub(crate) identity: Option<Arc<CertifiedKey>>,
    /// A key that every user of this machine can read.
    pub(crate) exposed_key: Option<PathBuf>,
    /// The name on the server's certificate, where it is not the URL's.
    pub(crate) server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("ca", &self.ca.len())
            .field("ca_only", &self.ca_only)
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// A file that the operator named.
pub(super) struct Named {
    key: String,
    pub(super) path: PathBuf,
    origin: Origin,
}

/// Whoever these authorities vouch for is trusted too.
pub(super) fn authority(path: &[&str], settings: &mut Settings) -> Option<TlsOptions> {
    let file = file(path, PEM, settings)?;
    let ca = unless_bad(settings, &file, authorities(&file.path))?;
    Some(TlsOptions { ca, ..TlsOptions::default() })
}

pub(super) fn read(name: &str, url: Option<&Uri>, settings: &mut Settings) -> Option<TlsOptions> {
    let origin = settings.origin(&["servers", name, "tls"]);
    if !settings.names(&["servers", name]).iter().any(|below| below == "tls") {
        return None;
    }
    let key = |last: &str| format!("servers.{name}.tls.{last}");
    let ca_only = settings.read(&key("ca_only"), false, "true or false", value::flag);
    let expected = "the name on the server's certificate";
    let server_name = settings.read(&key("server_name"), None, expected, |found| {
        Some(Some(ServerName::try_from(value::text(found)?.to_owned()).ok()?))
    });
    let [ca, cert, own_key] = ["ca", "cert", "key"].map(|last| file(&["servers", name, "tls", last], PEM, settings));
    let exposed_key = own_key.as_ref().map(|file| file.path.clone()).filter(|path| is_exposed(path));
    let ca_named = ca.is_some();
    let ca = ca.and_then(|file| unless_bad(settings, &file, authorities(&file.path))).unwrap_or_default();
    let mut unusable = |key: String, reason: &str| {
        settings.problem(Problem::Unusable { key, reason: reason.to_owned(), origin: origin.clone() })
    };
    if ca_only && !ca_named {
        unusable(key("ca_only"), "trusts nobody without `ca`");
    }
    if url.is_some_and(|url| url.scheme_str() != Some("https")) {
        unusable(format!("servers.{name}.tls"), "is for a server whose `url` is https");
    }
    let identity = match (cert, own_key) {
        (Some(cert), Some(own_key)) => identity(&cert, &own_key, settings),
        (Some(_), None) => {
            unusable(key("cert"), "needs `key` beside it");
            None
        }
        (None, Some(_)) => {
            unusable(key("key"), "needs `cert` beside it");
            None
        }
        (None, None) => None,
    };
    Some(TlsOptions { ca, ca_only, identity, exposed_key, server_name })
}

pub(super) fn file(path: &[&str], expected: &str, settings: &mut Settings) -> Option<Named> {
    match settings.take(path)? {
        Entry { value: Written::Text(text), origin } if !text.is_empty() => {
            let key = path.join(".");
            match origin.resolve(&text) {
                Ok(path) => Some(Named { key, path, origin }),
                Err(error) => {
                    settings.problem(Problem::Unusable { key, reason: error.to_string(), origin });
                    None
                }
            }
        }
        entry => {
            let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
            settings.invalid(&path, &entry.value, expected, entry.origin);
            None
        }
    }
}

pub(super) fn unless_bad<T>(settings: &mut Settings, file: &Named, read: Result<T, String>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(reason) => {
            let reason = format!("cannot be used: `{}` {reason}", file.path.display());
            settings.problem(Problem::Unusable { key: file.key.clone(), reason, origin: file.origin.clone() });
            None
        }
    }
}

fn text(file: &Path) -> Result<String, String> {
    read_text(file).map_err(|error| format!("cannot be read: {error}"))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = text(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match all {
        Ok(all) if all.is_empty() => Err("holds no certificate in PEM form".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("is not PEM: {error}")),
    }
}

/// Certificate authorities; at least one.
pub(crate) fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = certificates(file)?;
    let mut store = RootCertStore::empty();
    for (n, certificate) in all.iter().enumerate() {
        let added = store.add(certificate.clone());
        added.map_err(|error| format!("holds a certificate (the {}. one) that is malformed: {error}", n + 1))?;
    }
    Ok(all)
}

/// Which file of a pair is the bad one.
pub(crate) enum BadPair {
    Certificate(String),
    Key(String),
}

/// A certificate with its chain, and the key that belongs to it.
pub(crate) fn pair(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, BadPair> {
    let chain = certificates(cert).map_err(BadPair::Certificate)?;
    let private = text(key).and_then(|text| {
        PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| "holds no private key in PEM form".to_owned())
    });
    let private = private.map_err(BadPair::Key)?;
    let pair = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider());
    pair.map(Arc::new).map_err(|error| {
        BadPair::Key(match matches!(error, rustls::Error::InconsistentKeys(_)) {
            true => format!("is not the key of `{}`", cert.display()),
            false => format!("does not fit `{}`: {error}", cert.display()),
        })
    })
}

pub(super) fn identity(cert: &Named, key: &Named, settings: &mut Settings) -> Option<Arc<CertifiedKey>> {
    match pair(&cert.path, &key.path) {
        Ok(pair) => Some(pair),
        Err(BadPair::Certificate(reason)) => unless_bad(settings, cert, Err(reason)),
        Err(BadPair::Key(reason)) => unless_bad(settings, key, Err(reason)),
    }
}

#[cfg(unix)]
pub(super) fn is_exposed(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(super) fn is_exposed(_: &Path) -> bool {
    false
}
