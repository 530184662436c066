//! Which transport a server has: Streamable HTTP if it takes an `initialize`; if not, and it names an `endpoint`, HTTP+SSE. What was
//! found is remembered until it fails.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::{OldSse, Said};
use crate::answering::Answering;
use crate::limits::Held;
use crate::policies::chain;
use crate::reply::SESSION_ID;
use crate::upstream::{Departing, MCP_METHOD, Upstream, UpstreamError};

type Trying<'a> = Pin<Box<dyn Future<Output = Result<Response<Answering>, UpstreamError>> + Send + 'a>>;

pub(crate) struct Auto {
    pub(crate) old: OldSse,
    /// The server was found to have HTTP+SSE only.
    known: AtomicBool,
}

impl Auto {
    pub(crate) fn new(old: OldSse) -> Self {
        Self { old, known: AtomicBool::new(false) }
    }

    pub(crate) fn is_known_as_old(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    pub(crate) async fn post(
        &self,
        upstream: &Upstream,
        extra: HeaderMap,
        body: Bytes,
        held: Option<Held>,
    ) -> Result<Response<Answering>, UpstreamError> {
        if self.is_old(&extra) {
            let posted = self.old.post(upstream, extra, body, held).await;
            if posted.is_err() {
                self.known.store(false, Ordering::Relaxed);
            }
            return posted;
        }
        let endpoint = &self.old.endpoint;
        if extra.contains_key(&SESSION_ID) || extra.contains_key(&MCP_METHOD) {
            return upstream.post_to(endpoint, endpoint.url.clone(), extra, Departing::new(body, held)).await;
        }
        let departing = Departing::new(body.clone(), held);
        let response = upstream.post_to(endpoint, endpoint.url.clone(), extra.clone(), departing).await?;
        let refused = matches!(
            response.status(),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        );
        match refused && Said::read(&body).is_initialize() {
            true => self.try_old(upstream, extra, body, response).await,
            false => Ok(response),
        }
    }

    /// The server does not take an `initialize`: that stands, unless it has the old transport. Boxed, since finding out the era posts
    /// a message here, and the future would hold itself.
    fn try_old<'a>(
        &'a self,
        upstream: &'a Upstream,
        extra: HeaderMap,
        body: Bytes,
        refused: Response<Answering>,
    ) -> Trying<'a> {
        Box::pin(async move {
            if upstream.server.era.is_modern(upstream).await.unwrap_or(false) {
                return Ok(refused); // of another era, which has no old transport
            }
            match self.old.post(upstream, extra, body, None).await {
                Ok(response) => {
                    self.known.store(true, Ordering::Relaxed);
                    tracing::info!(server = %upstream.server.id, "the server speaks HTTP+SSE, as of 2024-11-05");
                    Ok(response)
                }
                Err(error) => {
                    tracing::debug!(server = %upstream.server.id, error = %chain(&error), "no HTTP+SSE either");
                    Ok(refused)
                }
            }
        })
    }

    /// Is this for the old transport?
    pub(crate) fn is_old(&self, extra: &HeaderMap) -> bool {
        match extra.get(&SESSION_ID) {
            Some(id) => self.old.line(id).is_some() || self.known.load(Ordering::Relaxed),
            None => self.known.load(Ordering::Relaxed),
        }
    }
}
