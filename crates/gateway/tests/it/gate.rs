//! A gateway in this process, before recording upstreams; its policies lie in a folder of its own.

use std::ffi::OsString;
use std::path::PathBuf;

use gateway::config::{Config, ConfigFile, Layers};
use gateway::{Control, Gateway, Running, StartError};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    Answer, AnswerStream, Exchange, HttpClient, McpClient, RawClient, RawResponse, Recorded, Recorder, Reply,
};

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
    store: bool,
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

    /// With the store that a gateway has unless it is told otherwise.
    pub(crate) fn with_store(mut self) -> Self {
        self.store = true;
        self
    }

    #[track_caller]
    pub(crate) fn start(self) -> Gate {
        let (running, folder) = self.started();
        let running = running.unwrap();
        Gate { data: running.data(), admin: running.admin(), running: Some(running), folder }
    }

    /// Why it does not start.
    #[track_caller]
    pub(crate) fn fails(self) -> StartError {
        self.started().0.unwrap_err()
    }

    #[track_caller]
    fn started(mut self) -> (Result<Running, StartError>, TempDir) {
        if !self.store {
            self.settings.insert(0, ("store.url".to_owned(), String::new()));
        }
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
        (Gateway::start(config), folder)
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

    pub(crate) fn control(&self) -> Control {
        self.running.as_ref().unwrap().control()
    }

    /// All records of the audit journal, in their order.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let folder = self.folder.path().join("data/audit");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
        let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        // The last one may be half there: it is being written.
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The file of its store.
    pub(crate) fn store_file(&self) -> PathBuf {
        self.folder.path().join("data/toolgate.db")
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

    /// A client that can do whatever a server may ask for.
    pub(crate) async fn legacy(&self) -> McpClient {
        let capabilities = json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } });
        McpClient::legacy_with(self.http(), "2025-11-25", capabilities).await
    }

    /// Replaces the policy as an editor does, by a rename, and waits until it is in force.
    pub(crate) async fn reload(&self, policy: &str) {
        let before = self.ready().await;
        let new = self.folder.path().join("policy.json.new");
        std::fs::write(&new, policy).unwrap();
        std::fs::rename(&new, self.policy_file()).unwrap();
        self.until(|ready| policy_lines(ready) != policy_lines(&before)).await;
    }

    /// What `/readyz?verbose` says.
    pub(crate) async fn ready(&self) -> String {
        String::from_utf8(self.admin("/readyz?verbose").await.body).unwrap()
    }

    /// Asks `/readyz?verbose` until it says what is waited for.
    pub(crate) async fn until(&self, said: impl Fn(&str) -> bool) -> String {
        testkit::patiently("`/readyz` to say so", async {
            loop {
                let ready = self.ready().await;
                if said(&ready) {
                    return ready;
                }
            }
        })
        .await
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

pub(crate) fn policy_lines(ready: &str) -> Vec<&str> {
    ready.lines().filter(|line| line.starts_with("policy ")).collect()
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

/// The next request of an upstream by hand that is not mere introduction: that is answered here, as a server of both eras.
pub(crate) async fn next_call(upstream: &Recorder) -> Exchange {
    loop {
        if let Some(exchange) = introduce(upstream.next_exchange().await) {
            return exchange;
        }
    }
}

/// Answers an introduction, and gives back everything else.
pub(crate) fn introduce(exchange: Exchange) -> Option<Exchange> {
    let message = match exchange.request.body.is_empty() {
        true => return Some(exchange),
        false => exchange.request.json(),
    };
    match message["method"].as_str() {
        Some("server/discover") => {
            let result = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} });
            exchange.answer_with_result(&result);
        }
        Some("initialize") => {
            let version = &message["params"]["protocolVersion"];
            let result = json!({ "protocolVersion": version, "capabilities": {}, "serverInfo": { "name": "hand", "version": "1" } });
            let answer = Answer::json(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
            exchange.answer(answer.header("Mcp-Session-Id", "upstream-session"));
        }
        Some("notifications/initialized") => exchange.answer(Answer::status(202)),
        _ => return Some(exchange),
    }
    None
}

/// A legacy client before an upstream by hand.
pub(crate) async fn introduced(gate: &Gate, upstream: &Recorder) -> McpClient {
    let client = gate.legacy();
    tokio::pin!(client);
    tokio::select! {
        client = &mut client => client,
        exchange = next_call(upstream) => panic!("more than an introduction: {:?}", exchange.request),
    }
}

/// An answer that is an event stream, and the stream that the upstream feeds it from.
pub(crate) async fn streamed(
    upstream: &Recorder,
    reply: impl Future<Output = Reply>,
) -> (Reply, Recorded, AnswerStream) {
    let (reply, (request, stream)) = tokio::join!(reply, async {
        let exchange = next_call(upstream).await;
        (exchange.request.clone(), exchange.answer_with_events())
    });
    (reply, request, stream)
}

/// POSTs a modern request from another loopback address, which is another caller.
pub(crate) async fn post_from(
    from: [u8; 4],
    to: std::net::SocketAddr,
    lines: &[(&str, &str)],
    body: &Value,
) -> RawResponse {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = body.to_string();
    let head = format!(
        "POST /mcp/s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         MCP-Protocol-Version: 2026-07-28\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    testkit::patiently("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    RawResponse { status, headers: Vec::new(), body: body.into() }
}

/// An answer without the ids of requests, which are never the same twice.
pub(crate) fn unnumbered(mut answer: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("request_id");
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    strip(&mut answer);
    answer
}
