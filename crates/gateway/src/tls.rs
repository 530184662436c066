//! TLS towards upstreams: one set of rules for all servers that ask for nothing else, and one for each that does.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use crate::config::TlsOptions;

/// How connections to one server are secured.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    /// Where the certificate is for another name than the URL's.
    pub(crate) server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// The system's roots. Where there are none, an https upstream fails when it is called, and says so.
    pub(crate) fn of_system() -> Result<Self, rustls::Error> {
        let config = match builder()?.try_with_platform_verifier() {
            Ok(config) => config.with_no_client_auth(),
            Err(error) => {
                tracing::warn!(%error, "no trusted certificates on this machine: https upstreams will fail");
                builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
            }
        };
        Ok(Self { config: Arc::new(config), server_name: None })
    }

    pub(crate) fn new(options: &TlsOptions) -> Result<Self, rustls::Error> {
        let trusting = trusting(options)?;
        let config = match &options.identity {
            Some(pair) => {
                let resolver = SingleCertAndKey::from(Arc::clone(pair));
                trusting.with_client_cert_resolver(Arc::new(resolver))
            }
            None => trusting.with_no_client_auth(),
        };
        Ok(Self { config: Arc::new(config), server_name: options.server_name.clone() })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()
}

fn trusting(options: &TlsOptions) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let verifier: Arc<dyn ServerCertVerifier> = match (options.ca_only, options.ca.is_empty()) {
        (false, true) => return builder()?.try_with_platform_verifier(),
        (false, false) => Arc::new(Verifier::new_with_extra_roots(options.ca.iter().cloned(), provider())?),
        (true, _) => {
            let mut roots = RootCertStore::empty();
            for ca in &options.ca {
                roots.add(ca.clone())?;
            }
            let built = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build();
            built.map_err(|error| rustls::Error::General(error.to_string()))?
        }
    };
    // What rustls calls dangerous is to choose a verifier: these are its own.
    Ok(builder()?.dangerous().with_custom_certificate_verifier(verifier))
}
