//! Decisions and changes as they happen, for those who listen. Who decides waits for nobody: a listener that falls behind misses the
//! oldest, and is told how many.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use store::Approval;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::act::Act;
use crate::audit::Change;
use crate::nodes::Afar;
use crate::record::{About, visible};
use crate::refusal::Refused;

/// Events that wait for the slowest listener.
const QUEUE: usize = 1_024;

/// Of an event's name.
const MAX_NAME: usize = 32;

/// Something that happened, without arguments and without secrets.
#[derive(Debug)]
pub struct Event {
    name: Cow<'static, str>,
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
    heard: broadcast::Receiver<Said>,
    ears: Arc<AtomicUsize>,
}

/// What all ears hear.
#[derive(Clone, Debug)]
enum Said {
    Event(Arc<Event>),
    /// So many of another node's did not come here.
    Missed(u64),
}

pub(crate) struct Events {
    sender: broadcast::Sender<Said>,
    /// Beside the sender's own count, which is behind a lock: nearly always nobody listens, and then a decision pays one load.
    ears: Arc<AtomicUsize>,
    /// What each of our events says where it happened.
    node: Box<str>,
    /// Where there are other nodes that may want to hear.
    afar: Option<Arc<Afar>>,
    /// Are approvals this node's alone?
    own_approvals: bool,
}

impl Event {
    /// `decision`, `change` (of what calls are judged by), `act` (of an admin), `approval` (one that is not as it was).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of another node, if it is an event.
    pub(crate) fn of_another(name: &str, json: &str) -> Option<Arc<Self>> {
        let is_name = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_line = json.starts_with('{') && !json.contains(['\n', '\r']);
        (is_name && is_line).then(|| Arc::new(Self { name: name.to_owned().into(), json: json.to_owned() }))
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
            Ok(Said::Event(event)) => Some(Heard::Event(event)),
            Ok(Said::Missed(missed)) => Some(Heard::Missed(missed)),
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

impl Events {
    pub(crate) fn new(node: &str, afar: Option<Arc<Afar>>, own_approvals: bool) -> Self {
        Self { sender: broadcast::Sender::new(QUEUE), ears: Arc::default(), node: node.into(), afar, own_approvals }
    }

    /// What happened at another node.
    pub(crate) fn heard(&self, event: Arc<Event>) {
        _ = self.sender.send(Said::Event(event));
    }

    pub(crate) fn missed(&self, missed: u64) {
        _ = self.sender.send(Said::Missed(missed));
    }

    pub(crate) fn listen(&self) -> Ear {
        self.ears.fetch_add(1, Ordering::Relaxed);
        if let Some(afar) = &self.afar {
            afar.listened();
        }
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
        if !self.is_told_approvals() {
            return;
        }
        let asked = &approval.asked;
        let said = json!({
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
        });
        self.say("approval", said, self.afar_of_approvals());
    }

    /// Does anybody listen to approvals?
    pub(crate) fn is_told_approvals(&self) -> bool {
        self.has_ears() || self.afar_of_approvals().is_some()
    }

    /// Where the store is every node's, so are approvals, and each node tells those who listen there.
    fn afar_of_approvals(&self) -> Option<&Arc<Afar>> {
        self.afar.as_ref().filter(|afar| self.own_approvals && afar.is_listening())
    }

    /// Does anybody listen here?
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
        let afar = self.afar.as_ref().filter(|afar| afar.is_listening());
        if self.has_ears() || afar.is_some() {
            self.say(name, said(), afar);
        }
    }

    fn say(&self, name: &'static str, mut said: Value, afar: Option<&Arc<Afar>>) {
        if let Some(said) = said.as_object_mut() {
            said.insert("node".to_owned(), (*self.node).into());
        }
        let event = Arc::new(Event { name: name.into(), json: said.to_string() });
        if let Some(afar) = afar {
            afar.tell(&event);
        }
        // Nobody left to hear it: no loss.
        _ = self.sender.send(Said::Event(event));
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
        let events = Events::new("a", None, true);
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
