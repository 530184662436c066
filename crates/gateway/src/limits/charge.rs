//! What a call is charged, as the audit journal keeps it: enough to count it again after a restart.

use std::fmt::Write as _;
use std::sync::Arc;

use policy::{Per, Permitted};
use serde::Deserialize;

use super::key::{LimitKey, PerKey};
use super::{Fate, Held, Place};
use crate::agent::is_of_this_process;
use crate::policies::Bound;

/// Goes into the record of the decision.
pub(crate) struct Charge {
    json: String,
    fate: Arc<Fate>,
}

/// The same, read back.
#[derive(Debug, Deserialize)]
pub(super) struct Charged<'r> {
    #[serde(borrow)]
    policy: std::borrow::Cow<'r, str>,
    /// Counter, whose count it is, units.
    #[serde(borrow)]
    of: Vec<(std::borrow::Cow<'r, str>, std::borrow::Cow<'r, str>, u64)>,
    /// The store failed, and the call passed all the same.
    #[serde(default)]
    uncounted: bool,
}

/// A session that ends with the process, whose count nobody will ask for again.
const OWN_SESSION: &str = "session";
/// Who has no session counts in its place.
const NO_SESSION: &str = "agent as session";

impl Charge {
    pub(crate) fn new(held: &Held, bound: &Bound, permitted: &Permitted<'_>, place: &Place<'_>) -> Self {
        let mut json = String::with_capacity(128);
        json.push_str("{\"policy\":");
        json.push_str(&mcp::string(place.policy));
        json.push_str(",\"of\":[");
        for (number, owed) in permitted.owed().iter().enumerate() {
            let Some(counter) = bound.policy.counters().get(owed.counter) else { continue };
            let whose = match (counter.per, &place.agent.session) {
                (Per::Session, Some(session)) if is_of_this_process(session) => OWN_SESSION,
                // Of a session of every node's, which outlives the process, the agent has the name.
                (Per::Session, _) => NO_SESSION,
                (per @ (Per::Agent | Per::Server | Per::Gateway), _) => per.as_str(),
            };
            let comma = if number > 0 { "," } else { "" };
            // Writing to a `String` cannot fail.
            _ = write!(json, "{comma}[{},\"{whose}\",{}]", mcp::string(counter.name.as_str()), owed.cost);
        }
        json.push_str(if held.is_uncounted() { "],\"uncounted\":true}" } else { "]}" });
        Self { json, fate: Arc::clone(held.fate()) }
    }

    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    pub(crate) fn fate(self) -> Arc<Fate> {
        self.fate
    }
}

impl Charged<'_> {
    /// The counts to which it adds, with how much.
    pub(super) fn counts(&self, agent: &str, server: &str) -> impl Iterator<Item = (LimitKey, u64)> {
        let policy: Arc<str> = (&*self.policy).into();
        let counted = self.of.iter().filter(|_| !self.uncounted);
        counted.filter_map(move |(counter, whose, cost)| {
            let agent = || Some(agent).filter(|agent| !is_of_this_process(agent)).map(Arc::from);
            let per = match &**whose {
                "agent" => PerKey::Agent(agent()?),
                NO_SESSION => PerKey::Session(agent()?),
                "server" => PerKey::Server(server.into()),
                "gateway" => PerKey::Gateway,
                _ => return None,
            };
            Some((LimitKey { policy: Arc::clone(&policy), counter: (&**counter).into(), per }, *cost))
        })
    }
}
