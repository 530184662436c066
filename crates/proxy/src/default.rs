//! What is served when nothing is configured: the fine-tuning tools, for the service that the environment names, else for an emulated one.

use std::ffi::OsString;

use anyhow::Context as _;
use azure_emulator::Emulator;
use gateway::config::Config;
use tokio::runtime::Runtime;

const ENDPOINT: &str = "AZURE_OPENAI_ENDPOINT";

/// How fast the emulated service lives: a job of an hour is over in a minute.
const SPEED: f64 = 60.0;

/// What to tell about it.
pub(crate) enum Shown {
    Real {
        endpoint: String,
    },
    /// It runs as long as this is kept.
    Emulated(azure_emulator::Running),
}

/// The inner error is one of the operator's: a variable that cannot be used.
pub(crate) fn server(
    config: Config,
    variables: Vec<(OsString, OsString)>,
    runtime: &Runtime,
) -> anyhow::Result<Result<(Config, Shown), String>> {
    let endpoint = variables.iter().find(|(name, value)| name == ENDPOINT && !value.is_empty());
    if let Some((_, endpoint)) = endpoint {
        let shown = Shown::Real { endpoint: endpoint.to_string_lossy().into_owned() };
        return Ok(config.with_finetuning(&variables).map(|config| (config, shown)));
    }
    let emulator = runtime.block_on(Emulator::builder().speed(SPEED).start());
    let emulator = emulator.context("the emulated Azure service does not start")?;
    // Nothing of the real environment: credentials that lie about must not reach a service that is not theirs.
    let variables = [(ENDPOINT, emulator.url()), ("AZURE_OPENAI_API_KEY", emulator.key())];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    Ok(config.with_finetuning(&variables).map(|config| (config, Shown::Emulated(emulator))))
}
