//! A folder with little room, that can be given more: a small tmpfs where we may mount one, otherwise a bound on the size of files.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use tokio::process::Command;

use super::stage::Gateway;
use crate::shell::need;

/// Calls of about a second.
const SMALL: u64 = 1 << 20;
const LARGE: &str = "64m";

pub(super) enum Space {
    /// Mounted here; unmounted when dropped.
    Tmpfs(PathBuf),
    Bound,
}

impl Space {
    pub(super) fn small(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let size = format!("size={SMALL}");
        let mount =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Ok(Self::Tmpfs(folder.to_owned()));
        }
        need("prlimit", "apt-get install util-linux")?;
        Ok(Self::Bound)
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Tmpfs(_) => "a full tmpfs",
            Self::Bound => "files at their largest size",
        }
    }

    /// The command, within the bound if that is how it is done.
    pub(super) fn confine(&self, command: Command) -> Command {
        match self {
            Self::Tmpfs(_) => command,
            Self::Bound => {
                let command = command.into_std();
                let mut confined = Command::new("env");
                // Its default is to end the program; on a full disk nothing does.
                confined.args(["--ignore-signal=XFSZ", "prlimit", &format!("--fsize={SMALL}:unlimited"), "--"]);
                confined.arg(command.get_program()).args(command.get_args());
                if let Some(folder) = command.get_current_dir() {
                    confined.current_dir(folder);
                }
                confined
            }
        }
    }

    pub(super) fn grow(&self, gateway: &Gateway) -> anyhow::Result<()> {
        let mut command = match self {
            Self::Tmpfs(folder) => {
                let mut command = std::process::Command::new("mount");
                command.args(["-o", &format!("remount,size={LARGE}")]).arg(folder);
                command
            }
            Self::Bound => {
                let mut command = std::process::Command::new("prlimit");
                command.args(["--pid", &gateway.pid().to_string(), "--fsize=unlimited"]);
                command
            }
        };
        let output = command.output()?;
        ensure!(output.status.success(), "cannot give it room: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Self::Tmpfs(folder) = self {
            // Whatever still has it open keeps it until it ends.
            _ = std::process::Command::new("umount").arg("-l").arg(folder).output();
        }
    }
}
