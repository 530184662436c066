//! `toolgate emulator`: the service that needs no account, until a signal ends it.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use azure_emulator::Emulator;

use crate::serve::Signals;
use crate::{cli, exit};

pub(crate) fn run(args: &cli::Emulator) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen to signals")?;
        let seed = match args.seed {
            cli::Seed::Demo => azure_emulator::Seed::Demo,
            cli::Seed::Empty => azure_emulator::Seed::Empty,
        };
        let mut builder = Emulator::builder().port(args.port).speed(args.speed).seed(seed).key(args.key.clone());
        if let Some(folder) = &args.directory {
            builder = builder.directory(folder.clone());
        }
        let running = builder.start().await.with_context(|| format!("cannot listen on 127.0.0.1:{}", args.port))?;
        let mut out = io::stdout().lock();
        writeln!(out, "emulator ready {}", running.url())?;
        writeln!(out, "{}", azure_emulator::environment(&running).trim_end())?;
        writeln!(
            out,
            "# control routes under {}/__emulator want the header x-emulator-token: {}",
            running.url(),
            running.control_token()
        )?;
        out.flush()?;
        drop(out);
        signals.next().await;
        Ok(exit::OK.into())
    })
}
