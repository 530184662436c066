//! The stream of a legacy session: what the server says of itself. Opened once the client is introduced, and kept open.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::sleep;

use super::exchange::{MAX_RETRY, RETRY, Read, resuming};
use super::hello::Line;
use super::message::Ask;
use super::{Answered, Front};

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":"toolgate-ping","method":"ping"}"#;

/// What came of asking for the stream.
enum Stream {
    Open(Answered),
    /// The session is lost, and the stream with it.
    Lost,
    /// There is none, at least not in this session.
    None,
    NotNow,
}

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
            match self.stream(&line, headers).await {
                Stream::Open(mut answered) => {
                    let mut read = Read { last: last.take(), ..Read::default() };
                    if let Err(error) = self.events(None, &Ask::none(), &mut answered, None, &mut read).await {
                        tracing::debug!(%error, "the stream broke off");
                    }
                    last = read.last;
                    wait = if read.events > 0 { read.retry.unwrap_or(RETRY).min(MAX_RETRY) } else { longer(wait) };
                }
                Stream::Lost => {
                    if let Err(error) = self.renew(line.epoch).await {
                        tracing::debug!(%error, "the session was lost");
                    }
                    wait = longer(wait);
                }
                Stream::None => {
                    if changes.wait_for(|now| now.epoch != line.epoch).await.is_err() {
                        return;
                    }
                    continue;
                }
                Stream::NotNow => wait = longer(wait),
            }
            sleep(wait).await;
        }
    }

    async fn stream(&self, line: &Line, headers: HeaderMap) -> Stream {
        let lost = match self.service.get(headers).await {
            Ok(answered) if answered.has_events() => return Stream::Open(answered),
            Ok(answered) if answered.status == StatusCode::TOO_MANY_REQUESTS => return Stream::NotNow,
            Ok(answered) if answered.status.is_client_error() => line.is_lost(&answered),
            Ok(_) | Err(_) => return Stream::NotNow,
        };
        // Many servers without a stream answer 404, too: only what is posted tells.
        match lost && self.finds_it_lost(line).await {
            true => Stream::Lost,
            false => Stream::None,
        }
    }

    async fn finds_it_lost(&self, line: &Line) -> bool {
        let pinged = self.service.post(line.headers(), Bytes::from_static(PING)).await;
        pinged.is_ok_and(|answered| line.is_lost(&answered))
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
