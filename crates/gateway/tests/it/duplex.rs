//! Clients over two streams: `bridge` before a gateway, `wrap` before a server. What goes in are lines, what comes out are lines.

mod aggregate;
mod both;
mod broken;
mod limits;
mod restart;
pub(crate) mod sse;

use std::path::PathBuf;

use gateway::config::{Config, ConfigFile, Layers};
use gateway::{Bridge, bridge, wrap};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Recorder, patiently};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

/// More than any test says at once.
const ROOM: usize = 1 << 20;

type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A client on stdio, and the program before it.
pub(crate) struct Client {
    from: tokio::io::Lines<BufReader<ReadHalf<DuplexStream>>>,
    to: WriteHalf<DuplexStream>,
    stop: Option<oneshot::Sender<()>>,
    program: oneshot::Receiver<()>,
    _folder: Option<TempDir>,
}

/// Before anything that speaks Streamable HTTP.
pub(crate) fn bridged(url: impl Into<String>) -> Client {
    bridged_with(url, &[])
}

pub(crate) fn bridged_with(url: impl Into<String>, settings: &[(&str, &str)]) -> Client {
    bridged_by(Bridge { url: url.into(), ..Bridge::default() }, settings)
}

pub(crate) fn bridged_by(bridged: Bridge, settings: &[(&str, &str)]) -> Client {
    let config = config(ConfigFile::None, settings);
    Client::of(None, async move |near, stop| {
        let (reader, writer) = tokio::io::split(near);
        bridge(bridged, &config, reader, writer, stop).await.unwrap();
    })
}

/// A server with a policy before it.
pub(crate) fn wrapped(upstream: &Recorder, policy: &str) -> Client {
    wrapped_with(upstream, policy, &[])
}

pub(crate) fn wrapped_with(upstream: &Recorder, policy: &str, settings: &[(&str, &str)]) -> Client {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    let file = folder.path().join("toolgate.toml");
    std::fs::write(&file, format!("[servers.s]\nurl = \"{}\"\npolicy = \"policy.json\"\n", upstream.url("/mcp")))
        .unwrap();
    let config = config(ConfigFile::Required(file), settings);
    Client::of(Some(folder), async move |near, stop| {
        let (reader, writer) = tokio::io::split(near);
        wrap(config, reader, writer, stop).await.unwrap();
    })
}

fn config(file: ConfigFile, settings: &[(&str, &str)]) -> Config {
    let flags = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Config::load(&Layers { file, env: Vec::new(), flags }).unwrap_or_else(|errors| panic!("{errors}"))
}

impl Client {
    /// On a thread of its own, as the program is in a process of its own.
    fn of<F>(folder: Option<TempDir>, program: F) -> Self
    where
        F: AsyncFnOnce(DuplexStream, Stopped) + Send + 'static,
    {
        let (near, far) = tokio::io::duplex(ROOM);
        let (reader, to) = tokio::io::split(far);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped: Stopped = Box::pin(async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        let (ended, program_ended) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(program(near, stopped));
            _ = ended.send(());
        });
        Self { from: BufReader::new(reader).lines(), to, stop: Some(stop), program: program_ended, _folder: folder }
    }

    pub(crate) fn policy_file(&self) -> PathBuf {
        self._folder.as_ref().unwrap().path().join("policy.json")
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes()).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.to.write_all(bytes).await.unwrap();
    }

    /// The next line; none at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        patiently("a line", self.from.next_line()).await.unwrap()
    }

    pub(crate) async fn hear(&mut self) -> Value {
        let line = self.line().await.expect("a message");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    pub(crate) async fn ask(&mut self, message: &Value) -> Value {
        self.say(message).await;
        let answer = self.hear().await;
        assert_eq!(answer["id"], message["id"], "{answer}");
        answer
    }

    /// Introduces itself as a legacy client that can do whatever a server may ask for.
    pub(crate) async fn introduce(&mut self) -> Value {
        let answer = self.ask(&hello()).await;
        self.say(&announced()).await;
        answer
    }

    /// Nothing more comes from the client.
    pub(crate) async fn end_input(&mut self) {
        self.to.shutdown().await.unwrap();
    }

    /// The program is told to end.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Neither speaks nor listens any more; `then` makes the program say something. Waits for its end.
    pub(crate) async fn hang_up(self, then: impl AsyncFnOnce()) {
        let Self { from, to, stop: _kept, program, _folder, .. } = self;
        drop((from, to));
        then().await;
        patiently("the program to end", program).await.unwrap();
    }

    /// What is still said, until the program has ended.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(line) = self.line().await {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        patiently("the program to end", self.program).await.unwrap();
        rest
    }
}

pub(crate) fn hello() -> Value {
    let capabilities = json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } });
    let info = json!({ "name": "c", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info });
    legacy("hello", "initialize", params)
}

pub(crate) fn announced() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })
}

pub(crate) fn legacy(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

pub(crate) fn legacy_call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    legacy(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

pub(crate) fn cancelled(id: impl Into<Value>) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id.into() } })
}

/// What a tool of the small server was called with, by its own account.
pub(crate) fn told(answer: &Value) -> Value {
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"));
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
