//! The fuzz tests are plain tests with few rounds and a fixed seed. Here they get a longer time and a new seed: `fuzz [mcp|policy] [SECONDS]`.

use std::time::{Duration, Instant, SystemTime};

use anyhow::bail;

use crate::shell::{cargo, run as sh};

const SECONDS: u64 = 60;
/// What crate `mcp` does within a second, roughly, in its mutants' test, which counts rounds and not time.
const MUTANTS_PER_SECOND: u64 = 5_000;

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let (mut only, mut seconds) = (None, SECONDS);
    for arg in args {
        match (arg.as_str(), arg.parse()) {
            ("mcp" | "policy", _) => only = Some(arg.as_str()),
            (_, Ok(number)) => seconds = number,
            _ => bail!("`{arg}` is neither `mcp`, nor `policy`, nor a number of seconds"),
        }
    }
    let seed = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    eprintln!("seed {seed}");
    if only != Some("policy") {
        mcp(seed, seconds)?;
    }
    if only != Some("mcp") {
        policy(seed, seconds)?;
    }
    Ok(())
}

fn mcp(seed: u64, seconds: u64) -> anyhow::Result<()> {
    let mut tests = cargo(&["test", "--release", "--locked", "--package", "mcp", "--test", "it"]);
    tests.args(["--", "--nocapture", "fuzz::", "mutants::"]);
    tests.env("FUZZ_SEED", seed.to_string()).env("FUZZ_SECONDS", seconds.to_string());
    sh(tests.env("MUTANTS", (seconds * MUTANTS_PER_SECOND).to_string()))
}

/// Its tests count rounds: they are run again, each time with the next seed, until the time is up.
fn policy(seed: u64, seconds: u64) -> anyhow::Result<()> {
    let end = now() + Duration::from_secs(seconds);
    for seed in seed.. {
        let mut tests = cargo(&["test", "--release", "--locked", "--quiet", "--package", "policy", "--test", "it"]);
        tests.args(["--", "hostile::", "laws::", "versus::"]);
        sh(tests.env("TOOLGATE_TEST_SEED", seed.to_string()))?;
        if now() >= end {
            break;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how long to run is for the real clock to say")]
fn now() -> Instant {
    Instant::now()
}
