//! The servers of the matrix, started: a legacy and a modern one over HTTP, one over HTTP+SSE. Those on stdio are started by whoever talks to them.

use std::path::Path;

use super::cell::Server;
use super::client::{PYTHON_1, PYTHON_2};
use crate::e2e::python::Python;
use crate::e2e::stand::{At, Launch, Process};
use crate::shell;

pub(super) struct Servers {
    _running: Vec<Process>,
    at: Vec<(Server, At)>,
}

impl Servers {
    pub(super) fn start(wanted: &[Server], logs: &Path) -> anyhow::Result<Self> {
        let (mut running, mut at) = (Vec::new(), Vec::new());
        for &server in wanted {
            let (release, mode) = match server {
                Server::StdioLegacy => (PYTHON_1, "stdio"),
                Server::StdioModern => (PYTHON_2, "stdio"),
                Server::HttpLegacy => (PYTHON_1, "http"),
                Server::HttpModern => (PYTHON_2, "http"),
                Server::Sse => (PYTHON_1, "sse"),
            };
            let mut command = Python::install(release)?.run();
            command.arg(shell::root().join("xtask/e2e/server.py")).arg(mode);
            if server.is_stdio() {
                at.push((server, At::Command(Launch::of(&command))));
                continue;
            }
            let (process, url) = Process::start(server.id(), &mut command, logs, |line| {
                line.strip_prefix("server ready ").map(str::to_owned)
            })?;
            running.push(process);
            at.push((server, At::Url(url)));
        }
        Ok(Self { _running: running, at })
    }

    /// Where each is.
    pub(super) fn all(&self) -> &[(Server, At)] {
        &self.at
    }
}
