//! Agents that come with tokens which somebody else signed, through the whole gateway: what opens what, and what the others hear.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gateway::NewToken;
use serde_json::{Value, json};
use testkit::{HttpClient, Issuer, McpClient, RawResponse, Recorder, SigningKey, patiently};

use crate::gate::{Gate, OPEN, Plan, called, modern_call, modern_headers, tool};

/// An issuer with one key, and a gateway that trusts it, before servers `s` and `t`.
struct Stand {
    issuer: Issuer,
    key: SigningKey,
    upstream: Recorder,
    gate: Gate,
}

impl Stand {
    async fn new(toml: &str) -> Self {
        Self::with(OPEN, toml).await
    }

    async fn with(policy: &str, toml: &str) -> Self {
        let (issuer, key) = (Issuer::start().await, SigningKey::ec("e"));
        issuer.publish([&key]);
        let upstream = Recorder::mcp([tool("a")]).await;
        let gate = plan(&issuer, &upstream, policy, toml).start();
        Self { issuer, key, upstream, gate }
    }

    fn url(&self, server: &str) -> String {
        self.gate.url(server)
    }

    /// Claims of a good token for a server.
    fn claims(&self, server: &str, more: Value) -> Value {
        let mut claims = self.issuer.claims(&self.url(server));
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    }

    fn token(&self, server: &str, more: Value) -> String {
        self.key.sign(&self.claims(server, more))
    }

    async fn call(&self, server: &str, token: &str) -> RawResponse {
        call(&self.url(server), Some(token)).await
    }

    async fn get(&self, path: &str) -> RawResponse {
        HttpClient::new(format!("http://{}{path}", self.gate.data)).send("GET", &[], b"").await.whole().await
    }
}

fn plan(issuer: &Issuer, upstream: &Recorder, policy: &str, toml: &str) -> Plan {
    let trust = format!("[auth.jwt.issuers.corp]\nissuer = \"{}\"\n", issuer.url());
    let plan = Plan::default().set("auth.mode", "jwt").server("s", upstream.url("/mcp"), "p.json");
    plan.server("t", upstream.url("/mcp"), "p.json").toml(&format!("{trust}{toml}")).policy("p.json", policy)
}

fn client(url: &str, token: Option<&str>) -> HttpClient {
    match token {
        Some(token) => HttpClient::new(url).header("Authorization", &format!("Bearer {token}")),
        None => HttpClient::new(url),
    }
}

async fn call(url: &str, token: Option<&str>) -> RawResponse {
    modern_headers(client(url, token), "tools/call", Some("a")).post(&modern_call(1, "a", json!({}))).await
}

#[tokio::test]
async fn a_token_opens_the_mount_that_it_is_for() {
    let ours = NewToken::generate().unwrap();
    let agent = format!("[agents.bot]\ntokens = [{{ sha256 = \"{}\", label = \"t\" }}]\n", ours.sha256_hex());
    let stand = Stand::new(&agent).await;
    let token = stand.token("s", json!({}));
    assert_eq!(stand.call("s", &token).await.status, 200);
    assert_eq!(stand.call("s", ours.text()).await.status, 200, "ours are good too");
    assert_eq!(stand.call("t", ours.text()).await.status, 200);
    assert_eq!(called(&stand.upstream).len(), 3);
    for url in
        [stand.url("t"), stand.url("s").replace("/s", ""), stand.url("s").replace("/mcp/", "/sse/"), stand.url("S")]
    {
        let reply = call(&url, Some(&token)).await;
        assert_eq!(reply.status, 401, "{url}");
    }
    for (bad, status) in [(None, 401), (Some("x"), 401), (Some("a.b.c"), 401), (Some(&*format!("{token}x")), 401)] {
        assert_eq!(call(&stand.url("s"), bad).await.status, status, "{bad:?}");
    }
    let both = client(&stand.url("s"), Some(&token)).header("Authorization", &format!("Bearer {}", ours.text()));
    assert_eq!(modern_headers(both, "tools/call", Some("a")).post(&modern_call(1, "a", json!({}))).await.status, 400);
    assert_eq!(called(&stand.upstream).len(), 3, "nobody else got through");
    // Three passed; who was refused is written a moment later.
    let decisions = crate::audit::recorded(&stand.gate, "decision", 4).await;
    let ways: std::collections::BTreeSet<_> = decisions
        .iter()
        .map(|record| ["by", "by_id", "outcome"].map(|key| record[key].as_str().unwrap_or("-")).join(" "))
        .collect();
    let expected = ["anonymous - refused", "jwt corp allowed", "token t allowed"];
    assert_eq!(ways.into_iter().collect::<Vec<_>>(), expected, "how each came in is on record");
    let aggregate = stand.key.sign(&stand.issuer.claims(&stand.url("s").replace("/s", "")));
    assert_eq!(
        McpClient::modern(client(&stand.url("s").replace("/s", ""), Some(&aggregate))).list_tools().await,
        ["s__a", "t__a"]
    );
    for request in stand.upstream.requests() {
        assert_eq!(request.header("authorization"), None);
    }
}

#[tokio::test]
async fn a_client_is_told_where_to_get_a_token() {
    let stand = Stand::new("[auth.jwt.scopes]\ns = [\"tools:read\", \"tools:call\"]\nx = [\"other\"]\n").await;
    let origin = format!("http://{}", stand.gate.data);
    let of = |path: &str| format!("resource_metadata=\"{origin}/.well-known/oauth-protected-resource{path}\"");
    let challenge = |reply: &RawResponse| reply.header("www-authenticate").unwrap_or_default().to_owned();
    let scope = "scope=\"tools:read tools:call\"";
    let metadata = of("/mcp/s");
    assert_eq!(challenge(&call(&stand.url("s"), None).await), format!("Bearer {metadata}, {scope}"));
    let foreign = stand.token("t", json!({}));
    assert_eq!(
        challenge(&stand.call("s", &foreign).await),
        format!("Bearer {metadata}, {scope}, error=\"invalid_token\"")
    );
    let weak = stand.call("s", &stand.token("s", json!({ "scope": "tools:read" }))).await;
    assert_eq!(
        (weak.status, challenge(&weak)),
        (403, format!("Bearer {metadata}, {scope}, error=\"insufficient_scope\""))
    );
    assert_eq!(challenge(&call(&stand.url("nobody"), None).await), format!("Bearer {}", of("/mcp/nobody")));
    assert_eq!(challenge(&call(&stand.url("s\"x"), None).await), "Bearer");
    assert_eq!(challenge(&call(&stand.url("s").replace("/s", ""), None).await), format!("Bearer {}", of("/mcp")));
    assert_eq!(
        challenge(&call(&stand.url("s").replace("/mcp", "/sse"), None).await),
        format!("Bearer {}, {scope}", of("/sse/s"))
    );

    let document = |path: &str, scopes: Value| {
        let mut document = json!({ "resource": format!("{origin}{path}"), "authorization_servers": [stand.issuer.url()], "bearer_methods_supported": ["header"] });
        if scopes != json!([]) {
            document["scopes_supported"] = scopes;
        }
        document
    };
    for (asked, path, scopes) in [
        ("/mcp/s", "/mcp/s", json!(["tools:call", "tools:read"])),
        ("/mcp/t", "/mcp/t", json!([])),
        ("/sse/t", "/sse/t", json!([])),
        ("/mcp", "/mcp", json!(["other", "tools:call", "tools:read"])),
        ("", "/mcp", json!(["other", "tools:call", "tools:read"])),
    ] {
        let reply = stand.get(&format!("/.well-known/oauth-protected-resource{asked}")).await;
        assert_eq!((reply.status, reply.json()), (200, document(path, scopes)), "{asked}");
    }
    let unknown = stand.get("/.well-known/oauth-protected-resource/mcp/nobody").await;
    assert_eq!(unknown.status, 404);
    for asked in ["/mcp/x", "/mcp/S", "/mcp/s/", "/mcp/s/x", "/", "/other", "/mcp/s%2f", "/mcp/%22"] {
        let reply = stand.get(&format!("/.well-known/oauth-protected-resource{asked}")).await;
        assert_eq!((reply.status, &reply.body), (404, &unknown.body), "{asked}");
    }
    assert_eq!(stand.get("/.well-known/oauth-protected-resources").await.status, 401);
    let url = format!("{origin}/.well-known/oauth-protected-resource/mcp/s");
    let post = HttpClient::new(&url).post(&json!({})).await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET")));
    let elsewhere = HttpClient::new(&url).send("GET", &[("Origin", "https://evil.example")], b"").await.whole().await;
    assert_eq!(elsewhere.status, 403);
}

#[tokio::test]
async fn there_are_no_metadata_where_nobody_signs_tokens() {
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = Plan::default()
        .set("auth.mode", "tokens")
        .server("s", upstream.url("/mcp"), "p.json")
        .policy("p.json", OPEN)
        .start();
    let url = format!("http://{}/.well-known/oauth-protected-resource/mcp/s", gate.data);
    let reply = HttpClient::new(url).send("GET", &[], b"").await.whole().await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
}

#[tokio::test]
async fn the_gateway_s_name_is_the_operators_word() {
    let stand = Stand::new("[listen]\nurl = \"https://gate.example\"\n").await;
    let url = stand.url("s");
    let named = |name: &str| stand.key.sign(&stand.issuer.claims(name));
    assert_eq!(call(&url, Some(&named("https://gate.example/mcp/s"))).await.status, 200);
    let reply = call(&url, Some(&named(&url))).await;
    assert_eq!(reply.status, 401);
    let mut raw = stand.gate.raw().await;
    raw.send("GET /.well-known/oauth-protected-resource/mcp/s HTTP/1.1\r\nHost: gate.example\r\nX-Forwarded-Host: evil.example\r\n\r\n").await;
    let document = raw.response().await.unwrap();
    assert_eq!(document.json()["resource"], "https://gate.example/mcp/s", "and its host is let in");
    let mut raw = stand.gate.raw().await;
    raw.send("GET /.well-known/oauth-protected-resource/mcp/s HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert_eq!(raw.response().await.unwrap().status, 403);
}

#[tokio::test]
async fn scopes_count_at_every_door() {
    let stand = Stand::new("[auth.jwt.scopes]\ns = [\"tools:read\"]\n").await;
    let all = stand.url("s").replace("/s", "");
    let at_all = |scope: &str| {
        let mut claims = stand.issuer.claims(&all);
        claims["scope"] = json!(scope);
        McpClient::modern(client(&all, Some(&stand.key.sign(&claims))))
    };
    assert_eq!(at_all("x tools:read").list_tools().await, ["s__a", "t__a"]);
    let weak = at_all("tools:readx");
    assert_eq!(weak.list_tools().await, ["t__a"]);
    assert_ne!(weak.call("s__a", json!({})).await["error"], Value::Null);
    assert_eq!(called(&stand.upstream), [""; 0]);
    let strong = stand.token("s", json!({ "scp": ["tools:read"] }));
    assert_eq!(stand.call("s", &strong).await.status, 200);
}

#[tokio::test]
async fn claims_are_what_rules_know_of_an_agent() {
    let policy = r#"{ "version": "1", "tools": { "a": { "require": [{ "conditions": [
        { "path": "agent.labels.team", "op": "eq", "value": "sre" }, { "path": "agent.id", "op": "eq", "value": "corp:alice" }] }] } } }"#;
    let labels = "labels = { team = \"groups.0\" }\n";
    let stand = Stand::with(policy, labels).await;
    let is_error =
        async |more: Value| stand.call("s", &stand.token("s", more)).await.json()["result"]["isError"].clone();
    assert_ne!(is_error(json!({ "groups": ["sre"] })).await, true);
    assert_eq!(is_error(json!({ "groups": ["dev", "sre"] })).await, true);
    assert_eq!(is_error(json!({ "groups": ["sre"], "sub": "bob" })).await, true);
    assert_eq!(called(&stand.upstream).len(), 1);
}

#[tokio::test]
async fn an_agent_that_is_known_here_may_no_more_than_that() {
    let toml = "prefix = \"\"\n[agents.alice]\nservers = [\"t\"]\ntokens = []\n";
    let stand = Stand::new(toml).await;
    assert_eq!(stand.call("t", &stand.token("t", json!({}))).await.status, 200);
    assert_eq!(stand.call("s", &stand.token("s", json!({}))).await.status, 404);
    assert_eq!(stand.call("s", &stand.token("s", json!({ "sub": "bob" }))).await.status, 200);
    assert_eq!(stand.call("s", &stand.token("s", json!({ "sub": "anonymous@127.0.0.1" }))).await.status, 401);
}

#[tokio::test]
async fn a_session_is_that_of_who_opened_it() {
    let stand = Stand::new("").await;
    let (alice, bob) = (stand.token("s", json!({})), stand.token("s", json!({ "sub": "bob" })));
    let opening = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } } });
    let opened = client(&stand.url("s"), Some(&alice)).post(&opening).await;
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let list = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" });
    let listed =
        async |token| client(&stand.url("s"), Some(token)).header("Mcp-Session-Id", &session).post(&list).await.status;
    assert_eq!(listed(&*alice).await, 200);
    assert_eq!(listed(&*bob).await, 404);
    // A new token of the same agent is as good.
    assert_eq!(listed(&*stand.token("s", json!({ "jti": "2" }))).await, 200);
}

#[tokio::test]
async fn keys_change_under_load_and_no_call_fails() {
    let stand = Stand::new("").await;
    let old = stand.token("s", json!({}));
    assert_eq!(stand.call("s", &old).await.status, 200);
    let new = SigningKey::rsa("next");
    let done = AtomicBool::new(false);
    let calling = async {
        let mut calls = 0;
        while !done.load(Ordering::Relaxed) {
            assert_eq!(stand.call("s", &old).await.status, 200);
            calls += 1;
        }
        calls
    };
    let changing = async {
        stand.issuer.publish([&stand.key, &new]);
        let token = new.sign(&stand.claims("s", json!({})));
        for _ in 0..50 {
            assert_eq!(stand.call("s", &token).await.status, 200);
        }
        done.store(true, Ordering::Relaxed);
    };
    let (calls, ()) = tokio::join!(calling, changing);
    assert!(calls > 0);
    assert_eq!(stand.issuer.fetches(), 2);
}

#[tokio::test]
async fn while_there_are_no_keys_nobody_is_told_to_get_a_new_token() {
    let (issuer, key) = (Issuer::start().await, SigningKey::ec("e"));
    issuer.publish([&key]);
    issuer.is_down(true);
    let upstream = Recorder::mcp([tool("a")]).await;
    let gate = plan(&issuer, &upstream, OPEN, "[auth.jwt]\nrefresh = \"1s\"\n").start();
    let token = key.sign(&issuer.claims(&gate.url("s")));
    let reply = call(&gate.url("s"), Some(&token)).await;
    assert_eq!((reply.status, reply.header("www-authenticate"), reply.header("retry-after")), (503, None, Some("5")));
    assert_eq!(called(&upstream), [""; 0]);
    issuer.is_down(false);
    patiently("its keys", async { while call(&gate.url("s"), Some(&token)).await.status != 200 {} }).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let stand = Stand::new("[auth.jwt]\nleeway = \"0s\"\n").await;
    let all = stand.url("s").replace("/s", "");
    let for_all = stand.key.sign(&{
        let mut claims = stand.issuer.claims(&all);
        claims["exp"] = json!(claims["iat"].as_f64().unwrap() + 3.0);
        claims
    });
    let legacy = McpClient::legacy(client(&all, Some(&for_all))).await;
    let mut stream = legacy.http().get().await;
    assert_eq!(stream.status, 200);
    let ended = async { while let Ok(Some(_)) = stream.next_piece().await {} };
    tokio::time::timeout(Duration::from_secs(15), ended).await.expect("the stream goes on without a token");
    assert_eq!(call(&all, Some(&for_all)).await.status, 401);
}

#[test]
fn what_cannot_be_configured() {
    for (toml, expected) in [
        ("", "`auth.jwt.issuers` are none, and `auth.mode = \"jwt\"` needs one to trust"),
        ("[auth.jwt.issuers.a]\n", "`auth.jwt.issuers.a.issuer` is missing"),
        ("[auth.jwt.issuers.a]\njwks_file = \"x\"\n", "`auth.jwt.issuers.a.issuer` is missing"),
        (
            "[auth.jwt.issuers.a]\nissuer = \"http://id.example\"\n",
            "`auth.jwt.issuers.a.issuer` must be an https URL, or http on this machine",
        ),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://u:p@id.example\"\n",
            "`auth.jwt.issuers.a.issuer` may not have user information",
        ),
        ("[auth.jwt.issuers.a]\nissuer = \"id\"\n", "`auth.jwt.issuers.a.issuer` is not a URL"),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\njwks_url = \"http://id.example\"\n",
            "`auth.jwt.issuers.a.jwks_url` must be an https URL",
        ),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\njwks_url = \"https://id.example\"\njwks_file = \"x\"\n",
            "`auth.jwt.issuers.a.jwks_file` is written beside",
        ),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\nalgorithms = [\"HS256\"]\n",
            "`auth.jwt.issuers.a.algorithms` is [\"HS256\"], expected a list of RS256",
        ),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\nalgorithms = [\"none\"]\n",
            "`auth.jwt.issuers.a.algorithms` is [\"none\"]",
        ),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\nalgorithms = []\n",
            "`auth.jwt.issuers.a.algorithms` is []",
        ),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\nlabels = { team = 1 }\n",
            "`auth.jwt.issuers.a.labels.team` is 1",
        ),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\n[auth.jwt.issuers.b]\nissuer = \"https://id.example\"\n",
            "`auth.jwt.issuers.b.issuer` is that of another issuer too",
        ),
        (
            "[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\nsecret = \"x\"\n",
            "there is no setting `auth.jwt.issuers.a.secret`",
        ),
        (
            "[auth.jwt]\nkeep = \"1s\"\n[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\n",
            "`auth.jwt.keep` is shorter than `auth.jwt.refresh`",
        ),
        (
            "[auth.jwt.scopes]\ns = [\"a b\"]\n[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\n",
            "`auth.jwt.scopes.s` is [\"a b\"]",
        ),
        ("[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\n", ""),
        (
            "listen.url = \"https://gate.example/x\"\n[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\n",
            "`listen.url` is \"https://gate.example/x\", expected an origin",
        ),
        (
            "listen.url = \"ftp://gate.example\"\n[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\n",
            "`listen.url` is \"ftp://gate.example\", expected an origin",
        ),
        (
            "listen.data = \"0.0.0.0:4480\"\n[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\n",
            "`listen.url` is missing",
        ),
    ] {
        let said = refused(toml, "jwt");
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{toml}\n{said}");
    }
    let said = refused("[auth.jwt.issuers.a]\nissuer = \"https://id.example\"\n", "tokens");
    assert!(said.starts_with("`auth.jwt.issuers` have no effect unless"), "{said}");
}

fn refused(toml: &str, mode: &str) -> String {
    use gateway::config::{Config, ConfigFile, Layers};
    let flags = vec![("auth.mode".to_owned(), mode.to_owned())];
    let layers = Layers { file: ConfigFile::Given(toml.to_owned()), flags, ..Layers::default() };
    Config::load(&layers).err().map_or_else(String::new, |errors| errors.to_string())
}
