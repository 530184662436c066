//! `toolgate migrate`: a store into another.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, json};
use store::{Copied, Options, Store, StoreError};

use crate::{cli, exit};

/// Of one step, not of all: nobody waits for an answer to a call here, and a database may be far away.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &cli::Migrate) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(migrate(args)) {
        Ok(copied) => print(args.format, &copied).map(|()| exit::OK.into()),
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::Url(_))) => {
            eprintln!("error: {error:#}");
            Ok(exit::USAGE.into())
        }
        Err(error) => Err(error),
    }
}

async fn migrate(args: &cli::Migrate) -> anyhow::Result<Copied> {
    let from = open(&args.from, false).await.context("cannot open what `--from` names")?;
    let to = open(&args.to, true).await.context("cannot open what `--to` names")?;
    let copied = store::copy(&from, &to).await;
    from.close().await;
    to.close().await;
    Ok(copied?)
}

async fn open(url: &str, create: bool) -> Result<Store, StoreError> {
    Store::open_with(url, Options { timeout: PATIENCE, create, ..Options::default() }).await
}

fn print(format: cli::Format, copied: &Copied) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        cli::Format::Json => {
            let tables: Map<_, _> =
                copied.tables.iter().map(|(table, rows)| ((*table).to_owned(), json!(rows))).collect();
            writeln!(out, "{}", json!({ "revision": copied.revision, "tables": tables }))?;
        }
        cli::Format::Human => {
            for (table, rows) in &copied.tables {
                writeln!(out, "{rows:>10} {table}")?;
            }
            writeln!(out, "copied and compared, at revision {}", copied.revision)?;
        }
    }
    Ok(())
}
