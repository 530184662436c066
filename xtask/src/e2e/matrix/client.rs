//! The clients: each a real SDK in one era, started once and led to all its servers.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::cell::Era;
use crate::e2e::python::Python;
use crate::e2e::stand::{Node, Profile, build};
use crate::shell;

/// How long one client may take for all its servers.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    Python1,
    Python2,
    TypeScript1,
    TypeScript2,
    Rmcp,
}

pub(super) const PYTHON_1: &str = "1.30.0";
pub(super) const PYTHON_2: &str = "2.3.0";

/// Each in each era that it can speak.
pub(super) const CLIENTS: [(Sdk, Era); 8] = [
    (Sdk::Python1, Era::Legacy),
    (Sdk::Python2, Era::Legacy),
    (Sdk::Python2, Era::Modern),
    (Sdk::TypeScript1, Era::Legacy),
    (Sdk::TypeScript2, Era::Legacy),
    (Sdk::TypeScript2, Era::Modern),
    (Sdk::Rmcp, Era::Legacy),
    (Sdk::Rmcp, Era::Modern),
];

impl Sdk {
    pub(super) const ALL: [Self; 5] = [Self::Python1, Self::Python2, Self::TypeScript1, Self::TypeScript2, Self::Rmcp];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Python1 => "Python SDK 1",
            Self::Python2 => "Python SDK 2",
            Self::TypeScript1 => "TypeScript SDK 1",
            Self::TypeScript2 => "TypeScript SDK 2",
            Self::Rmcp => "rmcp",
        }
    }

    /// What the checks make up for, or do not ask of it.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::Python1 => Some(
                "This SDK drops a cancelled call without a word to the server. For `cancel` the test sends `notifications/cancelled` itself.",
            ),
            Self::Rmcp => Some(
                "This SDK handles each notification in a task of its own, so for `progress` the order of the reports is not looked at.",
            ),
            Self::Python2 | Self::TypeScript1 | Self::TypeScript2 => None,
        }
    }

    pub(super) fn has_sse(self) -> bool {
        match self {
            Self::Python1 | Self::Python2 | Self::TypeScript1 | Self::TypeScript2 => true,
            Self::Rmcp => false,
        }
    }

    /// The command without its last argument, the targets.
    pub(super) fn command(self, era: Era, node: &Node) -> anyhow::Result<Command> {
        let scripts = shell::root().join("xtask/e2e");
        let python = |release| {
            let mut command = Python::install(release)?.run();
            command.arg(scripts.join("matrix.py"));
            Ok::<_, anyhow::Error>(command)
        };
        let node = |release| {
            let mut command = node.run();
            command.arg(scripts.join("matrix.mjs")).arg(release);
            command
        };
        let mut command = match self {
            Self::Python1 => python(PYTHON_1)?,
            Self::Python2 => python(PYTHON_2)?,
            Self::TypeScript1 => node("v1"),
            Self::TypeScript2 => node("v2"),
            Self::Rmcp => Command::new(build("testkit", "matrix_client", &["fixture"], Profile::Debug)?),
        };
        command.arg(era.name());
        Ok(command)
    }
}

/// Runs a client and gives what it wrote to stdout, even if it had to be stopped.
pub(super) fn run(mut command: Command, targets: &[Value], log: &Path) -> anyhow::Result<String> {
    let errors = std::fs::File::create(log).with_context(|| format!("cannot write `{}`", log.display()))?;
    command.arg(Value::from(targets).to_string()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
    let mut child = command.spawn().context("cannot start a client")?;
    let mut output = child.stdout.take().context("standard output is piped")?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = output.read_to_end(&mut said);
        let _ = tell.send(said);
    });
    let in_time = told.recv_timeout(LIMIT);
    // Done, or too late. What it said until then still counts.
    let _ = child.kill();
    let _ = child.wait();
    let said = in_time.or_else(|_| told.recv_timeout(Duration::from_secs(1))).unwrap_or_default();
    Ok(String::from_utf8_lossy(&said).into_owned())
}
