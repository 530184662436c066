//! Tells a caller that asked for it how far a long call is.

use std::sync::atomic::{AtomicU64, Ordering};

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};

pub(crate) struct Progress {
    to: Option<(ProgressToken, Peer<RoleServer>)>,
    steps: AtomicU64,
}

impl Progress {
    pub(crate) fn of(context: &RequestContext<RoleServer>) -> Self {
        let token = context.meta.get_progress_token();
        Self { to: token.map(|token| (token, context.peer.clone())), steps: AtomicU64::new(0) }
    }

    /// One step more. A caller that hears nothing any more misses nothing.
    pub(crate) async fn say(&self, message: String) {
        let Some((token, peer)) = &self.to else { return };
        let step = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = ProgressNotificationParam::new(token.clone(), step as f64);
        told.message = Some(message);
        if let Err(error) = peer.notify_progress(told).await {
            tracing::debug!(%error, "progress was not told");
        }
    }
}
