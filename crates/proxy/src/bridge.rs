//! `toolgate bridge`: a stdio client before a gateway that runs elsewhere.

use std::process::ExitCode;

use gateway::config::Layers;
use gateway::{Bridge, BridgeError};

use crate::{cli, exit, stdio};

pub(crate) fn run(args: cli::Bridge) -> anyhow::Result<ExitCode> {
    let Some(config) = stdio::config(&Layers::of_client(std::env::vars_os().collect())) else {
        return Ok(exit::USAGE.into());
    };
    // Never an argument: others can read those.
    let token = match std::env::var(&args.token_env) {
        Ok(token) => Some(token),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => {
            eprintln!("error: {}", BridgeError::Token);
            return Ok(exit::USAGE.into());
        }
    };
    let bridge = Bridge { url: args.url, token, ca: args.ca };
    stdio::run(async |asked| {
        let stop = async { _ = asked.await };
        match gateway::bridge(bridge, &config, tokio::io::stdin(), tokio::io::stdout(), stop).await {
            Ok(()) => Ok(exit::OK.into()),
            Err(error) => {
                eprintln!("error: {:#}", anyhow::Error::from(error));
                Ok(exit::USAGE.into())
            }
        }
    })
}
