//! The GET stream of a legacy session, fed by `subscriptions/listen`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{oneshot, watch};

use super::ToModern;
use crate::pipeline::{Entry, Pipeline};
use crate::reply::{self, Reply};
use crate::session::Session;
use crate::upstream::Upstream;

/// Resources that one session may be subscribed to.
const MAX_SUBSCRIPTIONS: usize = 256;

/// What the session is subscribed to, and the stream that tells.
pub(super) struct Subscriptions {
    uris: watch::Sender<BTreeSet<Box<str>>>,
    /// Dropping it ends the stream. A session has one: the latest.
    stream: Mutex<Option<oneshot::Sender<()>>>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { uris: watch::Sender::new(BTreeSet::new()), stream: Mutex::default() }
    }
}

impl Subscriptions {
    /// False when there are too many.
    pub(super) fn add(&self, uri: &str) -> bool {
        let mut room = true;
        self.uris.send_if_modified(|uris| {
            room = uris.contains(uri) || uris.len() < MAX_SUBSCRIPTIONS;
            room && uris.insert(uri.into())
        });
        room
    }

    pub(super) fn remove(&self, uri: &str) {
        self.uris.send_if_modified(|uris| uris.remove(uri));
    }

    pub(super) fn end(&self) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Pipeline {
    /// GET: what the server has to say beside its answers.
    pub(crate) fn translated_stream(
        &self,
        _entry: &Entry,
        _session: Arc<Session>,
        _translated: &Arc<ToModern>,
        _upstream: Upstream,
    ) -> Reply {
        reply::empty(http::StatusCode::METHOD_NOT_ALLOWED)
    }
}
