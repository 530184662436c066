//! The program `toolgate`: arguments in, exit code out. What happens between lies in `gateway` and `policy`.

mod agents;
mod approvals;
mod audit;
mod bridge;
mod check;
mod cli;
mod connect;
mod default;
mod diff;
mod document;
mod emulator;
mod exit;
mod explain;
mod finetuning;
mod fmt;
mod github;
mod logging;
mod manage;
mod migrate;
mod sarif;
mod schema;
mod seal;
mod serve;
mod simulate;
mod stdio;
mod test;
mod tour;
mod wrap;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => serve::run(&cli.serve),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Bridge(args)) => bridge::run(args),
        Some(Command::Wrap(args)) => wrap::run(args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Diff(args)) => diff::run(&args),
        Some(Command::Fmt(args)) => fmt::run(&args),
        Some(Command::Schema(args)) => schema::run(&args),
        Some(Command::Finetuning(args)) => finetuning::run(&args),
        Some(Command::Emulator(args)) => emulator::run(&args),
        Some(Command::Test(args)) => test::run(&args),
        Some(Command::Simulate(args)) => simulate::run(&args),
        Some(Command::Audit(args)) => audit::run(&args),
        Some(Command::Agents(args)) => manage::agents(&args),
        Some(Command::Servers(args)) => manage::servers(&args),
        Some(Command::Policies(args)) => manage::policies(&args),
        Some(Command::Settings(args)) => manage::settings(&args),
        Some(Command::Admins(args)) => manage::admins(&args),
        Some(Command::Credentials(args)) => manage::credentials(&args),
        Some(Command::Store(args)) => seal::run(&args),
        Some(Command::Approvals(args)) => approvals::run(&args),
        Some(Command::Migrate(args)) => migrate::run(&args),
        Some(Command::Connect(args)) => connect::run(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        exit::RUNTIME.into()
    })
}
