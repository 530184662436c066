//! `toolgate test`: the cases beside policies, played without a server.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use gateway::rehearsal::{self, Ending, NoScript, Report};

use crate::cli::{self, TestFormat};
use crate::{document, exit};

pub(crate) fn run(args: &cli::Test) -> anyhow::Result<ExitCode> {
    let scripts = match rehearsal::find(&paths(args)) {
        Ok(scripts) => scripts,
        Err(error @ NoScript::Read { .. }) => return Err(error.into()),
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(exit::USAGE.into());
        }
    };
    let report = Report::of(scripts, args.fail_under)?;
    let mut out = io::stdout().lock();
    let shown = match args.format {
        TestFormat::Human => {
            report.errors().for_each(document::complain);
            write!(out, "{}", report.human())
        }
        TestFormat::Json => writeln!(out, "{}", report.json()),
        TestFormat::Junit => write!(out, "{}", report.junit()),
    };
    shown.context("cannot write the report")?;
    let code = match report.ending() {
        Ending::Passed => exit::OK,
        Ending::Failed => exit::FINDINGS,
        Ending::Unusable => exit::USAGE,
    };
    Ok(code.into())
}

fn paths(args: &cli::Test) -> Vec<PathBuf> {
    let default = if Path::new("policies").is_dir() { "policies" } else { "." };
    if args.paths.is_empty() { vec![default.into()] } else { args.paths.clone() }
}
