//! `toolgate store`: the key of what is secret in the store.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use gateway::config::{Config, ConfigFile, Layers};
use gateway::{Resealed, Vault, reseal};
use serde_json::json;
use store::Store;

use crate::{cli, exit};

pub(crate) fn run(args: &cli::StoreArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        cli::StoreCommand::NewKey => new_key(),
        cli::StoreCommand::Reseal(args) => seal_again(args),
    }
}

/// The key alone, to be put into a file.
fn new_key() -> anyhow::Result<ExitCode> {
    let key = Vault::new_key().context("there is no randomness to make a key of")?;
    writeln!(io::stdout().lock(), "{key}").context("cannot write to stdout")?;
    Ok(exit::OK.into())
}

fn seal_again(args: &cli::Reseal) -> anyhow::Result<ExitCode> {
    let file = match &args.config.config {
        Some(path) => ConfigFile::Required(path.clone()),
        None => ConfigFile::IfPresent("toolgate.toml".into()),
    };
    let layers = Layers { file, env: std::env::vars_os().collect(), flags: args.config.set.clone() };
    let config = Config::load(&layers).context("the configuration cannot be read")?;
    let url = config.store.url.as_ref().context("there is no store: `store.url` is empty")?;
    let vault = config.store.key.as_ref().context("there is no key: set `store.key`")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let store = Store::open(url.as_str()).await.context("the store cannot be opened")?;
        let done = reseal(&store, vault).await.context("not all is sealed anew: do it again");
        store.close().await;
        done
    })?;
    say(args.format, &done)?;
    Ok(if done.lost.is_empty() { exit::OK } else { exit::FINDINGS }.into())
}

fn say(format: cli::Format, done: &Resealed) -> anyhow::Result<()> {
    let Resealed { sealed, kept, lost } = done;
    let mut out = io::stdout().lock();
    match format {
        cli::Format::Json => writeln!(out, "{}", json!({ "sealed": sealed, "kept": kept, "lost": lost }))?,
        cli::Format::Human => {
            writeln!(out, "{sealed} sealed anew, {kept} were so before")?;
            for id in lost {
                writeln!(out, "the credential `{id}` cannot be opened with any of these keys: set it again")?;
            }
        }
    }
    Ok(())
}
