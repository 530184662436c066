//! A gateway in this process with the console on its admin listener, its store a file in a folder of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use console::{Console, Options, Role};
use gateway::config::{Config, ConfigFile, Layers};
use gateway::{AdminService, Gateway, Running};
use serde_json::{Value, json};
use store::{Admin, AdminToken, Store};
use tempfile::TempDir;
use testkit::{HttpClient, RawResponse, Recorder, Reply};

pub(crate) const OPEN: &str = r#"{ "version": "1", "default": "allow" }"#;
pub(crate) const STRICT: &str = r#"{ "version": "1", "tools": { "allowed_tool": {} } }"#;

pub(crate) struct Stack {
    _running: Running,
    pub(crate) console: Arc<Console>,
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
    pub(crate) admin: SocketAddr,
    pub(crate) data: SocketAddr,
    /// What the console's clock is ahead of the real one, in milliseconds.
    ahead: Arc<AtomicI64>,
    /// The token of an admin.
    pub(crate) root: String,
}

/// Who asks, and what goes along with every request.
#[derive(Clone)]
pub(crate) struct Api {
    at: SocketAddr,
    headers: Vec<(String, String)>,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With more lines of configuration.
    pub(crate) async fn with(toml: &str) -> Self {
        let stack = Self::without_admins(toml).await;
        let root = stack.token("root", Role::Admin).await;
        Self { root, ..stack }
    }

    pub(crate) async fn without_admins(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("toolgate.toml");
        let settings = "[store]\nurl = \"sqlite:toolgate.db\"\nkey = { file = \"store.key\" }\n[auth]\nmode = \"tokens\"\n[audit]\ndir = \"audit\"\n";
        std::fs::write(&file, format!("{settings}{toml}")).unwrap();
        std::fs::write(folder.path().join("policy.json"), STRICT).unwrap();
        std::fs::write(folder.path().join("store.key"), gateway::Vault::new_key().unwrap()).unwrap();
        let flags = [("listen.data", "127.0.0.1:0"), ("listen.admin", "127.0.0.1:0"), ("bounds.drain", "0s")];
        let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let layers = Layers { file: ConfigFile::Required(file), env: Vec::new(), flags };
        let config = Config::load(&layers).unwrap_or_else(|errors| panic!("{errors}"));
        let ahead = Arc::new(AtomicI64::new(0));
        let (real, shift) = (console::system_clock(), Arc::clone(&ahead));
        let clock: console::Clock = Arc::new(move || real() + shift.load(Ordering::SeqCst));
        let mut console = None;
        let running = Gateway::start_with(config, |control| {
            let made = Arc::new(
                Console::new(control, Options { approvals: Some(Arc::clone(&clock)), clock, secure: false })
                    .unwrap()
                    .unwrap(),
            );
            console = Some(Arc::clone(&made));
            Some(made as Arc<dyn AdminService>)
        })
        .unwrap();
        let store = running.control().store().unwrap().clone();
        let (admin, data) = (running.admin(), running.data());
        Self { _running: running, console: console.unwrap(), store, folder, admin, data, ahead, root: String::new() }
    }

    /// An admin of that role, and a token of theirs.
    pub(crate) async fn token(&self, name: &str, role: Role) -> String {
        self.token_in(name, role, &[]).await
    }

    /// The same, in groups.
    pub(crate) async fn token_in(&self, name: &str, role: Role, groups: &[&str]) -> String {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let kept = Admin { role: role.into(), enabled: true, groups };
        self.store.put(name, kept, None).await.unwrap();
        let text = format!("tga_{}", letters(name));
        let sha256 = hash(&text);
        let token = AdminToken {
            admin: name.into(),
            prefix: "tga_test".into(),
            sha256,
            label: "test".into(),
            expires_ms: None,
        };
        self.store.create(&format!("token-of-{name}"), token).await.unwrap();
        text
    }

    /// As the admin.
    pub(crate) fn api(&self) -> Api {
        self.as_token(&self.root)
    }

    pub(crate) fn nobody(&self) -> Api {
        Api { at: self.admin, headers: Vec::new() }
    }

    pub(crate) fn as_token(&self, token: &str) -> Api {
        self.nobody().with("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn later(&self, ms: i64) {
        self.ahead.fetch_add(ms, Ordering::SeqCst);
    }

    /// What a login link of an admin holds.
    pub(crate) async fn link(&self, name: &str) -> String {
        let made = self.api().post(&format!("/api/v1/admins/{name}/links"), &json!({})).await;
        assert_eq!(made.status, 201, "{}", text(&made));
        made.json()["path"].as_str().unwrap().strip_prefix("/login#").unwrap().to_owned()
    }

    /// What somebody calls at the gateway, with that token.
    pub(crate) async fn call(&self, server: &str, token: &str, tool: &str) -> RawResponse {
        let http = HttpClient::new(format!("http://{}/mcp/{server}", self.data));
        let http = http.header("authorization", &format!("Bearer {token}"));
        let http = http
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool);
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": tool, "arguments": {}, "_meta": meta });
        http.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })).await
    }
}

impl Api {
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name.to_owned(), value.to_owned()));
        Self { at: self.at, headers }
    }

    pub(crate) fn creating(&self) -> Self {
        self.with("if-none-match", "*")
    }

    pub(crate) fn seen(&self, tag: &str) -> Self {
        self.with("if-match", tag)
    }

    pub(crate) async fn reply(&self, method: &str, path: &str, body: Option<&str>) -> Reply {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        HttpClient::new(format!("http://{}{path}", self.at))
            .send(method, &headers, body.unwrap_or_default().as_bytes())
            .await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> RawResponse {
        let api = self.with("content-type", "application/json");
        api.reply(method, path, Some(&body.to_string())).await.whole().await
    }

    pub(crate) async fn get(&self, path: &str) -> RawResponse {
        self.reply("GET", path, None).await.whole().await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> RawResponse {
        self.send("PUT", path, body).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> RawResponse {
        self.send("POST", path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> RawResponse {
        self.reply("DELETE", path, None).await.whole().await
    }

    /// Makes it, and gives its tag.
    #[track_caller]
    pub(crate) fn make(&self, path: &str, body: &Value) -> impl Future<Output = String> + use<> {
        let (api, path, body) = (self.creating(), path.to_owned(), body.clone());
        async move {
            let made = api.put(&path, &body).await;
            assert_eq!(made.status, 201, "{path}: {}", text(&made));
            tag(&made)
        }
    }
}

/// An upstream that has `allowed_tool` and another one.
pub(crate) async fn upstream() -> Recorder {
    Recorder::mcp_modern(["allowed_tool", "other_tool"]).await
}

pub(crate) fn agent() -> Value {
    json!({ "servers": null })
}

pub(crate) fn tag(response: &RawResponse) -> String {
    response.header("etag").unwrap_or_else(|| panic!("no tag: {}", text(response))).to_owned()
}

pub(crate) fn text(response: &RawResponse) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

/// It is a problem of that code, as problems are.
#[track_caller]
pub(crate) fn problem(response: &RawResponse, status: u16, code: &str) -> Value {
    assert_eq!(
        (response.status, response.header("content-type")),
        (status, Some("application/problem+json")),
        "{}",
        text(response)
    );
    let problem = response.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["type"], format!("urn:toolgate:problem:{code}"));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem
}

fn letters(name: &str) -> String {
    name.chars().chain(std::iter::repeat('x')).filter(char::is_ascii_alphanumeric).take(43).collect()
}

fn hash(text: &str) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text).into()
}
