//! TLS on the listeners: our certificate, whose clients' certificates are believed, and what these say of who calls. The files
//! are read here, so that a bad one is found before anything starts, and again when they change.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Problem;
use super::settings::Settings;
use super::tls::{self, Named};
use super::value::{self, Written};
use super::{Auth, Listen, MILLISECOND, SECOND};

const PEM: &str = "the path of a PEM file";

#[derive(Clone, Debug)]
pub struct ListenTls {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub clients: Option<ClientCertificates>,
    pub handshake_timeout: Duration,
    /// Handshakes under way.
    pub handshakes: NonZeroUsize,
}

/// Whose clients' certificates are believed.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    pub ca: PathBuf,
    /// Without one, nobody gets in.
    pub required: bool,
}

/// How a client's certificate says who calls.
#[derive(Clone, Debug)]
pub struct Certificates {
    pub agent: NameOf,
    /// What the agent's id begins with.
    pub prefix: Box<str>,
    /// A token is only good beside the certificate of the same agent.
    pub bind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOf {
    CommonName,
    Uri,
    Dns,
}

pub(super) fn read(settings: &mut Settings) -> Option<ListenTls> {
    let handshake_timeout = settings.span("listen.tls.handshake_timeout", MILLISECOND..=60 * SECOND);
    let handshakes = settings.count("listen.tls.handshakes", 1_000_000);
    let origin = settings.origin(&["listen", "tls"]);
    let [cert, key, ca] = ["cert", "key", "client_ca"].map(|last| tls::file(&["listen", "tls", last], PEM, settings));
    let required =
        settings.read("listen.tls.client", None, "\"required\" or \"optional\"", |found| match value::text(found)? {
            "required" => Some(Some(true)),
            "optional" => Some(Some(false)),
            _ => None,
        });
    let mut unusable = |key: &str, reason: &str| {
        settings.problem(Problem::Unusable { key: key.to_owned(), reason: reason.to_owned(), origin: origin.clone() })
    };
    match (&ca, required) {
        (Some(_), None) => unusable(
            "listen.tls.client",
            "is missing: say whether a client's certificate is \"required\" or \"optional\"",
        ),
        (None, Some(_)) => unusable("listen.tls.client", "needs `client_ca` beside it"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    match (&cert, &key) {
        (Some(_), None) => unusable("listen.tls.cert", "needs `key` beside it"),
        (None, Some(_)) => unusable("listen.tls.key", "needs `cert` beside it"),
        (None, None) if ca.is_some() => unusable("listen.tls.client_ca", "needs `cert` and `key` beside it"),
        (None, None) | (Some(_), Some(_)) => {}
    }
    let (cert, key) = (cert?, key?);
    tls::identity(&cert, &key, settings);
    let clients = ca.map(|ca| authority(ca, required == Some(true), settings));
    Some(ListenTls { cert: cert.path, key: key.path, clients, handshake_timeout, handshakes })
}

/// Handshakes under way at the admin listener: as many as there may be connections.
const ADMIN_HANDSHAKES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// The certificate of the admin listener. Who asks there is told by tokens and sessions, never by certificates.
pub(super) fn admin(settings: &mut Settings) -> Option<ListenTls> {
    let handshake_timeout = settings.span("admin.tls.handshake_timeout", MILLISECOND..=60 * SECOND);
    let origin = settings.origin(&["admin", "tls"]);
    let [cert, key] = ["cert", "key"].map(|last| tls::file(&["admin", "tls", last], PEM, settings));
    let missing = match (&cert, &key) {
        (Some(_), None) => Some(("admin.tls.cert", "needs `key` beside it")),
        (None, Some(_)) => Some(("admin.tls.key", "needs `cert` beside it")),
        (None, None) | (Some(_), Some(_)) => None,
    };
    if let Some((key, reason)) = missing {
        settings.problem(Problem::Unusable { key: key.to_owned(), reason: reason.to_owned(), origin });
    }
    let (cert, key) = (cert?, key?);
    tls::identity(&cert, &key, settings);
    let (cert, key) = (cert.path, key.path);
    Some(ListenTls { cert, key, clients: None, handshake_timeout, handshakes: ADMIN_HANDSHAKES })
}

fn authority(ca: Named, required: bool, settings: &mut Settings) -> ClientCertificates {
    tls::unless_bad(settings, &ca, tls::authorities(&ca.path));
    ClientCertificates { ca: ca.path, required }
}

pub(super) fn certificates(settings: &mut Settings, auth: Auth, listen: &Listen) -> Option<Certificates> {
    let origin = settings.origin(&["auth", "certificates"]);
    if !settings.names(&["auth"]).iter().any(|below| below == "certificates") {
        return None;
    }
    let agent =
        settings.read(
            "auth.certificates.agent",
            None,
            "\"cn\", \"san_uri\" or \"san_dns\"",
            |found| match value::text(found)? {
                "cn" => Some(Some(NameOf::CommonName)),
                "san_uri" => Some(Some(NameOf::Uri)),
                "san_dns" => Some(Some(NameOf::Dns)),
                _ => None,
            },
        );
    let prefix =
        settings.read("auth.certificates.prefix", "cert:".into(), "at most 64 characters", |found: &Written| {
            Some(value::text(found).filter(|text| text.len() <= 64 && !text.chars().any(char::is_control))?.into())
        });
    let bind = settings.read("auth.certificates.bind", false, "true or false", value::flag);
    let mut unusable = |key: &str, reason: &str| {
        settings.problem(Problem::Unusable { key: key.to_owned(), reason: reason.to_owned(), origin: origin.clone() })
    };
    if listen.tls.as_ref().is_none_or(|tls| tls.clients.is_none()) {
        unusable("auth.certificates", "needs `listen.tls.client_ca`: without it nobody shows a certificate");
    }
    if auth == Auth::Anonymous {
        unusable("auth.certificates", "has no effect while `auth.mode` is \"anonymous\", which lets in everybody");
    }
    if agent.is_none() {
        unusable("auth.certificates.agent", "is missing: say which name of a certificate is the agent's");
    }
    Some(Certificates { agent: agent?, prefix, bind })
}
