//! What the tests against the real world stand on: built binaries, installed packages, running servers. Everything lies below `target/`.

mod emulator;
mod gateway;
mod launch;
mod node;
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

pub(crate) use self::emulator::Emulator;
pub(crate) use self::gateway::{At, Gateway, Upstream};
pub(crate) use self::launch::Launch;
pub(crate) use self::node::Node;
pub(crate) use self::process::Process;
use crate::shell;

/// Which way to build what is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// Where cargo builds, and where we may write.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), PathBuf::from)
}

/// An empty folder for one run.
pub(crate) fn fresh(name: &str) -> anyhow::Result<PathBuf> {
    let folder = target().join(name);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty `{}`", folder.display()));
        }
        _ => {}
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    Ok(folder.canonicalize()?)
}

/// Builds a binary and says where it is.
pub(crate) fn build(package: &str, binary: &str, features: &[&str], profile: Profile) -> anyhow::Result<PathBuf> {
    let mut cargo = shell::cargo(&["build", "--quiet", "--message-format=json-render-diagnostics"]);
    cargo.args(["--package", package, "--bin", binary]);
    if !features.is_empty() {
        cargo.args(["--features", &features.join(",")]);
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    let artifacts = shell::read(&mut cargo)?;
    let mut paths = artifacts.lines().filter_map(|line| {
        let artifact: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = artifact.pointer("/target/name")?.as_str()? == binary;
        artifact.get("executable")?.as_str().filter(|_| is_ours).map(PathBuf::from)
    });
    paths.next_back().with_context(|| format!("cargo built no `{binary}`"))
}

/// The fixture server, running. It is not what is looked at, so it is built the quick way.
pub(crate) fn fixture(logs: &Path) -> anyhow::Result<(Process, String)> {
    let binary = build("testkit", "fixture", &["fixture"], Profile::Debug)?;
    Process::start("fixture", Command::new(binary).args(["--port", "0"]), logs, |line| {
        line.strip_prefix("fixture ready ").map(str::to_owned)
    })
}
