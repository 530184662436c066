//! A release archive: the program, what its licence asks for, and what an operator needs beside it.

use std::fs;

use crate::shell::{cargo, program, root, run as sh};

const BESIDE: [&str; 5] =
    ["LICENSE", "README.md", "CHANGELOG.md", "docs/operations.md", "deploy/systemd/toolgate.service"];

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    sh(&mut cargo(&["build", "--release", "--locked", "--package", "proxy"]))?;
    let name = format!("toolgate-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let dist = root().join("target/dist");
    let folder = dist.join(&name);
    fs::create_dir_all(&folder)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    fs::copy(target.join("release/toolgate"), folder.join("toolgate"))?;
    for file in BESIDE {
        let name = file.rsplit('/').next().unwrap_or(file);
        fs::copy(root().join(file), folder.join(name))?;
    }
    let archive = format!("{name}.tar.gz");
    // The same input makes the same bytes: order, owner and time are fixed.
    let fixed = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
    sh(program("tar").current_dir(&dist).args(fixed).args(["-czf", &archive, &name]))?;
    sh(program("sh").current_dir(&dist).args(["-euc", &format!("sha256sum {archive} | tee {archive}.sha256")]))
}
