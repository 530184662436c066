//! Starts the program in an empty folder and an empty environment.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

pub(crate) fn toolgate(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolgate"));
    command.args(args).current_dir(folder).env_clear();
    command
}

/// Runs it to its end: exit code, stdout, stderr.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A gateway that said that it is ready. It is killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    pub(crate) data: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Gateway {
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        Self::start_in(folder, args, &[])
    }

    /// In an environment that has only these variables.
    pub(crate) fn start_in(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let any_port = ["serve", "--set", "listen.data=127.0.0.1:0", "--set", "listen.admin=127.0.0.1:0"];
        let log = folder.join("log");
        let mut command = toolgate(folder, &[&any_port, args].concat());
        command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.envs(variables.iter().copied()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let words: Vec<&str> = ready.split_whitespace().collect();
        let ["toolgate", "ready", data, admin] = words.as_slice() else { panic!("not ready: {ready:?}") };
        let address = |word: &str, prefix: &str| word.strip_prefix(prefix).unwrap().parse().unwrap();
        let (data, admin) = (address(data, "data=http://"), address(admin, "admin=http://"));
        Self { child, stdout, log, data, admin }
    }

    /// The next line on stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// The next lines on stdout, up to one that is empty.
    pub(crate) fn paragraph(&mut self) -> String {
        let mut lines = self.stdout.by_ref().lines().map(Result::unwrap);
        let lines: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        lines.join("\n")
    }

    /// The ports of 127.0.0.1 on which it listens, as the kernel has them.
    pub(crate) fn listening(&self) -> Vec<u16> {
        let process = format!("/proc/{}", self.child.id());
        let links = std::fs::read_dir(format!("{process}/fd")).unwrap();
        let links = links.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()?.to_str().map(str::to_owned));
        let sockets: Vec<String> =
            links.filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect();
        let table = std::fs::read_to_string(format!("{process}/net/tcp")).unwrap();
        let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        // The columns: local address, state (0A listens), inode.
        let listens = rows.filter(|row| row[3] == "0A" && sockets.iter().any(|socket| socket == row[9]));
        let mut ports: Vec<u16> =
            listens.map(|row| u16::from_str_radix(row[1].split_once(':').unwrap().1, 16).unwrap()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end: the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
