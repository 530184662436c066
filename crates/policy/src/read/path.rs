//! Reads the path of a condition: `args.a.b`, `args.items[*].price`, `args["odd.key"]`, `agent.labels.team`, `time.hour`.

use super::object::{did_you_mean, nearest};
use crate::Code;
use crate::diagnostics::{Findings, quoted};
use crate::moment::Zone;
use crate::path::{Part, Path, Step};
use crate::source::Span;

/// What a condition may ask about besides the arguments and labels.
pub(super) const FACTS: [(&str, Path); 5] = [
    ("agent.id", Path::AgentId),
    ("server.id", Path::ServerId),
    ("tool.category", Path::Category),
    ("tool.name", Path::ToolName),
    ("tool.risk", Path::Risk),
];

/// What a condition may ask of the time, in UTC or a zone: `time.hour`, `time("Europe/Zurich").hour`.
pub(super) const TIMES: [(&str, Part); 3] = [("date", Part::Date), ("hour", Part::Hour), ("weekday", Part::Weekday)];

const ROOTS: [&str; 5] = ["agent", "args", "server", "time", "tool"];

/// Deeper than any argument needs, and no deeper than the stack bears.
pub(super) const MOST_STEPS: usize = 64;

pub(super) fn path(text: &str, here: Span, findings: &mut Findings) -> Option<Path> {
    match parse(text) {
        Ok(path) => Some(path),
        Err(Bad { label, advice }) => {
            findings
                .error(Code::BadPath, here, format!("{} is not a path that a condition can ask about", quoted(text)))
                .label(label)
                .advise(advice);
            None
        }
    }
}

struct Bad {
    label: &'static str,
    advice: String,
}

fn bad(label: &'static str, advice: impl Into<String>) -> Bad {
    Bad { label, advice: advice.into() }
}

fn parse(text: &str) -> Result<Path, Bad> {
    let end = text.find(['.', '[', '(']).unwrap_or(text.len());
    let (root, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if root == "args" {
        return steps(rest).map(Path::Args);
    }
    if root == "time" {
        return time(rest);
    }
    let named = |known: &[&str]| bad("no such name", did_you_mean(text, known));
    if let Some((_, fact)) = FACTS.iter().find(|(fact, _)| *fact == text) {
        return Ok(fact.clone());
    }
    match (root, text) {
        ("agent", _) if rest.starts_with(".labels") => label(rest.strip_prefix(".labels").unwrap_or_default()),
        ("agent", _) => Err(named(&["agent.id", "agent.labels.team"])),
        ("server", _) => Err(named(&["server.id"])),
        ("tool", _) => Err(named(&["tool.category", "tool.name", "tool.risk"])),
        ("state", _) => Err(bad("no such root", "write a limit with a `counter` and a `cost`")),
        _ => Err(bad("no such root", did_you_mean(root, &ROOTS))),
    }
}

/// What follows `time`: `.hour`, or `("Europe/Zurich").hour`.
fn time(rest: &str) -> Result<Path, Bad> {
    let (zone, rest) = match rest.strip_prefix("(\"").and_then(|rest| rest.split_once("\")")) {
        Some((name, rest)) => (zone(name)?, rest),
        None if rest.starts_with('(') => {
            return Err(bad("names no time zone", "write time(\"Europe/Zurich\").hour"));
        }
        None => (Zone::UTC, rest),
    };
    let named = rest.strip_prefix('.').unwrap_or_default();
    match TIMES.iter().find(|(part, _)| *part == named) {
        Some((_, part)) => Ok(Path::Time(*part, zone)),
        None => Err(bad("no such name", did_you_mean(named, &TIMES.map(|(part, _)| part)))),
    }
}

fn zone(name: &str) -> Result<Zone, Bad> {
    let unknown = || {
        let names = Zone::names();
        let names = names.iter().map(String::as_str).collect::<Vec<_>>();
        // Either the city alone, or a few letters of many are wrong.
        let city = names.iter().find(|known| known.rsplit('/').next() == Some(name)).copied();
        let near = || nearest(name, &names).filter(|(distance, near)| distance * 4 <= near.len()).map(|(_, near)| near);
        match city.or_else(near) {
            Some(near) => bad("no such time zone", format!("did you mean `{near}`?")),
            None => bad("no such time zone", "write a name of the IANA time zone database, such as Europe/Zurich"),
        }
    };
    Zone::named(name).ok_or_else(unknown)
}

fn label(rest: &str) -> Result<Path, Bad> {
    match <[Step; 1]>::try_from(steps(rest)?) {
        Ok([Step::Key(key)]) => Ok(Path::Label(key)),
        Ok([Step::Each]) | Err(_) => Err(bad("a label is one name", "write agent.labels.team")),
    }
}

fn steps(mut rest: &str) -> Result<Vec<Step>, Bad> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = step(rest)?;
        steps.push(step);
        rest = after;
    }
    match steps.len() {
        0 => Err(bad("names no argument", "write the argument's name after it, such as args.amount")),
        1..=MOST_STEPS => Ok(steps),
        _ => Err(bad("too many steps", format!("take at most {MOST_STEPS} steps"))),
    }
}

fn step(rest: &str) -> Result<(Step, &str), Bad> {
    if let Some(after) = rest.strip_prefix("[*]") {
        return Ok((Step::Each, after));
    }
    if let Some(key) = rest.strip_prefix('[') {
        return quoted_key(key);
    }
    let Some(rest) = rest.strip_prefix('.') else {
        return Err(bad("a step must begin with a dot", "write args.items[*].price"));
    };
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (key, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let odd = |c: char| c.is_whitespace() || c.is_control() || "]\"'*()\\".contains(c);
    match key {
        "" => Err(bad("a step without a name", "write args.a.b, without empty steps")),
        "*" => Err(bad("`*` is no name", "write [*] for every element of a list")),
        key if key.contains(odd) => Err(bad("a name with odd characters", "write it in brackets: args[\"odd.key\"]")),
        key => Ok((Step::Key(key.into()), after)),
    }
}

/// `"odd.key"]` and what follows.
fn quoted_key(rest: &str) -> Result<(Step, &str), Bad> {
    let unclear = || bad("not a step", "write [*] for every element, or [\"odd.key\"] for an odd name");
    let mut keys = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let key = keys.next().and_then(Result::ok).ok_or_else(unclear)?;
    let after = rest.get(keys.byte_offset()..).and_then(|after| after.strip_prefix(']')).ok_or_else(unclear)?;
    Ok((Step::Key(key.into()), after))
}
