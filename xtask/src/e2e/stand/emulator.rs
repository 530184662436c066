//! `toolgate emulator`: an Azure OpenAI service that remembers what it was asked.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Process, Profile, build};

/// A running emulator, with the demo's data.
pub(crate) struct Emulator {
    _process: Process,
    url: String,
    token: String,
}

impl Emulator {
    pub(crate) fn start(profile: Profile, folder: &Path) -> anyhow::Result<Self> {
        let binary = build("proxy", "toolgate", &[], profile)?;
        let mut command = Command::new(binary);
        command.args(["emulator", "--port", "0", "--key", "the-key"]);
        // The last line it says, with everything that is needed.
        let (process, said) = Process::start("emulator", &mut command, folder, |line| {
            line.strip_prefix("# control routes under ").map(str::to_owned)
        })?;
        let (url, token) =
            said.split_once("/__emulator want the header x-emulator-token: ").context("it said something else")?;
        Ok(Self { _process: process, url: url.to_owned(), token: token.to_owned() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its journal: something was asked, and nothing but the status of jobs.
    pub(crate) fn was_only_read(&self) -> anyhow::Result<()> {
        let journal = self.journal()?;
        let requests = journal.get("requests").and_then(Value::as_array).context("no requests in the journal")?;
        ensure!(!requests.is_empty(), "nobody asked the service anything");
        for request in requests {
            let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
            let (method, path) = (text("method"), text("path"));
            ensure!(
                method == "GET" && path.starts_with("/openai/v1/fine_tuning/jobs/ftjob-"),
                "the service was asked `{method} {path}`, which the policy denies"
            );
        }
        Ok(())
    }

    fn journal(&self) -> anyhow::Result<Value> {
        let host = self.url.strip_prefix("http://").context("the emulator speaks http")?;
        let mut stream = TcpStream::connect(host).context("the emulator does not answer")?;
        let token = &self.token;
        let request = format!(
            "GET /__emulator/journal HTTP/1.1\r\nHost: {host}\r\nx-emulator-token: {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        serde_json::from_str(body).context("the journal is not JSON")
    }
}
