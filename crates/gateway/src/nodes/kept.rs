//! A session as it is kept for all nodes: under the SHA-256 of its id, which is a secret.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use http::HeaderValue;
use redis::Pipeline;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::record::{Moves, Record};
use super::told::Told;
use super::{FRESH, Nodes, Stays, millis};
use crate::session::Session;
use redis_link::Away;

/// The field of a session's hash that says what it is.
const SAID: &str = "s";

/// Tells a session from others, and opens none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

/// What a session has that is every node's.
pub(crate) struct Kept {
    pub(super) nodes: Arc<Nodes>,
    pub(crate) key: Key,
    times: Mutex<Times>,
}

#[derive(Clone, Copy, Default)]
struct Times {
    /// When Redis was asked last that knew it.
    confirmed: Option<Instant>,
    touched: Option<Instant>,
}

impl Key {
    pub(super) fn of(id: &str) -> Self {
        Self(Sha256::digest(id).into())
    }

    pub(crate) fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub(super) fn read(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let bytes: Option<Vec<u8>> = digits.collect();
        bytes?.try_into().ok().map(Self)
    }
}

impl Kept {
    pub(super) fn new(nodes: &Arc<Nodes>, key: Key, confirmed: Option<Instant>) -> Self {
        Self { nodes: Arc::clone(nodes), key, times: Mutex::new(Times { confirmed, touched: None }) }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.times().confirmed.is_some_and(|confirmed| confirmed.elapsed() < FRESH)
    }

    /// Does it live, as Redis says?
    pub(crate) async fn confirm(&self) -> Result<bool, super::Refusal> {
        let asked = Instant::now();
        let mut pipe = Pipeline::new();
        pipe.cmd("HEXISTS").arg(self.nodes.named(&self.key)).arg(SAID);
        let (there,): (i64,) = self.nodes.ask(&pipe).await?;
        if there != 0 {
            self.times().confirmed = Some(asked);
        }
        Ok(there != 0)
    }

    /// It was used, and Redis has not been told for that long.
    pub(super) fn is_due(&self, every: Duration, used: Instant) -> bool {
        self.times().touched.is_none_or(|touched| used > touched && touched.elapsed() >= every)
    }

    pub(super) fn was_touched(&self, at: Instant) {
        self.times().touched = Some(at);
    }

    /// Ends it on every node. When this returns, no node finds it; whoever had it before serves it no longer than [`FRESH`].
    pub(crate) async fn end(&self) -> Result<(), super::Refusal> {
        let nodes = &self.nodes;
        let mut pipe = Pipeline::new();
        pipe.atomic().cmd("DEL").arg(nodes.named(&self.key)).ignore();
        nodes.add_told(&mut pipe, &Told::Ended { key: self.key.hex() });
        Ok(nodes.ask::<()>(&pipe).await?)
    }

    /// Nobody uses it here any more: does nobody anywhere? One whose server is gone ends here and now.
    pub(crate) async fn is_over(&self, is_orphaned: bool) -> bool {
        match is_orphaned {
            true => self.end().await.is_ok(),
            false => self.confirm().await.is_ok_and(|lives| !lives),
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nodes {
    /// Every node knows the session when this returns; or, where it stays here, why another one does not have it.
    pub(crate) async fn save(&self, session: &Session, stays: Option<Stays>) -> Result<(), super::Refusal> {
        let asked = Instant::now();
        match (&session.kept, stays) {
            (Some(kept), _) => {
                self.put(&kept.key, &Record::Moves(Moves::of(session))).await?;
                *kept.times() = Times { confirmed: Some(asked), touched: Some(asked) };
            }
            (None, Some(Stays::Own) | None) => {}
            (None, Some(stays)) => self.stays(&session.id, stays).await,
        }
        Ok(())
    }

    /// The session of that id is nobody else's. If that cannot be said, only other nodes miss something, and that only in their logs.
    pub(crate) async fn stays(&self, id: &str, stays: Stays) {
        let record = Record::Here { node: self.name.to_string(), why: stays.why().to_owned() };
        _ = self.put(&Key::of(id), &record).await;
    }

    async fn put(&self, key: &Key, record: &Record) -> Result<(), Away> {
        let name = self.named(key);
        let said = self.sealed(key, record)?;
        let mut pipe = Pipeline::new();
        pipe.atomic().cmd("HSET").arg(&name).arg(SAID).arg(said).ignore();
        pipe.cmd("PEXPIRE").arg(&name).arg(millis(self.lifetime)).ignore();
        self.ask::<()>(&pipe).await
    }

    pub(super) async fn load(&self, key: &Key) -> Result<Option<Record>, super::Refusal> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HGET").arg(self.named(key)).arg(SAID);
        let (said,): (Option<Vec<u8>>,) = self.ask(&pipe).await?;
        let record = said.as_deref().map(|said| self.opened(key, said));
        if let Some(Err(why)) = &record {
            tracing::warn!(error = %why, "a session in Redis cannot be read, so there is none");
        }
        Ok(record.and_then(Result::ok))
    }

    /// Where there is a key that nodes share, Redis and whoever reads it learn nothing of a session, and can make up none.
    fn sealed(&self, key: &Key, record: &Record) -> Result<Vec<u8>, Away> {
        let text = serde_json::to_vec(record).map_err(|_| Away::Fails)?;
        match &self.vault {
            None => Ok(text),
            Some(vault) => vault.seal(&["session", &key.hex()], &text).map_err(|_| Away::Fails),
        }
    }

    fn opened(&self, key: &Key, said: &[u8]) -> Result<Record, String> {
        let text = match &self.vault {
            None => said.to_vec(),
            Some(vault) => vault.open(&["session", &key.hex()], said).map_err(|why| why.to_string())?,
        };
        serde_json::from_slice(&text).map_err(|why| format!("it is not one of this version's: {why}"))
    }
}

/// The server's id for it, as text.
pub(super) fn text(upstream: Option<&HeaderValue>) -> Option<String> {
    upstream.and_then(|id| id.to_str().ok()).map(str::to_owned)
}
