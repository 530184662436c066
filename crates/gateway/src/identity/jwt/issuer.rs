//! One issuer and its keys: fetched by one task alone, however many threads want one. They are renewed before they are old, and when a
//! token names a key that is not known, which may happen once in a while and no more often.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::Algorithm;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Invalid;
use super::discovery::Source;
use super::keys::{BadKey, Key, Keys};
use crate::config::{self, Jwt};
use crate::policies::chain;
use crate::tls::Tls;

/// Tokens with keys that are not known make us ask the issuer once within this time.
pub(super) const GAP: Duration = Duration::from_secs(5);

/// An issuer that could not be asked is asked again after this long.
const RETRY: Duration = Duration::from_secs(10);

/// How long a call waits for keys. A fetch that takes longer is still of use to the next call.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Issuer {
    pub(super) rules: config::Issuer,
    source: Source,
    refresh: Duration,
    keep: Duration,
    held: ArcSwapOption<Held>,
    fetches: watch::Sender<Fetches>,
    asked: Mutex<Asked>,
    wanted: Notify,
}

struct Held {
    keys: Keys,
    since: Instant,
}

/// How many fetches there were.
#[derive(Clone, Copy, Debug, Default)]
struct Fetches {
    begun: u64,
    done: u64,
}

/// The last time that a token made us ask.
#[derive(Default)]
struct Asked {
    at: Option<Instant>,
    /// The fetch that was asked for, by its number.
    fetch: u64,
}

impl Issuer {
    pub(super) fn new(rules: &config::Issuer, jwt: &Jwt, system: &Tls) -> Result<Self, rustls::Error> {
        Ok(Self {
            source: Source::new(rules, system)?,
            rules: rules.clone(),
            refresh: jwt.refresh,
            keep: jwt.keep,
            held: ArcSwapOption::empty(),
            fetches: watch::Sender::default(),
            asked: Mutex::default(),
            wanted: Notify::new(),
        })
    }

    /// The key for a token.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm, now: Instant) -> Result<Key, Invalid> {
        match self.held(kid, algorithm, now) {
            Err(Invalid::NoKeys | Invalid::Key(BadKey::Unknown)) => {}
            found => return found,
        }
        let fetch = self.ask(now);
        let mut fetches = self.fetches.subscribe();
        let done = fetches.wait_for(|fetches| fetches.done >= fetch);
        _ = tokio::time::timeout(PATIENCE, done).await;
        // What was fetched since is not older than now.
        self.held(kid, algorithm, now)
    }

    fn held(&self, kid: Option<&str>, algorithm: Algorithm, now: Instant) -> Result<Key, Invalid> {
        let held = self.held.load();
        // INVARIANT: keys that nobody confirmed for too long are no keys
        let held = held.as_ref().filter(|held| now.saturating_duration_since(held.since) <= self.keep);
        Ok(held.ok_or(Invalid::NoKeys)?.keys.find(kid, algorithm)?)
    }

    /// The number of the fetch to wait for; done already if it is too early for another one.
    fn ask(&self, now: Instant) -> u64 {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let fetches = *self.fetches.borrow();
        if fetches.done == 0 {
            return 1; // the very first one: it is under way, or about to be
        }
        if asked.at.is_none_or(|at| now.saturating_duration_since(at) >= GAP) {
            *asked = Asked { at: Some(now), fetch: fetches.begun + 1 };
            self.wanted.notify_one();
        }
        asked.fetch
    }

    /// Fetches keys for ever: the only one who does.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut failing = false;
        loop {
            self.fetches.send_modify(|fetches| fetches.begun += 1);
            let got = self.source.get().await;
            let wait = match &got {
                Ok(_) => self.refresh,
                Err(_) => RETRY.min(self.refresh),
            };
            self.tell(&got, failing);
            failing = got.is_err();
            if let Ok(keys) = got {
                self.held.store(Some(Arc::new(Held { keys, since: Instant::now() })));
            }
            self.fetches.send_modify(|fetches| fetches.done += 1);
            // Early or late, it makes no difference to who waits.
            _ = tokio::time::timeout(wait, self.wanted.notified()).await;
        }
    }

    fn tell(&self, got: &Result<Keys, super::discovery::NoSet>, failing: bool) {
        let issuer = &*self.rules.name;
        match got {
            Ok(keys) if keys.len() == 0 => {
                tracing::warn!(issuer, "the issuer has no key that verifies signatures: its tokens are refused")
            }
            Ok(keys) if failing => tracing::info!(issuer, keys = keys.len(), "the issuer's keys can be had again"),
            Ok(keys) => tracing::debug!(issuer, keys = keys.len(), "keys were fetched"),
            Err(error) if failing => {
                tracing::debug!(issuer, error = chain(error), "the issuer's keys still cannot be had")
            }
            Err(error) => tracing::warn!(issuer, error = chain(error), "the issuer's keys cannot be had"),
        }
    }
}
