//! `toolgate simulate`: recorded calls, through a new policy.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use gateway::PolicyTrouble;
use gateway::replay::{Only, Replay, Summary};

use crate::cli::{self, FailOn, Format};
use crate::{document, exit};

pub(crate) fn run(args: &cli::Simulate) -> anyhow::Result<ExitCode> {
    let only = Only { server: args.server.clone(), since: args.since };
    let replay = match Replay::new(&args.new, args.old.as_deref(), only) {
        Ok(replay) => replay,
        Err(PolicyTrouble::Invalid { source, .. }) => {
            document::complain(&source);
            return Ok(exit::FINDINGS.into());
        }
        Err(error) => return Err(error.into()),
    };
    let file = args.against.display();
    let summary = play(&replay, &args.against).with_context(|| format!("cannot read `{file}`"))?;
    let mut out = io::stdout().lock();
    let shown = match args.format {
        Format::Human => write!(out, "{}", summary.human()),
        Format::Json => writeln!(out, "{}", summary.json()),
    };
    shown.context("cannot write the summary")?;
    if summary.is_empty() {
        eprintln!(
            "error: no call to simulate in `{file}`: see `toolgate simulate --help` for what a record looks like"
        );
        return Ok(exit::USAGE.into());
    }
    let fails = args.fail_on.iter().any(|what| fails(&summary, *what));
    Ok(if fails { exit::FINDINGS } else { exit::OK }.into())
}

fn play(replay: &Replay, path: &Path) -> io::Result<Summary> {
    match path == Path::new("-") {
        true => replay.play(io::stdin().lock()),
        false => replay.play(BufReader::new(File::open(path)?)),
    }
}

fn fails(summary: &Summary, what: FailOn) -> bool {
    match what {
        FailOn::Change => summary.changed(),
        FailOn::Widen => summary.widens(),
        FailOn::Narrow => summary.narrows(),
        FailOn::Unknown => summary.has_unknown(),
    }
}
