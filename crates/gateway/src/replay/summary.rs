//! What a replay has come to: how many calls change which way, and those that do, alike ones together. Of bounded size, however many
//! calls there are.

use std::cmp::{Ordering, Reverse};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use policy::Outcome;
use serde_json::{Value, json};

use super::Unknown;
use super::record::{Kind, Record};
use crate::stage::Answer;

/// Unreadable lines that are named, and servers.
const NAMED: usize = 20;

/// Kinds of changes that are told apart.
const GROUPS: usize = 10_000;

/// Characters of a name, code or rule that are kept.
const KEPT: usize = 200;

/// What a replay has come to.
#[derive(Default)]
pub struct Summary {
    pub(super) calls: u64,
    pub(super) unchanged: u64,
    changes: BTreeMap<Change, u64>,
    /// Calls that come further than before, and those that do not come as far.
    wider: u64,
    narrower: u64,
    pub(super) unknown: BTreeMap<Unknown, u64>,
    /// Calls of before the time that is asked about.
    pub(super) before: u64,
    /// Lines that are no calls, or of another server.
    pub(super) others: u64,
    pub(super) unreadable: u64,
    pub(super) named: Vec<(u64, &'static str)>,
    groups: BTreeMap<Group, Seen>,
    /// Changes that found no room among the groups.
    pub(super) crowded: u64,
    pub(super) servers: BTreeSet<String>,
}

/// Which way a call changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    NewlyDenied,
    NewlyPermitted,
    /// A person must consent, where the call passed or was denied.
    NewlyApproval,
    /// Denied as before, but hidden now, or no longer.
    Disguise,
}

/// What became of a call, by one policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Side {
    pub(super) outcome: Outcome,
    pub(super) code: Box<str>,
    pub(super) rule: Box<str>,
}

pub(super) struct Compared {
    pub(super) old: Side,
    pub(super) new: Side,
}

/// Changes that are alike.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) change: Change,
    pub(super) old: String,
    pub(super) new: String,
    /// The new policy's.
    pub(super) rule: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) count: u64,
    /// The line of the first.
    pub(super) line: u64,
}

impl Summary {
    /// Whether there was no call to be asked about.
    pub fn is_empty(&self) -> bool {
        self.calls == 0
    }

    pub fn changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// A call comes further than before: it passes, or a person may let it pass.
    pub fn widens(&self) -> bool {
        self.wider > 0
    }

    /// A call does not come as far as before.
    pub fn narrows(&self) -> bool {
        self.narrower > 0
    }

    pub fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    pub(super) fn unreadable(&mut self, line: u64, why: &'static str) {
        self.unreadable += 1;
        if self.named.len() < NAMED {
            self.named.push((line, why));
        }
    }

    pub(super) fn add(&mut self, line: u64, record: &Record<'_>, compared: Result<Compared, Unknown>) {
        self.calls += 1;
        if let Some(server) = record.server.as_deref().filter(|_| self.servers.len() < NAMED)
            && !self.servers.contains(server)
        {
            self.servers.insert(kept(server));
        }
        let Compared { old, new } = match compared {
            Ok(compared) => compared,
            Err(unknown) => {
                *self.unknown.entry(unknown).or_default() += 1;
                return;
            }
        };
        let Some(change) = Change::between(old.outcome, new.outcome) else {
            self.unchanged += 1;
            return;
        };
        *self.changes.entry(change).or_default() += 1;
        match reach(new.outcome).cmp(&reach(old.outcome)) {
            Ordering::Greater => self.wider += 1,
            Ordering::Less => self.narrower += 1,
            Ordering::Equal => {}
        }
        let (old, rule, new) = (kept(&old.code), kept(&new.rule), kept(&new.code));
        let group = Group { change, kind: record.kind, name: kept(&record.name), old, new, rule };
        let has_room = self.groups.len() < GROUPS;
        match self.groups.entry(group) {
            Entry::Occupied(mut seen) => seen.get_mut().count += 1,
            Entry::Vacant(place) if has_room => drop(place.insert(Seen { count: 1, line })),
            Entry::Vacant(_) => self.crowded += 1,
        }
    }

    /// The most frequent first.
    pub(super) fn groups(&self) -> Vec<(&Group, &Seen)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, seen)| Reverse(seen.count));
        groups
    }

    /// `{"calls", "unchanged", "newly_denied", "newly_permitted", "newly_approval", "disguise", "unknown": {WHY: COUNT}, "before",
    /// "others", "unreadable": {"count", "lines": [{"line", "why"}]}, "servers", "changes": [{"change", "kind", "name", "old", "new",
    /// "rule", "count", "line"}], "crowded"}`, where `old` and `new` are codes, `rule` is the new policy's, and `line` that of the first.
    pub fn json(&self) -> Value {
        let change = |(group, seen): (&Group, &Seen)| {
            json!({
                "change": group.change.as_str(), "kind": group.kind.as_str(), "name": group.name, "old": group.old,
                "new": group.new, "rule": group.rule, "count": seen.count, "line": seen.line,
            })
        };
        let named = self.named.iter().map(|(line, why)| json!({ "line": line, "why": why }));
        let unknown = self.unknown.iter().map(|(why, count)| (why.as_str().to_owned(), json!(count)));
        let mut summary = json!({
            "calls": self.calls,
            "unchanged": self.unchanged,
            "unknown": Value::Object(unknown.collect()),
            "before": self.before,
            "others": self.others,
            "unreadable": { "count": self.unreadable, "lines": Value::from_iter(named) },
            "servers": self.servers,
            "changes": Value::from_iter(self.groups().into_iter().map(change)),
            "crowded": self.crowded,
        });
        if let Value::Object(members) = &mut summary {
            members.extend(Change::ALL.map(|change| (change.as_str().to_owned(), json!(self.count(change)))));
        }
        summary
    }

    pub(super) fn count(&self, change: Change) -> u64 {
        self.changes.get(&change).copied().unwrap_or_default()
    }
}

impl Change {
    pub(super) const ALL: [Self; 4] = [Self::NewlyDenied, Self::NewlyPermitted, Self::NewlyApproval, Self::Disguise];

    fn between(old: Outcome, new: Outcome) -> Option<Self> {
        match (old, new) {
            (old, new) if old == new => None,
            (Outcome::Deny, Outcome::Hide) | (Outcome::Hide, Outcome::Deny) => Some(Self::Disguise),
            (_, Outcome::Deny | Outcome::Hide) => Some(Self::NewlyDenied),
            (_, Outcome::Permit) => Some(Self::NewlyPermitted),
            (_, Outcome::Approve) => Some(Self::NewlyApproval),
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NewlyDenied => "newly_denied",
            Self::NewlyPermitted => "newly_permitted",
            Self::NewlyApproval => "newly_approval",
            Self::Disguise => "disguise",
        }
    }
}

impl Side {
    pub(super) fn of(answer: &Answer) -> Self {
        Self { outcome: answer.outcome, code: answer.code.into(), rule: answer.rule.clone() }
    }
}

/// How far a call comes.
fn reach(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Deny | Outcome::Hide => 0,
        Outcome::Approve => 1,
        Outcome::Permit => 2,
    }
}

fn kept(text: &str) -> String {
    text.chars().take(KEPT).collect()
}
