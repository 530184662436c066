//! `toolgate wrap`: one local server with a policy before it, for one client.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use gateway::config::{Layers, Wrapped};

use crate::document::{Document, complain};
use crate::{cli, exit, stdio};

pub(crate) fn run(args: cli::Wrap) -> anyhow::Result<ExitCode> {
    // Looked at first, since whoever writes a policy wants to see the places.
    if let Err(errors) = Document::read(Path::new(&args.policy), None)?.policy() {
        complain(&errors);
        return Ok(exit::USAGE.into());
    }
    let wrapped = Wrapped {
        name: args.name,
        policy: args.policy,
        command: args.command,
        env: args.env,
        inherit: args.inherit,
        folder: args.cwd,
    };
    let Some(config) = stdio::config(&Layers::wrapping(&wrapped, std::env::vars_os().collect())) else {
        return Ok(exit::USAGE.into());
    };
    stdio::run(async |asked| {
        let stop = async { _ = asked.await };
        gateway::wrap(config, tokio::io::stdin(), tokio::io::stdout(), stop).await.context("cannot start")?;
        Ok(exit::OK.into())
    })
}
