//! A server under test as a child process: its output goes to files, and it ends with us.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
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
    /// Starts `command` and waits until `ready` finds what it looks for in a line of its output.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        logs: &Path,
        ready: impl Fn(&str) -> Option<String> + Clone + Send + 'static,
    ) -> anyhow::Result<(Self, String)> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let process = Self { child };

        let (tell, told) = mpsc::channel();
        let [stdout, stderr] = ["stdout", "stderr"].map(|stream| logs.join(format!("{name}.{stream}.log")));
        watch(output.context("standard output is piped")?, &stdout, ready.clone(), tell.clone())?;
        watch(errors.context("standard error is piped")?, &stderr, ready, tell)?;
        match told.recv_timeout(START) {
            Ok(found) => Ok((process, found)),
            Err(_) => bail!("`{name}` did not become ready{}", tail(&stderr)),
        }
    }
}

/// Copies a stream to a file for as long as it lasts: a full pipe would stop the server.
fn watch(
    stream: impl Read + Send + 'static,
    log: &Path,
    ready: impl Fn(&str) -> Option<String> + Send + 'static,
    tell: mpsc::Sender<String>,
) -> anyhow::Result<()> {
    let mut copy = File::create(log).with_context(|| format!("cannot write `{}`", log.display()))?;
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = writeln!(copy, "{line}");
            if let Some(found) = ready(&line) {
                // Nobody waits any more after the first.
                let _ = tell.send(found);
            }
        }
    });
    Ok(())
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().map(|line| format!("\n    {line}")).collect()
}
