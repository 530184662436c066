//! A virtual environment with one release of the Python SDK, below `target/`.

use std::path::PathBuf;
use std::process::Command;

use super::stand;
use crate::shell;

pub(super) struct Python {
    binary: PathBuf,
}

impl Python {
    pub(super) fn install(release: &str) -> anyhow::Result<Self> {
        let folder = stand::target().join(format!("python/mcp-{release}"));
        let binary = folder.join("bin/python");
        // Written last, so that it is only there after a whole installation.
        let mark = folder.join("installed");
        if mark.is_file() {
            return Ok(Self { binary });
        }
        shell::need("python3", "apt-get install python3 python3-venv")?;
        shell::run(shell::program("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install"];
        shell::run(Command::new(&binary).args(pip).arg(format!("mcp=={release}")))?;
        std::fs::write(mark, release)?;
        Ok(Self { binary })
    }

    pub(super) fn run(&self) -> Command {
        Command::new(&self.binary)
    }
}
