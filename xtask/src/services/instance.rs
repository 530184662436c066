//! One program of the system that runs for us, on a port of loopback, in a folder of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::ending;

/// How long a service may take until it takes connections: the machine may be busy.
const START: Duration = Duration::from_secs(60);

/// A port that was free may be taken before the service has it.
const ATTEMPTS: usize = 3;

/// A running service. Ended by its own signal when this is dropped.
pub(super) struct Instance {
    child: Child,
    process: Pid,
    signal: Signal,
}

impl Instance {
    /// Starts `command`, and returns when a line of its output has `ready` in it. The output goes to the file `log` in `folder`.
    pub(super) fn start(
        mut command: Command,
        ready: &'static str,
        signal: Signal,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let name = command.get_args().last().unwrap_or_default().to_owned();
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {name:?}"))?;
        let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a strange process id")?;
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().context("standard output is piped")?),
            Box::new(child.stderr.take().context("standard error is piped")?),
        ];
        let instance = Self { child, process, signal };
        ending::watch(process, signal, folder.to_owned())?;
        let (tell, told) = mpsc::channel();
        for output in outputs {
            read(output, ready, tell.clone());
        }
        drop(tell);
        let mut said = Vec::new();
        loop {
            match told.recv_timeout(START) {
                Ok(line) if line.contains(ready) => return Ok(instance),
                Ok(line) => said.push(line),
                Err(_) => bail!("{:?} did not become ready:\n{}", command.get_program(), said.join("\n")),
            }
        }
    }

    pub(super) fn tell(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.process, signal).with_context(|| format!("cannot signal {:?}", self.process))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        ending::unwatch(self.process);
        // A stopped process takes signals only when it goes on. All of this fails only if it has ended already.
        _ = kill_process(self.process, self.signal);
        _ = kill_process(self.process, Signal::CONT);
        _ = self.child.wait();
    }
}

/// Reads to the end, so that no pipe runs full; tells every line until somebody is content.
fn read(output: impl std::io::Read + Send + 'static, ready: &'static str, tell: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        let mut tell = Some(tell);
        for line in std::io::BufRead::lines(std::io::BufReader::new(output)).map_while(Result::ok) {
            let enough = line.contains(ready);
            if let Some(tell) = &tell {
                // Nobody listens any more when it is ready.
                _ = tell.send(line);
            }
            if enough {
                tell = None;
            }
        }
    });
}

/// On a free port of loopback.
pub(super) fn on_a_free_port<T>(start: impl Fn(u16) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut attempts = 1;
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        match start(port) {
            Ok(started) => return Ok(started),
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(error) => eprintln!("once more: {error:#}"),
        }
        attempts += 1;
    }
}

/// A program that must be there.
pub(super) fn needed(name: &str, folders: impl IntoIterator<Item = PathBuf>, install: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = folders.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join(name));
    let found = places.find(|place| place.is_file());
    found.with_context(|| format!("`{name}` is missing; install it with: {install}"))
}
