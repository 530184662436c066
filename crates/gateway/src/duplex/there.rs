//! A gateway elsewhere, over HTTP: no redirects, no cookies, our token and nothing else of ours.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::service::Trouble;
use crate::config::Bounds;
use crate::tls::Tls;

/// Silence on a connection after which the kernel asks whether the other side is still there.
const PROBE: Duration = Duration::from_secs(30);

/// Idle connections, and for how long.
const IDLE: usize = 16;
const IDLE_FOR: Duration = Duration::from_secs(60);

pub(crate) struct There {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    token: Option<HeaderValue>,
    /// Until a response begins.
    patience: Duration,
}

impl There {
    pub(super) fn new(url: Uri, token: Option<HeaderValue>, tls: &Tls, bounds: &Bounds) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        connector.set_keepalive(Some(PROBE));
        connector.set_connect_timeout(Some(bounds.connect_timeout));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config((*tls.config).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        // The gateway ends a call by `call_timeout`; a little more, so that it is the one who says so.
        Self { client, url, token, patience: bounds.call_timeout + super::TELLING }
    }

    pub(super) async fn post(&self, mut headers: HeaderMap, body: Bytes) -> Result<Response<Incoming>, Trouble> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        self.send(Verb::POST, headers, body).await
    }

    pub(super) async fn get(&self, mut headers: HeaderMap) -> Result<Response<Incoming>, Trouble> {
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.send(Verb::GET, headers, Bytes::new()).await
    }

    pub(super) async fn delete(&self, headers: HeaderMap) -> Result<Response<Incoming>, Trouble> {
        self.send(Verb::DELETE, headers, Bytes::new()).await
    }

    async fn send(&self, verb: Verb, headers: HeaderMap, body: Bytes) -> Result<Response<Incoming>, Trouble> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = verb;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("toolgate/", env!("CARGO_PKG_VERSION"))));
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        match timeout(self.patience, self.client.request(request)).await {
            Err(_) => Err(Trouble::Timeout),
            Ok(Err(source)) if source.is_connect() => {
                Err(Trouble::Unreached { at: self.shown(), source: source.into() })
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %crate::policies::chain(&error), "the connection broke off");
                Err(Trouble::BrokeOff)
            }
            Ok(Ok(response)) => Ok(response),
        }
    }

    /// The address without its query, which may be secret.
    fn shown(&self) -> Box<str> {
        let (scheme, host) =
            (self.url.scheme_str().unwrap_or_default(), self.url.authority().map_or("", |a| a.as_str()));
        format!("{scheme}://{host}{}", self.url.path()).into()
    }
}
