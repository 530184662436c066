//! Logs go to stderr, one event a line.

use std::io::{self, IsTerminal as _};

use gateway::config::{Live, Log, LogFormat};
use tokio::sync::watch;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload::{self, Handle};

/// The level is for what we say ourselves. Libraries may warn; below that they talk about bytes and headers, and so about secrets.
const OURS: [&str; 10] = [
    "toolgate",
    "azure_finetuning",
    "console",
    "finetuning_server",
    "gateway",
    "journal",
    "mcp",
    "policy",
    "ratelimit",
    "store",
];

/// Changes the level while the program runs.
pub(crate) struct Dial(Handle<Targets, Registry>);

pub(crate) fn start(log: Log) -> Dial {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => {
            let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            lines.with_ansi(io::stderr().is_terminal() && !no_colour).boxed()
        }
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Dial(handle)
}

fn filter(level: Level) -> Targets {
    let level = LevelFilter::from_level(level);
    let libraries = level.min(LevelFilter::WARN);
    Targets::new().with_default(libraries).with_targets(OURS.map(|target| (target, level)))
}

impl Dial {
    /// Turns to what `live` says, now and whenever it says something else; until it says nothing any more.
    pub(crate) async fn follow(self, mut live: watch::Receiver<Live>) {
        loop {
            let level = live.borrow_and_update().level;
            if let Err(error) = self.0.reload(filter(level)) {
                tracing::error!(%error, "the log's level cannot be changed");
            }
            if live.changed().await.is_err() {
                return;
            }
        }
    }
}
