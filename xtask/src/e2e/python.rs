//! Virtual environments with packages from PyPI, below `target/`.

use std::path::PathBuf;
use std::process::Command;

use super::stand;
use crate::shell;

pub(super) struct Python {
    binary: PathBuf,
}

impl Python {
    /// One release of the Python SDK.
    pub(super) fn install(release: &str) -> anyhow::Result<Self> {
        Self::with(&format!("mcp-{release}"), &[&format!("mcp=={release}")])
    }

    /// An environment of this name, with these packages.
    pub(super) fn with(name: &str, packages: &[&str]) -> anyhow::Result<Self> {
        let folder = stand::target().join("python").join(name);
        let binary = folder.join("bin/python");
        // Written last, so that it is only there after a whole installation.
        let (mark, wanted) = (folder.join("installed"), packages.join("\n"));
        if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
            return Ok(Self { binary });
        }
        shell::need("python3", "apt-get install python3 python3-venv")?;
        shell::run(shell::program("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install"];
        shell::run(Command::new(&binary).args(pip).args(packages))?;
        std::fs::write(mark, wanted)?;
        Ok(Self { binary })
    }

    /// Python itself. It leaves no compiled files beside our scripts.
    pub(super) fn run(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("-B");
        command
    }
}
