//! A server under test as a child process: its output goes to files, and it ends with us.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};

/// How long a server may take to say that it is ready.
const START: Duration = Duration::from_secs(60);

/// A running child, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` and waits until `ready` finds what it looks for in a line of standard output.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        logs: &Path,
        ready: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> anyhow::Result<(Self, String)> {
        let errors = logs.join(format!("{name}.stderr.log"));
        let mut copy = File::create(logs.join(format!("{name}.stdout.log"))).context("cannot write a log")?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).context("cannot write a log")?);
        let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
        let output = child.stdout.take().context("standard output is piped")?;
        let process = Self { child };

        let (tell, told) = mpsc::channel();
        // Reads on after the first line: a full pipe would stop the server.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = writeln!(copy, "{line}");
                if let Some(found) = ready(&line) {
                    let _ = tell.send(found);
                }
            }
        });
        match told.recv_timeout(START) {
            Ok(found) => Ok((process, found)),
            Err(_) => bail!("`{name}` did not become ready{}", tail(&errors)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(log: &PathBuf) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().map(|line| format!("\n    {line}")).collect()
}
