//! What a scenario plays on: the program, a folder, and gateways that it can start, signal and kill.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::client;
use crate::e2e::stand::{self, Profile};

/// How long anything may take that takes milliseconds: the machine may be busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How often something is looked at that tells nobody when it changes.
pub(super) const LOOK: Duration = Duration::from_millis(5);

pub(super) struct Stage {
    pub(super) binary: PathBuf,
    /// Of this scenario, empty at its beginning.
    pub(super) folder: PathBuf,
    pub(super) large: bool,
    /// The gateway is to break its promise.
    pub(super) planted: bool,
}

/// All folders of a run.
pub(super) fn folder() -> PathBuf {
    stand::target().join("soak")
}

/// A node's configuration and policy.
pub(super) struct Setup<'a> {
    pub(super) upstream: SocketAddr,
    pub(super) policy: &'a str,
    /// Tables of `toolgate.toml` beside those that every node here has.
    pub(super) more: &'a str,
}

/// A running gateway, killed when dropped.
pub(super) struct Gateway {
    child: Child,
    process: Pid,
    pub(super) data: SocketAddr,
    pub(super) admin: SocketAddr,
    /// What lets the first admin in, once it was printed.
    login: watch::Receiver<Option<String>>,
}

impl Stage {
    pub(super) fn set(name: &str, profile: Profile, large: bool, planted: bool) -> anyhow::Result<Self> {
        let binary = stand::build("proxy", "toolgate", &[], profile)?;
        let folder = stand::fresh(&format!("soak/{name}"))?;
        Ok(Self { binary, folder, large, planted })
    }

    /// By the size of the run.
    pub(super) fn of<T>(&self, small: T, large: T) -> T {
        if self.large { large } else { small }
    }

    /// Like [`Self::of`]; a planted bug is found in few.
    pub(super) fn rounds(&self, small: usize, large: usize) -> usize {
        const PLANTED: usize = 3;
        if self.planted { PLANTED } else { self.of(small, large) }
    }

    /// That of all nodes: a limit is one of a policy at one place. Apart from what is written all the time, since its folder is watched.
    pub(super) fn policy(&self) -> PathBuf {
        self.folder.join("policies/policy.json")
    }

    /// A folder for a node, with what it needs to start.
    pub(super) fn node(&self, name: &str, setup: &Setup<'_>) -> anyhow::Result<PathBuf> {
        let (folder, file) = (self.folder.join(name), self.policy());
        std::fs::create_dir_all(&folder)?;
        if let Some(apart) = file.parent() {
            std::fs::create_dir_all(apart)?;
        }
        std::fs::write(&file, setup.policy)?;
        let Setup { upstream, more, .. } = setup;
        let config = format!(
            "[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[servers.s]\nurl = \"http://{upstream}/mcp\"\n\
             policy = {file:?}\n\n{more}"
        );
        std::fs::write(folder.join("toolgate.toml"), config)?;
        Ok(folder)
    }

    /// The node of this folder, taking calls.
    pub(super) async fn start(&self, node: &Path) -> anyhow::Result<Gateway> {
        let started = Gateway::start(self.serve(node)?).await;
        started.with_context(|| format!("the log of `{}` ends with:\n{}", node.display(), tail(&node.join("log"))))
    }

    /// The command that is a node.
    pub(super) fn serve(&self, node: &Path) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.binary);
        command.args(["serve", "-c", "toolgate.toml"]);
        self.at(&mut command, node)?;
        Ok(command)
    }

    /// In this folder, its log beside its configuration, nothing in its environment.
    pub(super) fn at(&self, command: &mut Command, node: &Path) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(node.join("log"))?;
        command.current_dir(node).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        command.kill_on_drop(true);
        Ok(())
    }

    /// `toolgate …` run to its end: its code and what it printed.
    pub(super) async fn toolgate(&self, args: &[&str]) -> anyhow::Result<(i32, String)> {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(&self.folder).env_clear().stdin(Stdio::null()).stderr(Stdio::piped());
        let output = command.output().await.context("cannot start `toolgate`")?;
        let code = output.status.code().with_context(|| format!("`toolgate {}` was killed", args.join(" ")))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((code, String::from_utf8_lossy(&said).into_owned()))
    }
}

/// The last lines of a log, as far as it can be read.
fn tail(log: &Path) -> String {
    const LINES: usize = 5;
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let skipped = text.lines().count().saturating_sub(LINES);
    text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}

impl Gateway {
    pub(super) async fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.spawn().context("cannot start `toolgate`")?;
        let process =
            child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("it has ended already")?;
        let mut lines = BufReader::new(child.stdout.take().context("standard output is piped")?).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.context("no gateway is ready")??;
        let words: Vec<&str> = line.as_deref().unwrap_or_default().split_whitespace().collect();
        let ["toolgate", "ready", data, admin] = words.as_slice() else { bail!("a gateway did not start: {line:?}") };
        let address = |word: &str, name: &str| {
            word.strip_prefix(name).and_then(|address| address.parse().ok()).context("a strange address")
        };
        let (data, admin) = (address(data, "data=http://")?, address(admin, "admin=http://")?);
        let (printed, login) = watch::channel(None);
        // Whoever says more there must not find a pipe that nobody reads.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(link) = line.strip_prefix("toolgate login ").and_then(|rest| rest.split(' ').next()) {
                    printed.send_replace(Some(link.to_owned()));
                }
            }
        });
        Ok(Self { child, process, data, admin, login })
    }

    /// The link that lets the first admin in.
    pub(super) async fn login(&self) -> anyhow::Result<String> {
        let mut login = self.login.clone();
        let printed = tokio::time::timeout(PATIENCE, login.wait_for(Option::is_some)).await;
        printed.context("no login link")??.clone().context("it is there")
    }

    pub(super) fn tell(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.process, signal).context("the gateway has ended already")
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.as_raw_nonzero().get().unsigned_abs()
    }

    /// kill -9, and until it is gone.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Until it has ended.
    pub(super) async fn end(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the gateway does not end")??)
    }

    /// SIGTERM, and a proper end.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.tell(Signal::TERM)?;
        let status = self.end().await?;
        ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    }

    /// Its readiness: status and text.
    pub(super) async fn ready(&self) -> anyhow::Result<(u16, String)> {
        client::get(self.admin, "/readyz?verbose").await
    }

    /// Waits until its readiness is as wanted.
    pub(super) async fn until(&self, what: &str, wanted: impl Fn(u16, &str) -> bool) -> anyhow::Result<()> {
        let looks = async {
            loop {
                let (status, text) = self.ready().await?;
                if wanted(status, &text) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, looks).await.with_context(|| format!("waited {PATIENCE:?} for {what}"))?
    }
}
