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
        self.upstream_with(&[], logs)
    }

    /// The upstream with options of its own.
    pub(super) fn upstream_with(&self, options: &[&str], logs: &Path) -> anyhow::Result<Server> {
        Server::start("echo_upstream", Command::new(&self.upstream).args(options), logs, "")
    }

    /// The upstream as a program that speaks on stdin and stdout.
    pub(super) fn on_stdio(&self) -> Command {
        let mut command = Command::new(&self.upstream);
        command.arg("--stdio");
        command
    }

    /// The same program, guarded.
    pub(super) fn wrapped(&self, folder: &Path) -> anyhow::Result<Command> {
        let policy = write_policy(folder)?;
        let mut command = Command::new(&self.toolgate);
        command.arg("wrap").arg("-p").arg(policy).arg("--").arg(&self.upstream).arg("--stdio");
        Ok(command)
    }

    pub(super) fn bare(&self, upstream: &Server, logs: &Path) -> anyhow::Result<Server> {
        Server::start("bare_proxy", Command::new(&self.bare).arg(upstream.url.to_string()), logs, "/mcp")
    }

    /// As an operator would run it: all defaults, decisions logged; only the ports and the server are ours.
    pub(super) fn toolgate(&self, upstream: &Server, folder: &Path) -> anyhow::Result<Server> {
        self.toolgate_for(&[("bench".to_owned(), upstream)], folder)
    }

    /// The same, with more settings.
    pub(super) fn toolgate_with(&self, settings: &str, upstream: &Server, folder: &Path) -> anyhow::Result<Server> {
        self.serve(settings, &[("bench".to_owned(), upstream)], folder)
    }

    /// In front of several, by name. The address is the first one's.
    pub(super) fn toolgate_for(&self, upstreams: &[(String, &Server)], folder: &Path) -> anyhow::Result<Server> {
        self.serve("", upstreams, folder)
    }

    fn serve(&self, settings: &str, upstreams: &[(String, &Server)], folder: &Path) -> anyhow::Result<Server> {
        write_policy(folder)?;
        let config = folder.join("toolgate.toml");
        let mut text = format!("[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n{settings}");
        for (name, upstream) in upstreams {
            text += &format!("\n[servers.{name}]\nurl = \"{}\"\npolicy = \"policies/policy.json\"\n", upstream.url);
        }
        std::fs::write(&config, text)?;
        let first = upstreams.first().map_or("bench", |(name, _)| name);
        let mut serve = Command::new(&self.toolgate);
        serve.arg("serve").arg("-c").arg(config).current_dir(folder);
        Server::start("toolgate", &mut serve, folder, &format!("/mcp/{first}"))
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

    /// Another path of it.
    pub(super) fn at(&self, path: &str) -> anyhow::Result<Uri> {
        let authority = self.url.authority().context("an address without a host")?;
        Ok(format!("http://{authority}{path}").parse()?)
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

/// Not beside the log: the folder of a policy is watched.
fn write_policy(folder: &Path) -> anyhow::Result<PathBuf> {
    let policies = folder.join("policies");
    std::fs::create_dir_all(&policies)?;
    let file = policies.join("policy.json");
    std::fs::write(&file, policy())?;
    Ok(file)
}

/// The measured tool with a limit that is counted and never reached, among exact names and globs that do not match it.
fn policy() -> String {
    let mut tools = r#""get_issue": { "rate_limit": { "max": 1000000000, "window": "1m" } },
    "get_issue_*": {}"#
        .to_owned();
    for number in 2..RULES {
        let name = if number % 2 == 0 { "read_item" } else { "list_kind_*" };
        // Writing to a `String` cannot fail.
        _ = write!(tools, ",\n    \"service_{number}_{name}\": {{}}");
    }
    format!("{{\n  \"version\": \"1\",\n  \"default\": \"deny\",\n  \"tools\": {{\n    {tools}\n  }}\n}}\n")
}
