//! Programs that serve the client at the other end of stdin and stdout, until it ends or a signal comes.

use std::process::ExitCode;

use anyhow::Context as _;
use gateway::config::{Config, Layers};
use tokio::sync::oneshot;

use crate::serve::Signals;
use crate::{exit, logging};

/// The settings; none when something is wrong with them, which is said.
pub(crate) fn config(layers: &Layers) -> Option<Config> {
    match Config::load(layers) {
        Ok(config) => {
            logging::start(config.log);
            Some(config)
        }
        Err(errors) => {
            errors.problems().iter().for_each(|problem| eprintln!("error: {problem}"));
            None
        }
    }
}

/// Works until the work ends. The first signal asks it to, the second does not wait for it.
pub(crate) fn run<W>(work: impl FnOnce(oneshot::Receiver<()>) -> W) -> anyhow::Result<ExitCode>
where
    W: Future<Output = anyhow::Result<ExitCode>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen to signals")?;
        let (ask, asked) = oneshot::channel();
        let work = work(asked);
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = signals.next() => drop(ask.send(())),
        }
        tokio::select! {
            done = &mut work => done,
            () = signals.next() => {
                tracing::warn!("second signal: not waiting for open calls");
                Ok(exit::OK.into())
            }
        }
    });
    // A read of stdin that is still waiting cannot be ended, and nobody waits for it.
    runtime.shutdown_background();
    done
}
