//! A summary for people: one line of numbers, what could not be told, then the calls that change.

use std::fmt;

use super::Unknown;
use super::record::Kind;
use super::summary::{Change, Group, Seen, Summary};
use crate::record::visible;

/// Shows a summary as text.
pub struct Human<'a>(&'a Summary);

impl Summary {
    pub fn human(&self) -> Human<'_> {
        Human(self)
    }
}

impl fmt::Display for Human<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(summary) = self;
        let unknown: u64 = summary.unknown.values().sum();
        write!(f, "{}: {} unchanged", counted(summary.calls, "call"), summary.unchanged)?;
        for change in Change::ALL {
            let (count, words) = (summary.count(change), change.as_words());
            if count > 0 || change != Change::Disguise {
                write!(f, ", {count} {words}")?;
            }
        }
        writeln!(f, ", {unknown} unknown")?;
        for (why, count) in &summary.unknown {
            writeln!(f, "  {count} unknown: {}", why.as_words())?;
        }
        if unknown > 0 {
            writeln!(f, "  limits do not count what is unknown")?;
        }
        if summary.before > 0 {
            writeln!(
                f,
                "  {} of before the time asked about, counted by limits only",
                counted(summary.before, "call")
            )?;
        }
        if summary.others > 0 {
            writeln!(
                f,
                "  {} passed over: no calls that a policy decides, or of another server",
                counted(summary.others, "line")
            )?;
        }
        if summary.servers.len() > 1 {
            let servers: Vec<String> = summary.servers.iter().map(|server| visible(server)).collect();
            writeln!(f, "  these are calls of several servers ({}): --server picks one", servers.join(", "))?;
        }
        unreadable(summary, f)?;
        changes(summary, f)
    }
}

fn unreadable(summary: &Summary, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if summary.unreadable == 0 {
        return Ok(());
    }
    writeln!(f, "  {} not readable:", counted(summary.unreadable, "line"))?;
    for (line, why) in &summary.named {
        writeln!(f, "    line {line}: {why}")?;
    }
    match summary.unreadable.saturating_sub(summary.named.len() as u64) {
        0 => Ok(()),
        more => writeln!(f, "    and {more} more"),
    }
}

fn changes(summary: &Summary, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let groups = summary.groups();
    if groups.is_empty() {
        return Ok(());
    }
    let rows: Vec<[String; 6]> = std::iter::once(["count", "call", "old", "new", "rule", "first"].map(str::to_owned))
        .chain(groups.into_iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let [count, call, old, new, rule] = [0, 1, 2, 3, 4].map(|column| width(column).unwrap_or_default());
    writeln!(f)?;
    for [a, b, c, d, e, first] in &rows {
        writeln!(f, "  {a:>count$}  {b:call$}  {c:old$}  {d:new$}  {e:rule$}  {first}")?;
    }
    match summary.crowded {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more calls change that are like none of these"),
    }
}

fn row((group, seen): (&Group, &Seen)) -> [String; 6] {
    let name = match group.kind {
        Kind::Tool => visible(&group.name),
        Kind::Resource | Kind::Prompt => format!("{} {}", group.kind.as_str(), visible(&group.name)),
    };
    let [old, new, rule] = [&group.old, &group.new, &group.rule].map(|text| visible(text));
    [seen.count.to_string(), name, old, new, rule, format!("line {}", seen.line)]
}

fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

impl Change {
    fn as_words(self) -> &'static str {
        match self {
            Self::NewlyDenied => "newly denied",
            Self::NewlyPermitted => "newly permitted",
            Self::NewlyApproval => "newly awaiting approval",
            Self::Disguise => "denied in another guise (hidden, or no longer)",
        }
    }
}

impl Unknown {
    fn as_words(self) -> &'static str {
        match self {
            Self::Arguments => "rules look at arguments, which were not recorded",
            Self::Agent => "rules or limits ask who calls, which was not recorded",
            Self::Labels => "rules look at the agent's labels, which were not recorded",
            Self::Server => "rules or limits ask which server it is, which was not recorded",
            Self::Name => "the name was cut or masked when it was recorded",
            Self::History => "a limit refused the call, perhaps for calls before those recorded",
            Self::Outcome => "what became of the call was not recorded",
        }
    }
}
