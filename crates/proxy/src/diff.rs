//! `toolgate diff`: what changes from one policy to another, by what they mean.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use policy::Policy;

use crate::cli::{self, Format, Gate};
use crate::document::Document;
use crate::{document, exit};

pub(crate) fn run(args: &cli::Diff) -> anyhow::Result<ExitCode> {
    let (Some(old), Some(new)) = (read(&args.old)?, read(&args.new)?) else {
        return Ok(exit::USAGE.into());
    };
    let diff = policy::diff(&old, &new);
    let shown = match args.format {
        Format::Human => write!(io::stdout(), "{diff}"),
        Format::Json => writeln!(io::stdout(), "{:#}", diff.to_json()),
    };
    shown.context("cannot write to stdout")?;
    let fails = match args.fail_on {
        None => false,
        // What cannot be ruled out is no reason to let a change through.
        Some(Gate::Widen) => diff.may_widen(),
        Some(Gate::Change) => !diff.is_empty(),
    };
    Ok(if fails { exit::FINDINGS } else { exit::OK }.into())
}

/// None where the policy is bad, which is said then.
fn read(path: &Path) -> anyhow::Result<Option<Policy>> {
    match Document::read(path, None)?.policy() {
        Ok(policy) => Ok(Some(policy)),
        Err(errors) => {
            document::complain(&errors);
            Ok(None)
        }
    }
}
