//! Calls that wait for their client's answers. Each is gone on with once, or given up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp::Object;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::ask::Ask;
use super::flight::Leg;
use super::pool::Slot;
use super::seal::BadState;
use super::session::Session;
use crate::limits::Held;
use crate::upstream::UpstreamError;

/// Calls that wait, in all and of one agent.
const MAX_PARKED: usize = 4096;
const MAX_PARKED_PER_AGENT: usize = 64;

/// Where events for a client go.
pub(super) type Out = mpsc::Sender<Result<mcp::sse::Event, UpstreamError>>;

#[derive(Default)]
pub(super) struct Parking {
    places: Mutex<HashMap<u64, Place>>,
    next: AtomicU64,
}

/// A call that waits.
pub(super) struct Place {
    pub(super) agent: Arc<str>,
    pub(super) slot: Arc<Slot>,
    pub(super) session: Arc<Session>,
    pub(super) asks: Vec<Ask>,
    /// To the call that is under way; none where the server waits for it to come again.
    pub(super) go_on: Option<oneshot::Sender<Resumed>>,
    pub(super) expires: Instant,
}

/// A client that came back, and where its events go; what it answered, and what posting that costs.
pub(super) struct Resumed {
    pub(super) leg: Leg,
    pub(super) out: Out,
    pub(super) answers: Answers,
    pub(super) held: Option<Held>,
}

/// A client's answers, each with the server's own id before it.
pub(super) type Answers = Vec<(Box<str>, Box<str>)>;

/// A retry that may go on: the call that waits, and the client's answers.
pub(super) struct Retry {
    pub(super) id: u64,
    pub(super) slot: Arc<Slot>,
    pub(super) session: Arc<Session>,
    pub(super) answers: Answers,
}

impl Parking {
    /// None where there is no room.
    pub(super) fn park(&self, place: Place) -> Option<u64> {
        self.expire();
        let mut places = self.places();
        let own = places.values().filter(|parked| parked.agent == place.agent).count();
        if places.len() >= MAX_PARKED || own >= MAX_PARKED_PER_AGENT {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        places.insert(id, place);
        Some(id)
    }

    /// Looks whether a retry answers all that was asked. Takes nothing: the retry may still be refused.
    pub(super) fn retry(&self, id: u64, responses: Option<&str>) -> Result<Retry, BadState> {
        let places = self.places();
        let place = places.get(&id).ok_or(BadState::Used)?;
        let given = responses.and_then(Object::read).unwrap_or_default();
        let mut answers = Vec::with_capacity(place.asks.len());
        for ask in &place.asks {
            let answer = given.get(&ask.key).filter(|answer| answer.get().starts_with('{'));
            let answer = answer.ok_or(BadState::Unanswered)?;
            if let Some(id) = &ask.id {
                answers.push((id.clone(), answer.get().into()));
            }
        }
        Ok(Retry { id, slot: Arc::clone(&place.slot), session: Arc::clone(&place.session), answers })
    }

    /// INVARIANT: a place is taken once. Whoever has it, has it alone.
    pub(super) fn take(&self, id: u64) -> Option<Place> {
        self.places().remove(&id)
    }

    /// Calls under way let go of themselves, when they have told their servers; and what became of one that was dropped is over.
    pub(super) fn expire(&self) {
        let now = Instant::now();
        self.places().retain(|_, place| match &place.go_on {
            Some(go_on) => !go_on.is_closed(),
            None => place.expires > now,
        });
    }

    fn places(&self) -> MutexGuard<'_, HashMap<u64, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
