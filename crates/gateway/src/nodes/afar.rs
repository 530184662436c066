//! Events on their way to other nodes. They wait for nobody: what finds no room is missed there, and counted.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};

use crate::events::{Event, Events};
use crate::random;

/// Events that wait to be sent.
const QUEUE: usize = 1_024;

/// Nodes whose events are counted; beyond it counting begins anew.
const NODES: usize = 4_096;

pub(crate) struct Afar {
    /// Somebody listens at another node.
    wanted: AtomicBool,
    number: AtomicU64,
    queue: mpsc::Sender<Numbered>,
    /// Somebody begins to listen here.
    pub(super) wake: Notify,
}

/// What waits to be sent, at the keeper's end.
pub(crate) struct Outbox(pub(super) mpsc::Receiver<Numbered>);

/// An event, and how many there were before.
pub(super) type Numbered = (u64, Arc<Event>);

#[derive(Serialize, Deserialize)]
struct Sent {
    from: String,
    number: u64,
    name: String,
    event: Box<RawValue>,
}

impl Afar {
    pub(super) fn new() -> (Arc<Self>, Outbox) {
        let (queue, outbox) = mpsc::channel(QUEUE);
        let wake = Notify::new();
        (Arc::new(Self { wanted: AtomicBool::new(false), number: AtomicU64::new(0), queue, wake }), Outbox(outbox))
    }

    /// Nearly always nobody listens anywhere, and then a decision pays one load.
    pub(crate) fn is_listening(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    pub(super) fn is_wanted(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    pub(crate) fn tell(&self, event: &Arc<Event>) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        // No room: the number is missing there, and says so.
        _ = self.queue.try_send((number, Arc::clone(event)));
    }

    pub(crate) fn listened(&self) {
        self.wake.notify_one();
    }
}

/// An event as others read it.
pub(super) fn written(me: &str, (number, event): &Numbered) -> Option<String> {
    let event_json = RawValue::from_string(event.json().to_owned()).ok()?;
    let sent = Sent { from: me.to_owned(), number: *number, name: event.name().to_owned(), event: event_json };
    serde_json::to_string(&sent).ok()
}

/// What other nodes have said so far.
#[derive(Default)]
pub(super) struct Counted(HashMap<String, u64>);

impl Counted {
    /// From here on: what was said while nobody listened is not missed.
    pub(super) fn anew(&mut self) {
        self.0.clear();
    }

    pub(super) fn hear(&mut self, text: &[u8], me: &str, events: &Events) {
        let Ok(sent) = serde_json::from_slice::<Sent>(text) else { return };
        let Some(event) = Event::of_another(&sent.name, sent.event.get()).filter(|_| sent.from != me) else { return };
        if self.0.len() >= NODES {
            self.0.clear();
        }
        let expected = self.0.insert(sent.from, sent.number.saturating_add(1));
        if let Some(missed) =
            expected.and_then(|expected| sent.number.checked_sub(expected)).filter(|missed| *missed > 0)
        {
            events.missed(missed);
        }
        events.heard(event);
    }
}

/// What no other process has, in all likelihood.
pub(super) fn random() -> u64 {
    random::bytes().map_or_else(|_| RandomState::new().hash_one(std::process::id()), u64::from_be_bytes)
}
