//! `toolgate bridge`: a stdio client before a gateway elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{HeaderValue, Uri};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::stdio;
use super::{Service, there::There};
use crate::config::{Config, TlsOptions, server_url};
use crate::head::is_loopback;
use crate::tls::Tls;

/// Where the gateway is, and how to be let in.
#[derive(Clone, Default)]
pub struct Bridge {
    pub url: String,
    /// Sent as a bearer token. Not `Debug`: it is a secret.
    pub token: Option<String>,
    /// Certificates, in PEM, that are trusted beside the system's.
    pub ca: Option<PathBuf>,
}

/// Why a bridge cannot be.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    #[error("`{url}` {why}")]
    Url { url: String, why: String },
    #[error("the token would cross the network unencrypted: use an https URL")]
    Unencrypted,
    #[error("the token holds characters that no header may have")]
    Token,
    #[error("cannot read certificates from `{path}`: {why}")]
    Ca { path: PathBuf, why: String },
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Serves the client until it ends, or `stop` does.
pub async fn bridge(
    bridge: Bridge,
    config: &Config,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin + Send + 'static,
    stop: impl Future<Output = ()>,
) -> Result<(), BridgeError> {
    let bounds = Arc::new(config.bounds.clone());
    let url = server_url(&bridge.url).map_err(|why| BridgeError::Url { url: bridge.url.clone(), why })?;
    let token = bridge.token.filter(|token| !token.is_empty()).map(|token| bearer(&token, &url)).transpose()?;
    let there = There::new(
        url,
        token,
        &Tls::new(&TlsOptions { ca: roots(bridge.ca.as_deref())?, ..TlsOptions::default() })?,
        &bounds,
    );
    stdio::run(Service::There(Box::new(there)), bounds, reader, writer, stop).await;
    Ok(())
}

fn bearer(token: &str, url: &Uri) -> Result<HeaderValue, BridgeError> {
    if url.scheme_str() != Some("https") && !url.host().is_some_and(is_loopback) {
        return Err(BridgeError::Unencrypted);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| BridgeError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn roots(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, BridgeError> {
    let Some(path) = ca else { return Ok(Vec::new()) };
    let fail = |why: String| BridgeError::Ca { path: path.to_owned(), why };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| fail(error.to_string()))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| fail(error.to_string()))?;
    if found.is_empty() {
        return Err(fail("there are none".to_owned()));
    }
    Ok(found)
}
