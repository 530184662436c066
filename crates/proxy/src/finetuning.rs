//! `toolgate finetuning`: the tools alone, for a client that brings its own rules or for `toolgate serve` on another machine.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use finetuning_server::{FineTuningServer, Settings};

use crate::serve::Signals;
use crate::{cli, exit, logging};

pub(crate) fn run(args: &cli::Finetuning) -> anyhow::Result<ExitCode> {
    let server = match Settings::from_env(std::env::vars_os()).and_then(FineTuningServer::new) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::from(error));
            return Ok(exit::USAGE.into());
        }
    };
    logging::start(gateway::config::Log::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen to signals")?;
        let serving = async {
            match args.http {
                None => finetuning_server::serve_stdio(server).await.context("the connection failed"),
                Some(address) => {
                    let listener = tokio::net::TcpListener::bind(address).await;
                    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
                    let mut out = io::stdout();
                    writeln!(out, "finetuning ready http://{}/mcp", listener.local_addr()?)?;
                    out.flush()?;
                    finetuning_server::serve_http(server, listener, None).await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            served = serving => served,
            () = signals.next() => Ok(()),
        }
    })?;
    // Stdin is read on a thread that nothing wakes; it ends with the process.
    runtime.shutdown_background();
    Ok(exit::OK.into())
}
