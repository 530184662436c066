//! A gateway in this process, before recording upstreams; its policies lie in a folder of its own.

use std::ffi::OsString;
use std::path::PathBuf;

use gateway::config::{Config, ConfigFile, Layers};
use gateway::{Gateway, Running};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{HttpClient, McpClient, RawClient, RawResponse, Recorder};

/// Everything is allowed, also what servers ask of clients.
pub(crate) const OPEN: &str = r#"{ "version": "1", "default": "allow", "resources": { "*": {} }, "prompts": { "*": {} },
    "reverse": { "sampling": "allow", "elicitation": "allow", "roots": "allow" } }"#;

/// `allowed_tool` and nothing else.
pub(crate) const STRICT: &str = r#"{ "version": "1", "tools": { "allowed_tool": {} } }"#;

/// What is said before it starts.
#[derive(Default)]
pub(crate) struct Plan {
    toml: String,
    policies: Vec<(String, String)>,
    settings: Vec<(String, String)>,
    env: Vec<(OsString, OsString)>,
}

/// A running gateway. It stops when it is dropped, without waiting for anything.
pub(crate) struct Gate {
    running: Option<Running>,
    pub(crate) folder: TempDir,
    pub(crate) data: std::net::SocketAddr,
    pub(crate) admin: std::net::SocketAddr,
}

impl Plan {
    /// A server behind a policy file, which several servers may name.
    pub(crate) fn server(self, id: &str, url: impl AsRef<str>, policy: &str) -> Self {
        self.toml(&format!("[servers.{id}]\nurl = \"{}\"\npolicy = \"{policy}\"\n", url.as_ref()))
    }

    /// Configuration as the operator writes it.
    pub(crate) fn toml(mut self, lines: &str) -> Self {
        self.toml.push_str(lines);
        self.toml.push('\n');
        self
    }

    pub(crate) fn policy(mut self, file: &str, text: &str) -> Self {
        self.policies.push((file.to_owned(), text.to_owned()));
        self
    }

    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    #[track_caller]
    pub(crate) fn start(self) -> Gate {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("toolgate.toml");
        std::fs::write(&file, &self.toml).unwrap();
        for (name, text) in &self.policies {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let ours = [("listen.data", "127.0.0.1:0"), ("listen.admin", "127.0.0.1:0"), ("bounds.drain", "0s")];
        let ours = ours.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let flags = ours.into_iter().chain(self.settings).collect();
        let layers = Layers { file: ConfigFile::Required(file), env: self.env, flags };
        let config = Config::load(&layers).unwrap_or_else(|errors| panic!("{errors}"));
        let running = Gateway::start(config).unwrap();
        Gate { data: running.data(), admin: running.admin(), running: Some(running), folder }
    }
}

impl Gate {
    /// One server, `s`, behind `policy.json`.
    #[track_caller]
    pub(crate) fn before(upstream: &Recorder, policy: &str) -> Self {
        Self::bounded(upstream, policy, &[])
    }

    /// The same with settings.
    #[track_caller]
    pub(crate) fn bounded(upstream: &Recorder, policy: &str, settings: &[(&str, &str)]) -> Self {
        let plan = Plan::default().server("s", upstream.url("/mcp"), "policy.json").policy("policy.json", policy);
        settings.iter().fold(plan, |plan, (key, value)| plan.set(key, value)).start()
    }

    pub(crate) fn url(&self, server: &str) -> String {
        format!("http://{}/mcp/{server}", self.data)
    }

    /// Says exactly what it is told, to server `s`.
    pub(crate) fn http(&self) -> HttpClient {
        HttpClient::new(self.url("s"))
    }

    pub(crate) async fn raw(&self) -> RawClient {
        RawClient::connect(self.data).await
    }

    pub(crate) fn modern(&self) -> McpClient {
        McpClient::modern(self.http())
    }

    pub(crate) async fn legacy(&self) -> McpClient {
        McpClient::legacy(self.http()).await
    }

    pub(crate) fn policy_file(&self) -> PathBuf {
        self.folder.path().join("policy.json")
    }

    /// A path of the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> RawResponse {
        HttpClient::new(format!("http://{}{path}", self.admin)).send("GET", &[], b"").await.whole().await
    }

    /// Asks to drain; the future ends when the gateway has.
    pub(crate) fn shut_down(&mut self) -> impl Future<Output = ()> + use<> {
        let running = self.running.take().unwrap();
        let done = tokio::task::spawn_blocking(move || running.shutdown());
        async { testkit::patiently("the gateway to drain", done).await.unwrap() }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            std::thread::spawn(move || running.shutdown());
        }
    }
}

/// A tool definition with nothing special.
pub(crate) fn tool(name: &str) -> String {
    json!({ "name": name, "inputSchema": { "type": "object" } }).to_string()
}

/// A modern `tools/call`, ready to be changed and posted.
pub(crate) fn modern_call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    modern_request(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// Any modern request.
pub(crate) fn modern_request(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// The headers that a modern request needs.
pub(crate) fn modern_headers(http: HttpClient, method: &str, name: Option<&str>) -> HttpClient {
    let http = http.header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", method);
    match name {
        Some(name) => http.header("Mcp-Name", name),
        None => http,
    }
}

/// The calls that reached the upstream, by tool, in order.
pub(crate) fn called(upstream: &Recorder) -> Vec<String> {
    let requests = upstream.requests();
    let messages = requests.iter().filter(|request| !request.body.is_empty()).map(|request| request.json());
    let calls = messages.filter(|message| message["method"] == "tools/call");
    calls.map(|call| call["params"]["name"].as_str().unwrap().to_owned()).collect()
}

/// The methods that reached the upstream, in order; verbs where there was no body.
pub(crate) fn methods(upstream: &Recorder) -> Vec<String> {
    let method = |request: &testkit::Recorded| match request.body.is_empty() {
        true => request.method.clone(),
        false => request.json()["method"].as_str().unwrap_or("(answer)").to_owned(),
    };
    upstream.requests().iter().map(method).collect()
}
