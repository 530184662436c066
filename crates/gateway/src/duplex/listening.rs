//! The stream of a legacy session: what the server says of itself. Opened once the client is introduced, and kept open.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::sleep;

use super::Front;
use super::exchange::{MAX_RETRY, RETRY, Read, resuming};
use super::message::Ask;

impl Front {
    /// Listens from now on, to this session and to those that replace it.
    pub(super) fn listen(self: &Arc<Self>) {
        self.stop_listening();
        let task = tokio::spawn(Arc::clone(self).listening());
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
    }

    async fn listening(self: Arc<Self>) {
        let mut changes = self.hello.changes();
        let (mut wait, mut epoch) = (RETRY, None);
        let mut last: Option<String> = None;
        loop {
            let line = self.hello.line();
            if epoch.replace(line.epoch) != Some(line.epoch) {
                last = None; // another session, other events
            }
            let headers = match &last {
                None => line.headers(),
                Some(last) => resuming(&line.headers(), last).unwrap_or_else(|_| line.headers()),
            };
            match self.service.get(headers).await {
                Ok(mut answered) if answered.has_events() => {
                    let mut read = Read { last: last.take(), ..Read::default() };
                    if let Err(error) = self.events(None, &Ask::none(), &mut answered, None, &mut read).await {
                        tracing::debug!(%error, "the stream broke off");
                    }
                    last = read.last;
                    wait = if read.events > 0 { read.retry.unwrap_or(RETRY).min(MAX_RETRY) } else { longer(wait) };
                    sleep(wait).await;
                }
                Ok(answered) if line.is_lost(&answered) => {
                    if let Err(error) = self.renew(line.epoch).await {
                        tracing::debug!(%error, "the session was lost");
                        wait = longer(wait);
                        sleep(wait).await;
                    }
                }
                // There is no stream, at least not in this session.
                Ok(answered)
                    if answered.status.is_client_error() && answered.status != StatusCode::TOO_MANY_REQUESTS =>
                {
                    let other = changes.wait_for(|now| now.epoch != line.epoch).await.map(drop);
                    if other.is_err() {
                        return;
                    }
                }
                Ok(_) | Err(_) => {
                    wait = longer(wait);
                    sleep(wait).await;
                }
            }
        }
    }
}

impl Ask {
    /// Nothing was asked: what comes is the server's own.
    fn none() -> Self {
        Self { ids: Vec::new(), modern: None, lists: None, calls_tool: false, lasting: true }
    }
}

fn longer(wait: Duration) -> Duration {
    (wait * 2).min(MAX_RETRY)
}
