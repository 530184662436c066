//! Settings that may become others while the gateway runs. What a file, a variable or a flag says stands; what none of them says, the
//! store may say, for all nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::Value;
use tracing::Level;

use super::document::written;
use super::origin::Origin;
use super::settings::{Entry, Path, Settings};
use super::{Config, DAY, HOUR, KIB, MIB, choice, value};

/// Their keys, in their order.
const KEYS: [&str; 7] = [
    "approvals.arguments",
    "approvals.asks_per_hour",
    "approvals.keep",
    "approvals.pending_per_agent",
    "approvals.pending_per_server",
    "approvals.rounds",
    "log.level",
];

/// What they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Live {
    /// Calls that may wait for a person, of one agent and to one server.
    pub pending_per_agent: NonZeroUsize,
    pub pending_per_server: NonZeroUsize,
    /// How many approvals an agent may ask for within an hour.
    pub asks_per_hour: NonZeroUsize,
    /// Bytes of arguments that a person is shown: calls with larger ones cannot be approved.
    pub arguments: usize,
    /// How long an approval is kept after it is over.
    pub keep: Duration,
    /// Rounds that one approved call may take.
    pub rounds: NonZeroUsize,
    pub level: Level,
}

impl Live {
    fn read(settings: &mut Settings) -> Self {
        let levels = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ];
        Self {
            pending_per_agent: settings.count("approvals.pending_per_agent", 10_000),
            pending_per_server: settings.count("approvals.pending_per_server", 100_000),
            asks_per_hour: settings.count("approvals.asks_per_hour", 1_000_000),
            arguments: settings.bytes("approvals.arguments", KIB..=MIB),
            keep: settings.span("approvals.keep", HOUR..=3_660 * DAY),
            rounds: settings.count("approvals.rounds", 1_000),
            level: choice(settings, "log.level", Level::INFO, &levels, &[]),
        }
    }
}

/// What is written of them, before the store has its say.
#[derive(Clone)]
pub(crate) struct Adjustable(BTreeMap<Path, Entry>);

/// Why the store has no say in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdjustable {
    /// No setting, or one that is read at the start.
    Unknown,
    /// Where else it is said.
    Said(String),
    /// What is wrong with the value.
    Invalid(String),
}

/// One of them, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjusted {
    pub key: &'static str,
    /// As it is written.
    pub value: Value,
    /// Where else than in the store it is said. None: nowhere, and it is what it is by default.
    pub place: Option<String>,
}

impl Adjustable {
    /// Reads them, and remembers what was written.
    pub(super) fn read(settings: &mut Settings) -> (Self, Live) {
        let entries = KEYS.into_iter().filter_map(|key| Some((path(key), settings.entry(&path(key))?.clone())));
        let adjustable = Self(entries.collect());
        (adjustable, Live::read(settings))
    }

    /// With what the store says; and what of that is left out, and why.
    pub(crate) fn with<'s>(
        &self,
        said: impl IntoIterator<Item = (&'s str, &'s Value)>,
    ) -> (Live, Vec<(String, NotAdjustable)>) {
        let (mut entries, mut left_out) = (self.0.clone(), Vec::new());
        for (key, value) in said {
            match self.entry(key, value) {
                Ok(entry) => drop(entries.insert(path(key), entry)),
                Err(why) => left_out.push((key.to_owned(), why)),
            }
        }
        let mut settings = Settings::of(entries);
        let live = Live::read(&mut settings);
        // Each was good by itself. If they were not together, none would be taken.
        let live = settings.finish().map_or_else(|_| Live::read(&mut Settings::of(self.0.clone())), |_| live);
        (live, left_out)
    }

    /// May the store say this?
    pub(crate) fn check(&self, key: &str, value: &Value) -> Result<(), NotAdjustable> {
        self.entry(key, value).map(drop)
    }

    fn entry(&self, key: &str, value: &Value) -> Result<Entry, NotAdjustable> {
        let here = self.0.get(&path(key)).filter(|_| KEYS.contains(&key)).ok_or(NotAdjustable::Unknown)?;
        if here.origin != Origin::Default {
            return Err(NotAdjustable::Said(here.origin.to_string()));
        }
        let entry = Entry { value: written(value), origin: Origin::Store };
        let mut settings = Settings::of(self.0.clone().into_iter().chain([(path(key), entry.clone())]).collect());
        Live::read(&mut settings);
        match settings.finish() {
            Ok(_) => Ok(entry),
            Err(errors) => Err(NotAdjustable::Invalid(errors.to_string())),
        }
    }

    /// What they are without the store, in the order of their keys.
    pub(crate) fn told(&self) -> Vec<Adjusted> {
        let told = KEYS.into_iter().filter_map(|key| {
            let Entry { value, origin } = self.0.get(&path(key))?;
            let place = (*origin != Origin::Default).then(|| origin.to_string());
            Some(Adjusted { key, value: value::shown(&path(key), value), place })
        });
        told.collect()
    }
}

impl Config {
    /// What may become something else while the gateway runs, as it is without a store.
    pub fn live(&self) -> &Live {
        &self.live
    }
}

impl fmt::Display for NotAdjustable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "is none that may change while the gateway runs; those are {}", KEYS.join(", ")),
            Self::Said(place) => write!(f, "is what {place} says: change it there"),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

impl fmt::Debug for Adjustable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.told()).finish()
    }
}

fn path(key: &str) -> Path {
    key.split('.').map(str::to_owned).collect()
}
