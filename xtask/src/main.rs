//! `cargo xtask COMMAND`: what CI does, and the chores. One file a command; `cargo xtask` alone lists them.

mod bench;
mod ci;
mod conformance;
mod dist;
mod e2e;
mod fmt;
mod fuzz;
mod lint;
mod nightly;
mod readme;
mod services;
mod shell;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> anyhow::Result<()>,
}

const COMMANDS: [Command; 14] = [
    Command {
        name: "ci",
        about: "everything below that CI does, in order; or only the steps that are named",
        run: ci::run,
    },
    Command { name: "fmt", about: "format the code; `--check` only looks", run: fmt::run },
    Command { name: "tidy", about: "crate graph, heads of files, manifests, links", run: tidy::run },
    Command { name: "lint", about: "clippy, rustdoc, cargo-deny, cargo-machete, typos", run: lint::run },
    Command { name: "test", about: "all tests, doctests, and the loom models", run: test::run },
    Command {
        name: "services",
        about: "PostgreSQL and Redis for tests: `services COMMAND…`, or until a signal",
        run: services::run,
    },
    Command { name: "readme", about: "the commands of README.md, run as written", run: readme::run },
    Command {
        name: "conformance",
        about: "the official MCP suite, directly and through the gateway",
        run: conformance::run,
    },
    Command { name: "e2e", about: "real clients through the gateway to real servers", run: e2e::run },
    Command {
        name: "soak",
        about: "what must hold when machines fail, under load; `--large` is long, `--planted` tests the tests",
        run: soak::run,
    },
    Command {
        name: "bench",
        about: "costs as ratios against a bare proxy; `--smoke` is short, `--engines` is of decisions beside other engines",
        run: bench::run,
    },
    Command {
        name: "fuzz",
        about: "the fuzz tests for longer, from a new seed: `fuzz [mcp|policy] [SECONDS]`",
        run: fuzz::run,
    },
    Command { name: "nightly", about: "the random tests of policies, ten times as many", run: nightly::run },
    Command { name: "dist", about: "a release archive with its checksum", run: dist::run },
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        for Command { name, about, .. } in COMMANDS {
            eprintln!("cargo xtask {name:<12} {about}");
        }
        return ExitCode::from(2);
    };
    match (command.run)(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
