//! The real servers: what starts each, and the folder that it works on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::e2e::python::Python;
use crate::e2e::stand::{At, Launch, Node, Process};
use crate::e2e::start_everything;
use crate::shell;

/// From PyPI, in one virtual environment.
const PYPI: [&str; 4] =
    ["mcp==2.3.0", "mcp-server-fetch==2026.10.24", "mcp-server-git==2026.10.19", "mcp-server-time==2026.10.19"];

/// One server in one transport.
pub(super) struct Server {
    /// Its id at the gateway.
    pub(super) id: &'static str,
    /// Its name in `servers.json`.
    pub(super) of: &'static str,
    pub(super) at: At,
    pub(super) folder: PathBuf,
}

pub(super) struct Servers {
    _running: Vec<Process>,
    all: Vec<Server>,
}

impl Servers {
    pub(super) fn all(&self) -> &[Server] {
        &self.all
    }

    pub(super) fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.all.retain(|server| wanted(server.id));
    }

    pub(super) fn start(node: &Node, folder: &Path) -> anyhow::Result<Self> {
        let python = Python::with("servers", &PYPI)?;
        let npm = |script: &str, arguments: &[&str]| {
            let mut command = node.script(script);
            command.args(arguments);
            Launch::of(&command)
        };
        let pypi = |module: &str, arguments: &[&str]| {
            let mut command = python.run();
            command.args(["-m", module]).args(arguments);
            Launch::of(&command)
        };
        let (files, repository) = (files(folder)?, repository(folder)?);
        let [files_path, repository_path] = [&files, &repository].map(|path| path.to_string_lossy().into_owned());
        let memory = npm("@modelcontextprotocol/server-memory/dist/index.js", &[]);
        let memory = memory.with("MEMORY_FILE_PATH", &folder.join("memory.jsonl").to_string_lossy());
        // It starts git, which it looks for in PATH.
        let git = pypi("mcp_server_git", &["--repository", &repository_path]);
        let git = git.with("PATH", &std::env::var("PATH").unwrap_or_default());
        let browser = npm("@playwright/mcp/cli.js", &["--headless", "--isolated"]).within(folder);

        let stdio = [
            ("everything", npm("@modelcontextprotocol/server-everything/dist/index.js", &["stdio"])),
            ("filesystem", npm("@modelcontextprotocol/server-filesystem/dist/index.js", &[&files_path])),
            ("memory", memory),
            ("sequential-thinking", npm("@modelcontextprotocol/server-sequential-thinking/dist/index.js", &[])),
            ("fetch", pypi("mcp_server_fetch", &["--allow-private-ips"])),
            ("git", git),
            ("time", pypi("mcp_server_time", &["--local-timezone", "UTC"])),
            ("playwright", browser),
        ];
        let place = |of: &str| if of == "git" { repository.clone() } else { files.clone() };
        let mut all: Vec<Server> = stdio
            .into_iter()
            .map(|(of, launch)| Server { id: of, of, at: At::Command(launch), folder: place(of) })
            .collect();

        let (http, http_url) = start_everything(node, "streamableHttp", folder)?;
        let (sse, sse_url) = start_everything(node, "sse", folder)?;
        let (browsing, browsing_url) = playwright(node, folder)?;
        for (id, of, url) in [
            ("everything-http", "everything", http_url),
            ("everything-sse", "everything", sse_url),
            ("playwright-http", "playwright", browsing_url),
        ] {
            all.push(Server { id, of, at: At::Url(url), folder: files.clone() });
        }
        Ok(Self { _running: vec![http, sse, browsing], all })
    }
}

fn playwright(node: &Node, folder: &Path) -> anyhow::Result<(Process, String)> {
    let mut command = node.script("@playwright/mcp/cli.js");
    command.args(["--headless", "--isolated", "--host", "127.0.0.1", "--port", "0"]).current_dir(folder);
    Process::start("playwright", &mut command, folder, |line| {
        line.strip_prefix("Listening on ").map(|url| format!("{url}/mcp"))
    })
}

/// Files to look at, and one beside them.
fn files(folder: &Path) -> anyhow::Result<PathBuf> {
    let files = folder.join("files");
    for (name, text) in [("open/greeting.txt", "grüezi\n"), ("closed/secret.txt", "secret\n")] {
        let file = files.join(name);
        std::fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
        std::fs::write(file, text)?;
    }
    Ok(files)
}

/// A repository with one commit, and a change that is staged.
fn repository(folder: &Path) -> anyhow::Result<PathBuf> {
    shell::need("git", "apt-get install git")?;
    let repository = folder.join("repository");
    std::fs::create_dir_all(&repository)?;
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // Whatever the machine's own settings are.
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").current_dir(&repository);
        git.args(["-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "-c", "init.defaultBranch=main"]);
        shell::read(git.args(arguments)).map(drop)
    };
    git(&["init", "--quiet"])?;
    std::fs::write(repository.join("first.txt"), "first\n")?;
    git(&["add", "first.txt"])?;
    git(&["commit", "--quiet", "-m", "the first commit"])?;
    std::fs::write(repository.join("staged.txt"), "staged, and not committed\n")?;
    git(&["add", "staged.txt"])?;
    Ok(repository)
}
