//! All tests. Without cargo-nextest, plain `cargo test` does the same, only slower.

use crate::shell::{cargo, has, run as sh};

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    if has("cargo-nextest") {
        sh(&mut cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]))?;
        sh(&mut cargo(&["test", "--workspace", "--locked", "--doc"]))?;
    } else {
        sh(&mut cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]))?;
    }
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
