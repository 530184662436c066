//! `cargo xtask bench [--smoke] [--seconds N] [--write]`: what Toolgate costs, as ratios against a bare reverse proxy that runs
//! in alternation with it. `--smoke` only proves that it runs; `--write` puts the result into `docs/benchmarks.md`.

mod calls;
mod cpu;
mod decisions;
mod load;
mod memory;
mod message;
mod report;
mod stage;

use std::time::Duration;

use anyhow::bail;

use self::report::Report;
use crate::e2e::stand;

/// How long and how much.
struct Plan {
    smoke: bool,
    /// One measurement of one way.
    span: Duration,
    /// Before it, uncounted.
    warm_up: Duration,
    rounds: usize,
    connections: usize,
    sessions: usize,
}

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (plan, write) = read(arguments)?;
    let folder = stand::fresh("bench")?;
    let binaries = stage::Binaries::build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = Report {
        calls: runtime.block_on(calls::measure(&plan, &binaries, &folder))?,
        session: runtime.block_on(memory::measure(&plan, &binaries, &folder))?,
        decisions: decisions::measure(&plan)?,
        command: std::iter::once("cargo xtask bench")
            .chain(arguments.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" "),
    };
    print!("{report}");
    if write {
        report.write()?;
    }
    Ok(())
}

fn read(arguments: &[String]) -> anyhow::Result<(Plan, bool)> {
    let (mut smoke, mut write, mut seconds) = (false, false, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.as_slice().first().map(|next| next.parse())) {
            ("--smoke", _) => smoke = true,
            ("--write", _) => write = true,
            ("--seconds", Some(Ok(given @ 1..=600_u64))) => {
                seconds = Some(given);
                arguments.next();
            }
            (other, _) => bail!("`{other}`; usage: cargo xtask bench [--smoke] [--seconds 1..600] [--write]"),
        }
    }
    let plan = match smoke {
        true => Plan {
            smoke,
            span: Duration::from_secs(seconds.unwrap_or(1)),
            warm_up: Duration::from_millis(200),
            rounds: 1,
            connections: 8,
            sessions: 500,
        },
        false => Plan {
            smoke,
            span: Duration::from_secs(seconds.unwrap_or(4)),
            warm_up: Duration::from_millis(500),
            rounds: 7,
            connections: 32,
            sessions: 10_000,
        },
    };
    Ok((plan, write))
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
        check("--fast", None);
    }
}
