//! Gets a small document from an issuer: addresses judged as those of servers are, no redirect, no proxy of the environment's, so
//! many bytes within so much time.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::guard;
use crate::server::Road;

/// Of a document.
const MAX_BYTES: usize = 256 * 1024;
/// For one document, from the look-up of the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoDocument {
    #[error("`{0}` answered {1}")]
    Status(Uri, StatusCode),
    #[error("`{0}` did not answer within {PATIENCE:?}")]
    Slow(Uri),
    #[error("`{0}` cannot be read: {1}")]
    Broken(Uri, String),
}

pub(super) async fn get(road: &Road, url: &Uri) -> Result<String, NoDocument> {
    let document = tokio::time::timeout(PATIENCE, whole(road, url)).await;
    document.unwrap_or_else(|_| Err(NoDocument::Slow(url.clone())))
}

async fn whole(road: &Road, url: &Uri) -> Result<String, NoDocument> {
    let broken = |error: &(dyn Error + 'static)| NoDocument::Broken(url.clone(), crate::policies::chain(error));
    let connector = guard::connector(road, PATIENCE);
    // One request now and then: a pool of its own ends with it.
    let client: Client<_, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let request = Request::get(url)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("toolgate/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new());
    let request = request.map_err(|error| broken(&error))?;
    let response = client.request(request).await.map_err(|error| broken(&error))?;
    if response.status() != StatusCode::OK {
        return Err(NoDocument::Status(url.clone(), response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    let body = body.map_err(|error| broken(error.as_ref()))?.to_bytes();
    String::from_utf8(body.into()).map_err(|error| broken(&error))
}
