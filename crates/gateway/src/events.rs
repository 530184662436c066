//! Decisions and changes as they happen, for those who listen. Who decides waits for nobody: a listener that falls behind misses the
//! oldest, and is told how many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use store::Approval;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::act::Act;
use crate::audit::Change;
use crate::record::{About, visible};
use crate::refusal::Refused;

/// Events that wait for the slowest listener.
const QUEUE: usize = 1_024;

/// Something that happened, without arguments and without secrets.
#[derive(Debug)]
pub struct Event {
    name: &'static str,
    json: String,
}

/// What an ear has heard.
#[derive(Debug)]
pub enum Heard {
    Event(Arc<Event>),
    /// So many were missed.
    Missed(u64),
}

/// Somebody who listens.
#[derive(Debug)]
pub struct Ear {
    heard: broadcast::Receiver<Arc<Event>>,
    ears: Arc<AtomicUsize>,
}

pub(crate) struct Events {
    sender: broadcast::Sender<Arc<Event>>,
    /// Beside the sender's own count, which is behind a lock: nearly always nobody listens, and then a decision pays one load.
    ears: Arc<AtomicUsize>,
}

impl Event {
    /// `decision`, `change` (of what calls are judged by), `act` (of an admin), `approval` (one that is not as it was).
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// On one line.
    pub fn json(&self) -> &str {
        &self.json
    }
}

impl Ear {
    /// None when the gateway has ended.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.heard.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.ears.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Events {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(QUEUE), ears: Arc::default() }
    }
}

impl Events {
    pub(crate) fn listen(&self) -> Ear {
        self.ears.fetch_add(1, Ordering::Relaxed);
        Ear { heard: self.sender.subscribe(), ears: Arc::clone(&self.ears) }
    }

    pub(crate) fn allowed(&self, about: &About<'_>, rule: &str) {
        self.tell("decision", || decision(about, "allowed", "allowed", rule));
    }

    pub(crate) fn refused(&self, about: &About<'_>, refused: &Refused) {
        self.tell("decision", || decision(about, refused.outcome(), refused.code(), refused.rule()));
    }

    /// An approval that was asked for, decided, used or that expired: as it is now.
    pub(crate) fn approval(&self, approval: &Approval) {
        let asked = &approval.asked;
        self.tell("approval", || {
            json!({
                "id": approval.id,
                "state": approval.state.as_str(),
                "agent": visible(&asked.agent),
                "server": asked.server,
                "method": asked.method,
                "subject": visible(&asked.subject),
                "rule": asked.rule,
                "created_ms": approval.created_ms,
                "expires_ms": approval.expires_ms,
                "votes": approval.votes.len(),
            })
        });
    }

    /// Does anybody listen?
    pub(crate) fn has_ears(&self) -> bool {
        self.ears.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn changed(&self, change: &Change<'_>) {
        let Change { who, what, id, from, to } = change;
        self.tell("change", || json!({ "who": who, "what": what, "id": visible(id), "from": from, "to": to }));
    }

    pub(crate) fn acted(&self, act: &Act<'_>) {
        self.tell("act", || {
            let texts = act.texts().map(|(key, value)| (key.to_owned(), visible(value).into()));
            let numbers = act.numbers().map(|(key, value)| (key.to_owned(), value.into()));
            Value::Object(texts.chain(numbers).collect())
        });
    }

    fn tell(&self, name: &'static str, said: impl FnOnce() -> Value) {
        if self.has_ears() {
            // Nobody left to hear it: no loss.
            _ = self.sender.send(Arc::new(Event { name, json: said().to_string() }));
        }
    }
}

fn decision(about: &About<'_>, outcome: &str, code: &str, rule: &str) -> Value {
    json!({
        "agent": about.agent,
        "server": about.server,
        "method": about.method,
        "subject": about.subject.map(|_| visible(&about.name())),
        "outcome": outcome,
        "code": code,
        "rule": rule,
        "policy": about.policy,
    })
}

#[cfg(test)]
mod tests {
    use super::{Events, Heard, QUEUE};
    use crate::audit::Change;

    #[tokio::test]
    async fn who_is_slow_is_told_how_many_were_missed_and_goes_on() {
        let events = Events::default();
        let told = |n: usize| {
            let id = n.to_string();
            events.changed(&Change { who: "file", what: "policy", id: &id, from: None, to: None });
        };
        told(0); // nobody listens yet
        let mut ear = events.listen();
        (1..=QUEUE + 3).for_each(told);
        assert!(matches!(ear.next().await, Some(Heard::Missed(3))));
        let Some(Heard::Event(event)) = ear.next().await else { panic!() };
        assert_eq!((event.name(), event.json().contains(r#""id":"4""#)), ("change", true), "{}", event.json());
        drop(ear);
        assert_eq!(events.ears.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
