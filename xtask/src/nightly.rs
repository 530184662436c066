//! What takes too long for every change: the random tests of the policy engine, ten times as many, from a new seed.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::shell::{cargo, run as sh};

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string();
    eprintln!(
        "to do the same again: TOOLGATE_TEST_SEED={seed} TOOLGATE_TEST_SCALE=10 cargo test --release -p policy --test it"
    );
    let mut tests = cargo(&["test", "--release", "--locked", "-p", "policy", "--test", "it"]);
    sh(tests.env("TOOLGATE_TEST_SEED", seed).env("TOOLGATE_TEST_SCALE", "10"))
}
