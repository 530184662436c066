//! The server over Streamable HTTP, both eras, at `/mcp`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::FineTuningServer;

const MOST_CONNECTIONS: usize = 1_024;
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// After an accept that failed for want of file descriptors.
const BREATH: Duration = Duration::from_millis(20);

type Reply = Response<BoxBody<Bytes, Infallible>>;
type Mcp = StreamableHttpService<FineTuningServer, LocalSessionManager>;

/// Serves at `/mcp` until the future is dropped, which closes all connections.
///
/// With `bearer`, only who shows that token is answered. Without it, whoever can connect may do what the credential may.
pub async fn serve_http(server: FineTuningServer, listener: TcpListener, bearer: Option<SecretString>) {
    let sessions = Arc::new(LocalSessionManager::default());
    // No page in a browser has business here, whatever name it has found for this address: a request with an origin is refused.
    let config = StreamableHttpServerConfig::default().enforce_origin_validation();
    let mcp: Mcp = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    let bearer = Arc::new(bearer);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        // Small messages in both directions: waiting to fill a segment would only add latency. If that cannot be, so be it.
        _ = stream.set_nodelay(true);
        let (mcp, bearer) = (mcp.clone(), Arc::clone(&bearer));
        let service = service_fn(move |request| {
            let (mcp, bearer) = (mcp.clone(), Arc::clone(&bearer));
            async move { Ok::<_, Infallible>(answer(request, &mcp, bearer.as_ref().as_ref()).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            _ = served.await;
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, mcp: &Mcp, bearer: Option<&SecretString>) -> Reply {
    if bearer.is_some_and(|bearer| !shows(request.headers(), bearer)) {
        let mut refused = empty(StatusCode::UNAUTHORIZED);
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    }
    match request.uri().path() {
        "/mcp" => mcp.handle(request).await,
        _ => empty(StatusCode::NOT_FOUND),
    }
}

fn shows(headers: &HeaderMap, bearer: &SecretString) -> bool {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    shown.is_some_and(|shown| shown.ct_eq(bearer.expose_secret().as_bytes()).into())
}

fn empty(status: StatusCode) -> Reply {
    let mut response = Response::new(Empty::new().boxed());
    *response.status_mut() = status;
    response
}
