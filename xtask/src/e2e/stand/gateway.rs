//! `toolgate serve` with a configuration of our own, on ports of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::{Launch, Process, Profile, build};

/// A server that the gateway knows.
pub(crate) struct Upstream<'a> {
    pub(crate) id: &'a str,
    pub(crate) at: At,
    pub(crate) policy: PathBuf,
}

/// Where a server is: at an address, or wherever its command is started.
#[derive(Clone)]
pub(crate) enum At {
    Url(String),
    Command(Launch),
}

/// A running gateway.
pub(crate) struct Gateway {
    _process: Process,
    data: String,
}

impl Gateway {
    /// Builds and starts it. Configuration and logs lie in `folder`.
    pub(crate) fn start(profile: Profile, folder: &Path, upstreams: &[Upstream<'_>]) -> anyhow::Result<Self> {
        let binary = build("proxy", "toolgate", &[], profile)?;
        // Many clients make programs start at once, on however few cores: how long one waits for them is not what is looked at.
        let mut config =
            "[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[aggregate]\ntimeout = \"25s\"\n".to_owned();
        for Upstream { id, at, policy } in upstreams {
            let policy = policy.canonicalize().with_context(|| format!("no policy `{}`", policy.display()))?;
            let at = match at {
                At::Url(url) => format!("url = {url:?}"),
                At::Command(launch) => launch.settings(),
            };
            config += &format!("\n[servers.{id}]\n{at}\npolicy = {policy:?}\n");
        }
        let file = folder.join("toolgate.toml");
        std::fs::write(&file, config)?;
        let mut serve = Command::new(binary);
        serve.arg("serve").arg("-c").arg(file).current_dir(folder);
        Self::started("toolgate", &mut serve, folder)
    }

    /// With nothing configured, in an environment that names this service.
    pub(crate) fn by_default(profile: Profile, folder: &Path, service: &str) -> anyhow::Result<Self> {
        let binary = build("proxy", "toolgate", &[], profile)?;
        let mut serve = Command::new(binary);
        serve
            .args(["--set", "listen.data=127.0.0.1:0", "--set", "listen.admin=127.0.0.1:0"])
            .current_dir(folder.join("empty"));
        serve.env("AZURE_OPENAI_ENDPOINT", service).env("AZURE_OPENAI_API_KEY", "the-key");
        std::fs::create_dir_all(folder.join("empty"))?;
        Self::started("toolgate-by-default", &mut serve, folder)
    }

    fn started(name: &str, serve: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let (process, data) = Process::start(name, serve, folder, |line| {
            let rest = line.strip_prefix("toolgate ready data=")?;
            rest.split_whitespace().next().map(str::to_owned)
        })?;
        Ok(Self { _process: process, data })
    }

    /// The address of one server's mount.
    pub(crate) fn mount(&self, id: &str) -> String {
        self.address(&format!("/mcp/{id}"))
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.data)
    }
}
