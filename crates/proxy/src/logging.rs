//! Logs go to stderr, one event a line.

use std::io::{self, IsTerminal as _};

use gateway::config::{Log, LogFormat};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// The level is for what we say ourselves. Libraries may warn; below that they talk about bytes and headers, and so about secrets.
const OURS: [&str; 7] = ["toolgate", "azure_finetuning", "finetuning_server", "gateway", "policy", "ratelimit", "mcp"];

pub(crate) fn start(log: Log) {
    let level = LevelFilter::from_level(log.level);
    let libraries = level.min(LevelFilter::WARN);
    let filter = Targets::new().with_default(libraries).with_targets(OURS.map(|target| (target, level)));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => {
            let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            lines.with_ansi(io::stderr().is_terminal() && !no_colour).boxed()
        }
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
}
