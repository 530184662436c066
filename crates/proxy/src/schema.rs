//! `toolgate schema`: the published JSON Schemas, from the program itself.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::{cli, exit};

pub(crate) fn run(args: &cli::Schema) -> anyhow::Result<ExitCode> {
    let schema = if args.catalog { policy::catalogue_schema() } else { policy::schema() };
    writeln!(io::stdout(), "{schema:#}").context("cannot write to stdout")?;
    Ok(exit::OK.into())
}
