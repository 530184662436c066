//! All tests, with the services that some of them need. Without cargo-nextest, plain `cargo test` does the same, only slower.

use crate::services::Services;
use crate::shell::{cargo, has, run as sh};

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    // With them in its environment, no test is skipped.
    let services = Services::start()?;
    if has("cargo-nextest") {
        let tests = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast"];
        sh(cargo(&tests).envs(services.variables()))?;
        sh(&mut cargo(&["test", "--workspace", "--locked", "--doc"]))?;
    } else {
        sh(cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]).envs(services.variables()))?;
    }
    drop(services);
    loom()
}

/// Other flags make other artefacts: in a folder of their own, they do not push out the usual ones.
fn loom() -> anyhow::Result<()> {
    let mut models = cargo(&[
        "test",
        "--package",
        "ratelimit",
        "--release",
        "--locked",
        "--test",
        "loom",
        "--target-dir",
        "target/loom",
    ]);
    sh(models.env("RUSTFLAGS", "--cfg loom"))
}
