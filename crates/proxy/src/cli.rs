//! What can be written on the command line. The texts here are what `--help` shows.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A policy gateway for the Model Context Protocol: no call reaches a server unless a rule allows it.
#[derive(Parser)]
#[command(name = "toolgate", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the gateway (the default command)
    Serve(Serve),
    /// Say everything that is wrong with policy files; exit code 1 if anything is
    Check(Check),
}

#[derive(Args)]
pub(crate) struct Serve {
    /// The configuration; `toolgate.toml` in the working directory, if there is one, when absent
    #[arg(short, long, value_name = "FILE", env = "TOOLGATE_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting, such as `listen.data=127.0.0.1:0`; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,
    /// Show the effective settings with where each came from, secrets masked, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Short for `--set log.format=…`
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    pub(crate) log_format: Option<String>,
    /// Short for `--set log.level=…`
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) log_level: Option<String>,
}

#[derive(Args)]
pub(crate) struct Check {
    /// Policy files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("expected KEY=VALUE".to_owned()),
    }
}
