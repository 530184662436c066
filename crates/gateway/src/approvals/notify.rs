//! Tells those who decide that a call waits. The store has a notice for each channel, made with the approval itself; whichever node is there
//! claims it for a while, sends it and strikes it out. If the node dies meanwhile another sends it again: each arrives at least once.

mod mail;
mod post;
mod slack;
#[cfg(test)]
mod tests;
mod webhook;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use http::Uri;
use sha2::{Digest as _, Sha256};
use store::{Approval, ApprovalState, Heard, Notice, Store, StoreError};
use tokio::time::timeout;

use super::Approvals;
use super::clock::millis;
use crate::config::{self, Channel};
use crate::policies::chain;
use crate::random;
use crate::record::visible;
use crate::server::Road;
use crate::tls::Tls;

/// Notices of one channel that are sent at once.
const AT_ONCE: u32 = 8;

/// For one message, from the look-up of the name to the last answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a claimed notice is nobody else's: longer than it takes to send it and to write that down.
const LEASE: Duration = Duration::from_secs(60);

/// How often it is looked whether something is due, besides being told.
const LOOK: Duration = Duration::from_secs(1);

/// How often a message is tried; the first pause between, which doubles, and the longest.
const ATTEMPTS: i64 = 12;
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A receiver that asks for more time is not given more.
const MOST_WANTED: Duration = Duration::from_secs(10 * 60);

/// Bytes of a link's key.
const KEY: usize = 32;

/// All channels.
pub(crate) struct Notifier(Vec<Target>);

struct Target {
    id: Box<str>,
    approver: Option<Box<str>>,
    channel: Channel,
    url: Uri,
    road: Road,
}

/// What is told.
struct Told<'a> {
    approval: &'a Approval,
    /// Where it is decided; perhaps with a key.
    url: &'a str,
    /// What tells this message from every other; the same when it is sent again.
    id: String,
    now_ms: i64,
}

/// Why a message was not taken. The texts have no address and no secret in them.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// It may be another time, and after this long if the receiver said so.
    Now(String, Option<Duration>),
    /// It never will be.
    Ever(String),
}

impl Notifier {
    /// `system` is how TLS is done where nothing else is asked for.
    pub(crate) fn new(settings: &[config::Notify], system: &Tls) -> Result<Self, rustls::Error> {
        settings.iter().map(|settings| Target::new(settings, system)).collect::<Result<_, _>>().map(Self)
    }

    /// For ever. A channel that is slow holds up no other.
    pub(crate) async fn keep(&self, approvals: &Approvals) {
        let Some(store) = &approvals.store else { return };
        join_all(self.0.iter().map(|target| target.keep(approvals, store))).await;
    }
}

impl Target {
    fn new(settings: &config::Notify, system: &Tls) -> Result<Self, rustls::Error> {
        let config::Notify { id, channel, approver, url, reach } = settings.clone();
        Ok(Self { road: Road::new(&id, &url, &reach, system)?, id, approver, channel, url })
    }

    async fn keep(&self, approvals: &Approvals, store: &Store) {
        let mut changes = store.approvals_changed();
        loop {
            while self.round(approvals, store).await > 0 {}
            let told = async { while changes.next().await == Heard::Any {} };
            _ = timeout(LOOK, told).await;
        }
    }

    /// What is due now: how much it was.
    async fn round(&self, approvals: &Approvals, store: &Store) -> usize {
        let due = store.due_notices(&self.id, approvals.clock.now_ms(), millis(LEASE), AT_ONCE).await;
        let due = due.unwrap_or_else(|error| {
            super::desk::silent(&error);
            Vec::new()
        });
        join_all(due.iter().map(|notice| self.deliver(approvals, store, notice))).await;
        due.len()
    }

    async fn deliver(&self, approvals: &Approvals, store: &Store, notice: &Notice) {
        let id = &*notice.approval.id;
        let done = match self.tell(approvals, store, notice).await {
            Ok(()) => store.notice_done(id, &self.id).await,
            Err(Failure::Ever(why)) => self.give_up(store, id, &why).await,
            Err(Failure::Now(why, wanted)) => {
                let next = approvals.clock.now_ms().saturating_add(millis(pause(notice.attempt, wanted)));
                if notice.attempt >= ATTEMPTS || next >= notice.approval.expires_ms {
                    self.give_up(store, id, &why).await
                } else {
                    tracing::info!(channel = &*self.id, approval = id, attempt = notice.attempt, why, "not told, yet");
                    store.notice_failed(notice, next, &why).await
                }
            }
        };
        // If it could not be written down, it is told again.
        done.unwrap_or_else(|error| super::desk::silent(&error));
    }

    async fn give_up(&self, store: &Store, id: &str, why: &str) -> Result<(), StoreError> {
        tracing::warn!(channel = &*self.id, approval = id, why, "nobody is told there that a call waits for approval");
        store.notice_done(id, &self.id).await
    }

    async fn tell(&self, approvals: &Approvals, store: &Store, notice: &Notice) -> Result<(), Failure> {
        let (approval, now_ms) = (&notice.approval, approvals.clock.now_ms());
        if approval.state_at(now_ms) != ApprovalState::Pending {
            return Ok(()); // nothing waits any more
        }
        let url = &self.link(approvals, store, approval).await?;
        let told = Told { approval, url, id: format!("approval_{}_{}", approval.id, self.id), now_ms };
        let sent = timeout(PATIENCE, self.send(&told)).await;
        sent.unwrap_or_else(|_| Err(Failure::Now(format!("no answer within {PATIENCE:?}"), None)))
    }

    /// The page where it is decided. The key stands behind `#`, so that no browser sends it and no log has it; it decides nothing by being opened.
    async fn link(&self, approvals: &Approvals, store: &Store, approval: &Approval) -> Result<String, Failure> {
        let page = approvals.page(&approval.id);
        let Some(approver) = &self.approver else { return Ok(page) };
        let bits = random::bytes::<KEY>().map_err(|error| Failure::Now(format!("no randomness: {error}"), None))?;
        let key = URL_SAFE_NO_PAD.encode(bits);
        let sha256 = Sha256::digest(&key).into();
        let kept = store.create_approval_link(&sha256, &approval.id, approver, approval.expires_ms).await;
        kept.map_err(|error| Failure::Now(chain(&error), None))?;
        Ok(format!("{page}#{key}"))
    }

    async fn send(&self, told: &Told<'_>) -> Result<(), Failure> {
        match &self.channel {
            Channel::Webhook { key, arguments } => {
                let body = webhook::body(told, *arguments)?;
                let headers = webhook::sign(key, told, &body);
                post::post(&self.road, &self.url, headers, body).await
            }
            Channel::Slack => post::post(&self.road, &self.url, Vec::new(), slack::body(told)).await,
            Channel::Mail(mail) => mail::send(&self.road, &self.url, mail, told).await,
        }
    }
}

impl Approvals {
    /// Whom to tell that somebody is asked.
    pub(super) fn targets(&self) -> Vec<&str> {
        self.settings.notify.iter().map(|channel| &*channel.id).collect()
    }
}

/// Twice as long each time, and never the same for many.
fn pause(attempt: i64, wanted: Option<Duration>) -> Duration {
    let doubled = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let most = FIRST_PAUSE.saturating_mul(1 << doubled).min(LONGEST_PAUSE);
    let own = most.mul_f64(0.5 + fastrand::f64() / 2.0);
    own.max(wanted.unwrap_or_default().min(MOST_WANTED))
}

/// The beginning of a text, with what cannot be seen written out.
fn short(text: &str, most: usize) -> String {
    let mut shown: String = visible(text).chars().take(most).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}
