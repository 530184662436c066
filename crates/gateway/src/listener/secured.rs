//! TLS with clients: the certificate that we show, whom we believe, and the handshakes that are under way. Files that change are read
//! again; bad ones change nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Certificate;
use crate::config::{self, BadPair, Certificates, ListenTls};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

pub(crate) struct Secured {
    files: ListenTls,
    names: Option<Certificates>,
    current: ArcSwap<ServerConfig>,
    /// What they held before they were read: what changes from then on is a change.
    first: Seen,
    places: Arc<Semaphore>,
}

/// A handshake that may begin.
pub(crate) struct Handshake {
    config: Arc<ServerConfig>,
    secured: Arc<Secured>,
    _place: OwnedSemaphorePermit,
}

/// Why TLS cannot be served with these files.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    #[error("`{}` {reason}", file.display())]
    File { file: PathBuf, reason: String },
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("client certificates cannot be verified: {0}")]
    Clients(String),
}

/// What the files hold, to tell whether they changed. None for what cannot be read.
#[derive(Clone, PartialEq, Eq)]
struct Seen(Vec<Option<String>>);

impl Secured {
    pub(crate) fn new(files: ListenTls, names: Option<Certificates>) -> Result<Self, BadTls> {
        let places = Arc::new(Semaphore::new(files.handshakes.get()));
        let first = Seen::now(&files);
        Ok(Self { current: ArcSwap::new(server(&files)?), first, files, names, places })
    }

    /// None if too many are under way.
    pub(crate) fn handshake(self: &Arc<Self>) -> Option<Handshake> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Handshake { config: self.current.load_full(), secured: Arc::clone(self), _place: place })
    }

    /// Reads the files again whenever they changed, for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut seen = self.first.clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Seen::now(&self.files);
            if now != seen {
                self.reload();
                seen = now;
            }
        }
    }

    fn reload(&self) {
        match server(&self.files) {
            Ok(config) => {
                self.current.store(config);
                tracing::info!("the listener's certificate was reloaded");
            }
            Err(error) => {
                let error = crate::policies::chain(&error);
                tracing::warn!(error, "the listener's certificate was not reloaded, the one before stays");
            }
        }
    }
}

impl Handshake {
    /// The stream, and the certificate that the client showed, which was verified.
    pub(crate) async fn shake<S>(self, stream: S) -> std::io::Result<(TlsStream<S>, Option<Certificate>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(self.config).accept(stream);
        let stream = tokio::time::timeout(self.secured.files.handshake_timeout, accepting).await??;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = match shown {
            None => None,
            // INVARIANT: a certificate that we cannot read is not the same as none
            Some(shown) => {
                Some(Certificate::read(shown, self.secured.names.as_ref()).ok_or(std::io::ErrorKind::InvalidData)?)
            }
        };
        Ok((stream, certificate))
    }
}

impl Seen {
    fn now(files: &ListenTls) -> Self {
        let ca = files.clients.as_ref().map(|clients| &clients.ca);
        Self([&files.cert, &files.key].into_iter().chain(ca).map(|file| config::read_text(file).ok()).collect())
    }
}

fn server(files: &ListenTls) -> Result<Arc<ServerConfig>, BadTls> {
    let bad = |file: &Path, reason| BadTls::File { file: file.to_owned(), reason };
    let pair = config::pair(&files.cert, &files.key).map_err(|why| match why {
        BadPair::Certificate(reason) => bad(&files.cert, reason),
        BadPair::Key(reason) => bad(&files.key, reason),
    })?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &files.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            for ca in config::authorities(&clients.ca).map_err(|reason| bad(&clients.ca, reason))? {
                roots.add(ca)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            let verifier = if clients.required { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| BadTls::Clients(error.to_string()))?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if files.clients.is_some() {
        // Who resumes a session shows no certificate again: it might have expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(Arc::new(config))
}
