//! A PostgreSQL of our own. It forgets nothing when its process dies, and all when the machine does: nothing is forced to the disk.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::ensure;
use rustix::process::Signal;
use tempfile::TempDir;

use super::account::Account;
use super::instance::{Instance, needed, on_a_free_port};

const INSTALL: &str = "apt-get install postgresql";
/// Where Debian and Ubuntu keep them, a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
const READY: &str = "database system is ready to accept connections";
const USER: &str = "toolgate";

/// Many nodes, each with a pool, and many tests at once.
const CONNECTIONS: &str = "max_connections=300";

pub(crate) struct Postgres {
    // In this order: the folder goes when nobody writes into it any more.
    running: Option<Instance>,
    port: u16,
    account: Account,
    server: PathBuf,
    folder: TempDir,
}

impl Postgres {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (initdb, server) = (find("initdb")?, find("postgres")?);
        let (account, folder) = (Account::find()?, tempfile::Builder::new().prefix("toolgate-postgres-").tempdir()?);
        account.own(folder.path())?;
        make(account, &initdb, folder.path())?;
        on_a_free_port(|port| launch(account, &server, port, folder.path()).map(|running| (running, port)))
            .map(|(running, port)| Self { running: Some(running), port, account, server, folder })
    }

    /// A superuser's, so that tests can make databases of their own.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it, with every connection.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// The same once more, at the same address.
    pub(crate) fn resume(&mut self) -> anyhow::Result<()> {
        if self.running.is_none() {
            self.running = Some(launch(self.account, &self.server, self.port, self.folder.path())?);
        }
        Ok(())
    }

    /// Runs SQL, and gives what it printed: a row a line, columns between tabs.
    pub(crate) fn sql(&self, database: &str, text: &str) -> anyhow::Result<String> {
        let psql = find("psql")?;
        let mut command = self.account.command(&psql, "KILL")?;
        command.args(["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
        command.args(["-p", &self.port.to_string(), "-U", USER, "-d", database, "-c", text]);
        let output = command.current_dir(self.folder.path()).stderr(Stdio::piped()).output()?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn make(account: Account, initdb: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut command = account.command(initdb, "KILL")?;
    command.arg("-D").arg(folder.join("data")).args(["-U", USER, "--auth=trust", "--no-sync"]);
    command.args(["--encoding=UTF8", "--locale=C", "--no-instructions"]);
    let output = command.current_dir(folder).output()?;
    ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn launch(account: Account, server: &Path, port: u16, folder: &Path) -> anyhow::Result<Instance> {
    // Its immediate end: clients are cut off, children and shared memory go.
    let mut command = account.command(server, "QUIT")?;
    command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", CONNECTIONS] {
        command.args(["-c", setting]);
    }
    Instance::start(command, READY, Signal::QUIT, folder)
}

fn find(program: &str) -> anyhow::Result<PathBuf> {
    needed(program, versions(), INSTALL)
}

/// The newest first.
fn versions() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(DEBIAN).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let number = |folder: &PathBuf| folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| number(folder).is_some()).collect();
    folders.sort_by_key(number);
    folders.into_iter().rev().map(|folder| folder.join("bin")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_an_error_that_says_how_to_get_it() {
        let error = find("no-such-program").unwrap_err().to_string();
        assert_eq!(error, "`no-such-program` is missing; install it with: apt-get install postgresql");
    }

    #[test]
    fn it_keeps_its_rows_and_its_address_over_a_restart() {
        if let Err(missing) = find("postgres") {
            return eprintln!("SKIPPED: {missing}");
        }
        let mut postgres = Postgres::start().unwrap();
        let url = postgres.url();
        postgres.sql("postgres", "CREATE TABLE t (n int); INSERT INTO t VALUES (7)").unwrap();
        postgres.stop();
        assert!(postgres.sql("postgres", "SELECT 1").is_err());
        postgres.resume().unwrap();
        assert_eq!(postgres.sql("postgres", "SELECT n FROM t").unwrap(), "7\n");
        assert_eq!(postgres.url(), url);
        let folder = postgres.folder.path().to_owned();
        drop(postgres);
        assert!(!folder.exists());
    }
}
