//! Makes the connections to one server: the address judged, TLS by that server's own rules, all of it within one time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;
use url::Host;

use super::Guard;
use super::names::{BoxError, Checked, Names};
use crate::health::Health;
use crate::server::Road;

/// A connection on which nothing comes is asked for after this long, then at this interval, and is over after so many in vain: a
/// stream to a machine that vanished ends, though nobody closed it.
const SILENT: Duration = Duration::from_secs(30);
const ASKED: Duration = Duration::from_secs(10);
const ASKINGS: u32 = 3;

/// hyper's way to an upstream.
#[derive(Clone)]
pub(crate) struct Connector {
    https: HttpsConnector<HttpConnector<Checked<Names>>>,
    guard: Arc<Guard>,
    health: Arc<Health>,
    timeout: Duration,
}

/// A connection took too long: the look-up of the name, TCP and TLS together.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
pub(crate) struct Slow(Duration);

pub(crate) fn connector(road: &Road, timeout: Duration) -> Connector {
    let Road { guard, pinned, tls, health } = road;
    let checked = Checked { names: Names::new(Arc::clone(pinned)), guard: Arc::clone(guard) };
    let mut http = HttpConnector::new_with_resolver(checked);
    http.set_nodelay(true);
    http.enforce_http(false);
    http.set_connect_timeout(Some(timeout));
    http.set_keepalive(Some(SILENT));
    http.set_keepalive_interval(Some(ASKED));
    http.set_keepalive_retries(Some(ASKINGS));
    let config = Arc::clone(&tls.config);
    let https = match tls.server_name.clone() {
        Some(name) => HttpsConnector::new(http, config, false, Arc::new(FixedServerNameResolver::new(name))),
        None => HttpsConnector::new(http, config, false, Arc::new(DefaultServerNameResolver::default())),
    };
    Connector { https, guard: Arc::clone(guard), health: Arc::clone(health), timeout }
}

impl Connector {
    /// What the resolver never sees: an address in place of a name.
    fn check(&self, uri: &Uri) -> Result<(), BoxError> {
        match Host::parse(uri.host().unwrap_or_default())? {
            Host::Ipv4(address) => Ok(self.guard.check(address.into())?),
            Host::Ipv6(address) => Ok(self.guard.check(address.into())?),
            Host::Domain(_) => Ok(()),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if let Err(forbidden) = self.check(&uri) {
            return Box::pin(async { Err(forbidden) });
        }
        let (connecting, health, timeout) = (self.https.call(uri), Arc::clone(&self.health), self.timeout);
        Box::pin(async move {
            let connection = tokio::time::timeout(timeout, connecting).await.map_err(|_| Slow(timeout))??;
            health.connected();
            Ok(connection)
        })
    }
}
