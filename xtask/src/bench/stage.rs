//! What is measured: an upstream, the bare proxy and Toolgate before it, each a process on a port of its own.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use hyper::Uri;

use crate::e2e::stand::{self, Profile};

/// Rules in the policy, the measured tool's own among them.
const RULES: usize = 100;

pub(super) struct Binaries {
    upstream: PathBuf,
    bare: PathBuf,
    toolgate: PathBuf,
}

/// A running server and its endpoint; ends with us.
pub(super) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(super) url: Uri,
}

impl Binaries {
    pub(super) fn build() -> anyhow::Result<Self> {
        Ok(Self {
            upstream: stand::build("testkit", "echo_upstream", &[], Profile::Release)?,
            bare: stand::build("testkit", "bare_proxy", &[], Profile::Release)?,
            toolgate: stand::build("proxy", "toolgate", &[], Profile::Release)?,
        })
    }

    pub(super) fn upstream(&self, logs: &Path) -> anyhow::Result<Server> {
        Server::start("echo_upstream", &mut Command::new(&self.upstream), logs, "")
    }

    pub(super) fn bare(&self, upstream: &Server, logs: &Path) -> anyhow::Result<Server> {
        Server::start("bare_proxy", Command::new(&self.bare).arg(upstream.url.to_string()), logs, "/mcp")
    }

    /// As an operator would run it: all defaults, decisions logged; only the ports and the server are ours.
    pub(super) fn toolgate(&self, upstream: &Server, folder: &Path) -> anyhow::Result<Server> {
        // Not beside the log: the folder of a policy is watched.
        let policies = folder.join("policies");
        std::fs::create_dir_all(&policies)?;
        std::fs::write(policies.join("policy.json"), policy())?;
        let config = folder.join("toolgate.toml");
        let text = format!(
            "[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[servers.bench]\nurl = \"{}\"\npolicy = \"policies/policy.json\"\n",
            upstream.url
        );
        std::fs::write(&config, text)?;
        let mut serve = Command::new(&self.toolgate);
        serve.arg("serve").arg("-c").arg(config).current_dir(folder);
        Server::start("toolgate", &mut serve, folder, "/mcp/bench")
    }
}

impl Server {
    /// Its log goes to a file without passing through us: what we do for one way would weigh on it.
    fn start(name: &str, command: &mut Command, logs: &Path, path: &str) -> anyhow::Result<Self> {
        let log = File::create(logs.join(format!("{name}.log"))).context("cannot write a log")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
        let stdout = BufReader::new(child.stdout.take().context("standard output is piped")?);
        let mut server = Self { child, stdout, url: Uri::default() };
        let mut line = String::new();
        server.stdout.read_line(&mut line)?;
        let rest = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(" ready "));
        let url = rest.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
        let url = url.strip_prefix("data=").unwrap_or(url).to_owned() + path;
        server.url = url.parse().with_context(|| format!("`{name}` did not say where it listens, but `{line}`"))?;
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The measured tool with a limit that is counted and never reached, among exact names and globs that do not match it.
fn policy() -> String {
    let mut tools = r#""get_issue": { "rate_limit": { "max": 1000000000, "window": "1m" } }"#.to_owned();
    for number in 1..RULES {
        let name = if number % 2 == 0 { "read_item" } else { "list_kind_*" };
        // Writing to a `String` cannot fail.
        _ = write!(tools, ",\n    \"service_{number}_{name}\": {{}}");
    }
    format!("{{\n  \"version\": \"1\",\n  \"default\": \"deny\",\n  \"tools\": {{\n    {tools}\n  }}\n}}\n")
}
