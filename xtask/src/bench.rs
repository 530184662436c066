//! `cargo xtask bench [--smoke] [--seconds N] [--only PART] [--engines] [--write]`: what Toolgate costs, as ratios
//! against a bare reverse proxy that runs in alternation with it; or, with `--engines` and never in CI, its decisions beside those of
//! other engines. `--smoke` only proves that it runs; `--write` puts the result into `docs/benchmarks.md`.

mod aggregate;
mod calls;
mod cpu;
mod crossing;
mod decisions;
mod engines;
mod keeping;
mod load;
mod message;
mod report;
mod sessions;
mod stage;
mod wrap;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

pub(crate) use self::report::MAX_SESSION_BYTES;
use self::report::Report;
use crate::e2e::stand;

/// How long and how much.
struct Plan {
    smoke: bool,
    only: Option<Part>,
    /// One measurement of one way.
    span: Duration,
    /// Before it, uncounted.
    warm_up: Duration,
    rounds: usize,
    connections: usize,
    sessions: usize,
    /// Lists that are asked for.
    lists: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Calls,
    Keeping,
    Crossing,
    Wrap,
    Aggregate,
    Sessions,
    Decisions,
    Engines,
}

const PARTS: &str = "--only calls|keeping|crossing|wrap|aggregate|sessions|decisions";

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (plan, write) = read(arguments)?;
    let words: Vec<_> = std::iter::once("cargo xtask bench").chain(arguments.iter().map(String::as_str)).collect();
    let command = words.join(" ");
    if plan.only == Some(Part::Engines) {
        return engines::run(&plan, write, &command);
    }
    let mut report = Report::new(command);
    if plan.only != Some(Part::Decisions) {
        let folder = stand::fresh("bench")?;
        let binaries = stage::Binaries::build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if plan.includes(Part::Calls) {
            report.calls = runtime.block_on(calls::measure(&plan, &binaries, &folder))?;
        }
        if plan.includes(Part::Keeping) {
            report.keeping = Some(runtime.block_on(keeping::measure(&plan, &binaries, &folder))?);
        }
        if plan.includes(Part::Crossing) {
            report.crossings = runtime.block_on(crossing::measure(&plan, &binaries, &folder))?;
        }
        if plan.includes(Part::Wrap) {
            report.wrap = Some(wrap::measure(&plan, &binaries, &folder)?);
        }
        if plan.includes(Part::Aggregate) {
            report.aggregate = Some(runtime.block_on(aggregate::measure(&plan, &binaries, &folder))?);
        }
        if plan.includes(Part::Sessions) {
            report.sessions = Some(runtime.block_on(sessions::measure(&plan, &binaries, &folder))?);
        }
    }
    if plan.includes(Part::Decisions) {
        report.decisions = decisions::measure(&plan)?;
    }
    print!("{report}");
    if write {
        report.write()?;
    }
    Ok(())
}

/// What an idle legacy session costs, of so many.
pub(crate) async fn session_bytes(sessions: usize, folder: &Path) -> anyhow::Result<u64> {
    let (plan, _) = read(&[])?;
    let plan = Plan { sessions, ..plan };
    Ok(sessions::measure(&plan, &stage::Binaries::build()?, folder).await?.bytes_each)
}

impl Plan {
    fn includes(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

fn read(arguments: &[String]) -> anyhow::Result<(Plan, bool)> {
    let (mut smoke, mut write, mut seconds, mut only) = (false, false, None, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--smoke" => smoke = true,
            "--write" => write = true,
            "--seconds" => seconds = Some(arguments.next().and_then(|given| given.parse().ok()).unwrap_or(0)),
            "--only" => only = Some(arguments.next().and_then(|name| part(name)).context(PARTS)?),
            "--engines" => only = Some(Part::Engines),
            other => bail!(
                "unknown argument `{other}`; usage: cargo xtask bench [--smoke] [--seconds N] [--only PART] [--engines] [--write]"
            ),
        }
    }
    ensure!(seconds.is_none_or(|seconds| (1..=600).contains(&seconds)), "--seconds takes 1 to 600");
    let has_a_section = only.is_none_or(|only| only == Part::Engines);
    ensure!(has_a_section || !write, "only a whole run is worth writing down");
    let plan = match smoke {
        true => Plan {
            smoke,
            only,
            span: Duration::from_secs(seconds.unwrap_or(1)),
            warm_up: Duration::from_millis(200),
            rounds: 1,
            connections: 8,
            sessions: 500,
            lists: 10,
        },
        false => Plan {
            smoke,
            only,
            span: Duration::from_secs(seconds.unwrap_or(4)),
            warm_up: Duration::from_millis(500),
            rounds: 7,
            connections: 32,
            sessions: 10_000,
            lists: 200,
        },
    };
    Ok((plan, write))
}

fn part(name: &str) -> Option<Part> {
    match name {
        "calls" => Some(Part::Calls),
        "keeping" => Some(Part::Keeping),
        "crossing" => Some(Part::Crossing),
        "wrap" => Some(Part::Wrap),
        "aggregate" => Some(Part::Aggregate),
        "sessions" => Some(Part::Sessions),
        "decisions" => Some(Part::Decisions),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(bool, u64, bool)>) {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let read = read(&arguments).ok().map(|(plan, write)| (plan.smoke, plan.span.as_secs(), write));
        assert_eq!(read, expected, "{line}");
    }

    #[test]
    fn arguments() {
        check("", Some((false, 4, false)));
        check("--smoke", Some((true, 1, false)));
        check("--seconds 9 --write", Some((false, 9, true)));
        check("--seconds", None);
        check("--seconds 0", None);
        check("--only calls", Some((false, 4, false)));
        check("--only", None);
        check("--only everything", None);
        check("--only calls --write", None);
        check("--engines --write", Some((false, 4, true)));
        check("--fast", None);
    }
}
