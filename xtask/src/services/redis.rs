//! A Redis of our own, in memory only.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;
use tempfile::TempDir;

use super::account::Account;
use super::instance::{Instance, needed, on_a_free_port};

const INSTALL: &str = "apt-get install redis-server";
const READY: &str = "Ready to accept connections";

/// How long it may take to answer us.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Redis {
    // In this order: the folder goes when nobody writes into it any more.
    running: Option<Instance>,
    port: u16,
    folder: TempDir,
}

impl Redis {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("toolgate-redis-").tempdir()?;
        Account::find()?.own(folder.path())?;
        on_a_free_port(|port| launch(port, folder.path()).map(|running| (running, port))).map(|(running, port)| Self {
            running: Some(running),
            port,
            folder,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it, with all that it knew.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// An empty one at the same address.
    pub(crate) fn resume(&mut self) -> anyhow::Result<()> {
        if self.running.is_none() {
            self.running = Some(launch(self.port, self.folder.path())?);
        }
        Ok(())
    }

    /// It takes connections and says nothing (SIGSTOP).
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        self.running.as_ref().map_or(Ok(()), |running| running.tell(Signal::STOP))
    }

    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        self.running.as_ref().map_or(Ok(()), |running| running.tell(Signal::CONT))
    }

    /// One command without spaces in its words; the first line of the answer.
    pub(crate) fn ask(&self, command: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        ensure!(!line.starts_with('-'), "redis: {line}");
        Ok(line.trim_end().to_owned())
    }
}

fn launch(port: u16, folder: &Path) -> anyhow::Result<Instance> {
    let mut command = Account::find()?.command(&find()?, "KILL")?;
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    Instance::start(command, READY, Signal::KILL, folder)
}

fn find() -> anyhow::Result<PathBuf> {
    needed("redis-server", [PathBuf::from("/usr/bin")], INSTALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_and_a_restart_forgets() {
        if let Err(missing) = find() {
            return eprintln!("SKIPPED: {missing}");
        }
        let mut redis = Redis::start().unwrap();
        assert_eq!(redis.ask("SET a 1").unwrap(), "+OK");
        redis.stop();
        assert!(redis.ask("PING").is_err());
        redis.resume().unwrap();
        assert_eq!(redis.ask("EXISTS a").unwrap(), ":0");
        redis.freeze().unwrap();
        redis.thaw().unwrap();
        assert_eq!(redis.ask("PING").unwrap(), "+PONG");
    }
}
