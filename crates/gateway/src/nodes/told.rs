//! What nodes tell each other, beside events. Whoever can publish here can end sessions and cancel calls, and nothing else.

use std::sync::Arc;

use mcp::{Notice, Writer};
use redis::Pipeline;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

use super::kept::{Kept, Key};
use super::{Nodes, afar};
use crate::clients::Clients;
use crate::exchange::session_headers;
use crate::pipeline::{Pipeline as Way, Shared};
use crate::session::Session;

/// Of the reason for a cancel that goes to another node.
const MAX_REASON: usize = 1_024;

/// Cancels from other nodes that are being passed on at a time; more are not.
const CANCELS: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    Ended {
        key: String,
    },
    /// By the client's id of a request, as JSON.
    Cancelled {
        key: String,
        id: String,
        reason: Option<String>,
    },
    /// Somebody there listens to events, from now on.
    Listening {
        node: String,
    },
}

impl Nodes {
    /// The channel of all that is told.
    pub(super) fn told_channel(&self) -> String {
        format!("{}:told", self.prefix.as_str())
    }

    pub(super) fn add_told(&self, pipe: &mut Pipeline, told: &Told) {
        // What is made of texts is always JSON.
        let text = serde_json::to_string(told).unwrap_or_default();
        pipe.cmd("PUBLISH").arg(self.told_channel()).arg(text).ignore();
    }
}

impl Kept {
    /// Whichever node has that request of the client's open cancels it.
    pub(crate) async fn cancel(&self, id: &str, reason: Option<&str>) {
        let reason = reason.map(|reason| reason.chars().take(MAX_REASON).collect());
        let told = Told::Cancelled { key: self.key.hex(), id: id.to_owned(), reason };
        let mut pipe = Pipeline::new();
        self.nodes.add_told(&mut pipe, &told);
        if self.nodes.ask::<()>(&pipe).await.is_err() {
            tracing::warn!("a cancel did not get to the node that it is for");
        }
    }
}

/// Who does what other nodes say.
pub(super) struct Hand {
    shared: Arc<Shared>,
    client: Clients,
    cancels: Arc<Semaphore>,
}

impl Hand {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), client: Clients::default(), cancels: Arc::new(Semaphore::new(CANCELS)) }
    }

    pub(super) fn does(&self, text: &[u8], me: &str, afar: &afar::Afar) {
        match serde_json::from_slice(text) {
            Ok(Told::Ended { key }) => {
                if let Some(session) = self.session(&key) {
                    self.shared.sessions.remove(&session);
                }
            }
            Ok(Told::Cancelled { key, id, reason }) => {
                if let Some((session, ours)) = self.session(&key).and_then(|session| {
                    let ours = session.opened_as(&id)?;
                    Some((session, ours))
                }) {
                    self.cancel(session, ours, reason);
                }
            }
            Ok(Told::Listening { node }) if node != me => afar.is_wanted(true),
            Ok(Told::Listening { .. }) => {}
            Err(_) => tracing::debug!("what another node told is not known here"),
        }
    }

    fn session(&self, key: &str) -> Option<Arc<Session>> {
        self.shared.sessions.kept(&Key::read(key)?)
    }

    fn cancel(&self, session: Arc<Session>, ours: u64, reason: Option<String>) {
        if session.let_go(ours) {
            return; // it never left
        }
        let Ok(place) = Arc::clone(&self.cancels).try_acquire_owned() else { return };
        session.leave(ours);
        let params = match reason {
            Some(reason) => json!({ "requestId": ours, "reason": reason }),
            None => json!({ "requestId": ours }),
        };
        let message = Writer::server_message(None, Notice::Cancelled.as_str(), Some(&params.to_string()));
        let way = Way { client: self.client.clone(), shared: Arc::clone(&self.shared) };
        tokio::spawn(async move {
            let upstream = way.upstream(&session.server, &session.agent);
            if let Err(error) = upstream.post(session_headers(&session), message, None).await {
                tracing::warn!(server = %session.server.id, error = %crate::policies::chain(&error), "a cancel was not passed on");
            }
            drop(place);
        });
    }
}
