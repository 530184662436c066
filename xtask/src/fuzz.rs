//! The fuzz tests are plain tests with a time limit. Here they get a longer one.

use anyhow::Context as _;

use crate::shell::{cargo, run as sh};

const SECONDS: u64 = 60;
const CRATES: [&str; 2] = ["mcp", "policy"];

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let seconds = match args.first() {
        Some(seconds) => seconds.parse().with_context(|| format!("`{seconds}` is not a number of seconds"))?,
        None => SECONDS,
    };
    for name in CRATES {
        let mut tests = cargo(&["test", "--release", "--locked", "--package", name, "fuzz", "--", "--nocapture"]);
        sh(tests.env("TOOLGATE_FUZZ_SECONDS", seconds.to_string()))?;
    }
    Ok(())
}
