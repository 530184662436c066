//! Who runs a service: PostgreSQL refuses to run as root, so there another account of the system does.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::shell::{self, program, read};

/// The first of these that the system has.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// None where we are not root: then we do it ourselves.
#[derive(Clone, Copy)]
pub(super) struct Account(Option<(u32, u32)>);

impl Account {
    pub(super) fn find() -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let id = |which, name| read(program("id").args([which, name]))?.trim().parse().context("`id` said no number");
        let known = |name: &&&str| program("id").arg(name).output().is_ok_and(|output| output.status.success());
        let name = ACCOUNTS.iter().find(known).context("no account but root's: make one that is named `postgres`")?;
        Ok(Self(Some((id("-u", name)?, id("-g", name)?))))
    }

    /// Gives a folder to it.
    pub(super) fn own(self, folder: &Path) -> std::io::Result<()> {
        let Some((user, group)) = self.0 else { return Ok(()) };
        std::os::unix::fs::chown(folder, Some(user), Some(group))
    }

    /// `path` under this account. It is told to end by `signal` when we have ended in whatever way; so it must be started by a thread
    /// that lives as long as we do.
    pub(super) fn command(self, path: &Path, signal: &str) -> anyhow::Result<Command> {
        shell::need("setpriv", "apt-get install util-linux")?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", signal]);
        if let Some((user, group)) = self.0 {
            command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
        }
        command.arg("--").arg(path);
        Ok(command)
    }
}
