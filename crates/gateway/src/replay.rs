//! Plays recorded calls through a new policy, and through the old one or against what was recorded: which of them change? Reads one
//! line at a time. What a record does not say is never guessed: such a call is unknown.
//!
//! A limit counts the calls of the file, under the clock of their times. So it knows nothing of what came before the file, does not
//! count calls that are unknown, and counts those that never left because the server could not be reached, which a record does not tell.

mod human;
mod line;
mod lines;
mod record;
mod summary;

use std::io::{self, BufRead};
use std::path::Path;
use std::time::{Duration, SystemTime};

use policy::{DenyCode, Outcome};

use crate::policies::{self, PolicyTrouble};
use crate::stage::{Answer, Stage};
use line::Line;
use lines::Lines;
use record::Record;
pub use summary::Summary;
use summary::{Compared, Side};

/// A new policy, what it is held against, and which records are asked about.
pub struct Replay {
    new: Stage,
    /// None: what was recorded.
    old: Option<Stage>,
    only: Only,
}

/// Which of the records count.
#[derive(Clone, Debug, Default)]
pub struct Only {
    /// Calls of this server; the others are passed over.
    pub server: Option<String>,
    /// Calls from then on; those before only fill the counts of limits.
    pub since: Option<SystemTime>,
}

/// Why it cannot be told what becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unknown {
    /// Rules look at arguments, which were not recorded.
    Arguments,
    Agent,
    Labels,
    Server,
    /// The name was cut or masked when it was recorded.
    Name,
    /// A limit refused the call, and calls of before the file may have been why.
    History,
    /// The record does not say what became of it.
    Outcome,
}

impl Replay {
    pub fn new(new: &Path, old: Option<&Path>, only: Only) -> Result<Self, PolicyTrouble> {
        let stage = |path: &Path| policies::read(path).map(Stage::new);
        Ok(Self { new: stage(new)?, old: old.map(stage).transpose()?, only })
    }

    /// Reads to the end: a record a line. A line that cannot be read is counted and named, and stops nothing.
    ///
    /// A record is a JSON object with `time` (RFC 3339, in UTC), `method` (`tools/call`, `resources/read`, `prompts/get`; others are passed
    /// over) and `subject`, or `tool` in place of both. `outcome` (`allowed`, `denied`, `refused`) and `code` must be there where they
    /// stand for the old policy. It may have `server`, `agent`, `labels`, `session`, `rule` and `arguments`, of which `null` says that there
    /// was none, and absence that it was not recorded; an agent `anonymous`, `anonymous@…` or `anonymous#…` did not say who it is. Other members
    /// are not read.
    ///
    /// A line that has a `target` is one of the log of `toolgate serve` with `log.format = "json"`: it is a record where the target is
    /// `toolgate::decision`. There the time is called `timestamp`, and the other members may lie one level deeper, under `fields`. A URI is
    /// logged without its query, and is judged so.
    pub fn play(&self, input: impl BufRead) -> io::Result<Summary> {
        let (mut summary, mut start) = (Summary::default(), None);
        let mut lines = Lines::new(input);
        while let Some((number, text)) = lines.next()? {
            let line = match text {
                Ok(text) => line::read(text),
                Err(why) => Line::Bad(why),
            };
            match line {
                Line::Call(record) => self.call(number, &record, &mut start, &mut summary),
                Line::Empty => {}
                Line::Other => summary.others += 1,
                Line::Bad(why) => summary.unreadable(number, why),
            }
        }
        Ok(summary)
    }

    fn call(&self, number: u64, record: &Record<'_>, start: &mut Option<SystemTime>, summary: &mut Summary) {
        if self.only.server.as_deref().is_some_and(|server| record.server.as_deref() != Some(server)) {
            summary.others += 1;
            return;
        }
        // Records may be a little out of order: for whom a limit counts, time never runs back.
        let at = record.time.duration_since(*start.get_or_insert(record.time)).unwrap_or_default();
        let compared = self.compare(record, at);
        if self.only.since.is_some_and(|since| record.time < since) {
            summary.before += 1;
            return;
        }
        summary.add(number, record, compared);
    }

    /// Both sides are asked, whatever the other says: each has its own counts.
    fn compare(&self, record: &Record<'_>, at: Duration) -> Result<Compared, Unknown> {
        let new = self.new.judge(record, at);
        let old = self.old.as_ref().map(|old| old.judge(record, at)).transpose();
        let new = new?;
        let old = match (old?, &record.old) {
            (Some(old), _) => Side::of(&old),
            (None, Some(recorded)) if is_from_before(recorded, &new, at) => return Err(Unknown::History),
            (None, Some(recorded)) => recorded.clone(),
            (None, None) => return Err(Unknown::Outcome),
        };
        Ok(Compared { old, new: Side::of(&new) })
    }
}

/// A time, as records and arguments have it.
pub fn time(text: &str) -> Result<SystemTime, &'static str> {
    humantime::parse_rfc3339(text).map_err(|_| "expected a time such as 2026-11-23T09:00:00Z")
}

/// Recorded as limited, where the file is too young to say why.
fn is_from_before(recorded: &Side, new: &Answer, at: Duration) -> bool {
    let limited = DenyCode::Cost.as_str();
    *recorded.code == *limited && new.outcome == Outcome::Permit && new.window.is_some_and(|window| at < window)
}

impl Stage {
    /// What becomes of a recorded call, or what would have to be known for that.
    fn judge(&self, record: &Record<'_>, at: Duration) -> Result<Answer, Unknown> {
        let needs = self.bound.policy.needs(record.subject());
        let missing = [
            (!record.is_whole, Unknown::Name),
            (needs.arguments && !record.knows_arguments(), Unknown::Arguments),
            (needs.agent && !record.agent.is_said(), Unknown::Agent),
            (needs.labels && !record.labels.is_said(), Unknown::Labels),
            (needs.server && record.server.is_none(), Unknown::Server),
        ];
        match missing.into_iter().find(|(is_missing, _)| *is_missing) {
            Some((_, unknown)) => Err(unknown),
            None => Ok(self.ask(&record.asked(at))),
        }
    }
}

impl Unknown {
    fn as_str(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::Agent => "agent",
            Self::Labels => "labels",
            Self::Server => "server",
            Self::Name => "name",
            Self::History => "history",
            Self::Outcome => "outcome",
        }
    }
}

#[cfg(test)]
mod tests;
