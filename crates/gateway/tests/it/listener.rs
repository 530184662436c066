//! TLS on the data listener: what is served, to whom, and what changes while it runs.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gateway::NewToken;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::{Issuer, Recorder, SigningKey, patiently};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gate::{Gate, OPEN, Plan, called, modern_call, tool};
use crate::tls::{Authority, Pair};

/// The gateway's files, and who vouches for them.
struct Files {
    folder: TempDir,
    ca: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap(), ca: Authority::new() };
        files.write(&files.ca.issue("localhost", |_| {}));
        files
    }

    fn write(&self, pair: &Pair) {
        self.put("cert.pem", &pair.0.pem());
        self.put("key.pem", &pair.1.serialize_pem());
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn gate(&self, upstream: &Recorder, more: &str) -> Gate {
        let tls =
            format!("[listen.tls]\ncert = \"{}\"\nkey = \"{}\"\n{more}", self.path("cert.pem"), self.path("key.pem"));
        Plan::default().server("s", upstream.url("/mcp"), "p.json").toml(&tls).policy("p.json", OPEN).start()
    }

    fn asking_clients(&self, upstream: &Recorder, clients: &Authority, client: &str) -> Gate {
        self.put("clients.pem", &clients.1.pem());
        self.gate(upstream, &format!("client_ca = \"{}\"\nclient = \"{client}\"", self.path("clients.pem")))
    }

    /// Connects as a client that trusts this authority, showing a certificate if there is one.
    async fn connect(
        &self,
        to: SocketAddr,
        own: Option<&Pair>,
        alpn: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.1.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(Pair(certificate, key)) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(to).await?;
        let name = ServerName::try_from("localhost").unwrap();
        patiently("a handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }
}

/// Calls `a`: the status of the answer, or nothing if the connection ended before there was one.
async fn call(stream: &mut TlsStream<TcpStream>) -> Option<u16> {
    call_at(stream, "s", None).await
}

/// The same of a server, with a token.
async fn call_at(stream: &mut TlsStream<TcpStream>, server: &str, token: Option<&str>) -> Option<u16> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body = modern_call(1, "a", json!({})).to_string();
    let head = format!(
        "POST /mcp/{server} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: tools/call\r\nMcp-Name: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = [0; 4096];
    let read = patiently("an answer", stream.read(&mut answer)).await.ok().filter(|&read| read > 0)?;
    std::str::from_utf8(&answer[..read]).unwrap().split(' ').nth(1).map(|status| status.parse().unwrap())
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn upstream() -> Recorder {
    Recorder::mcp([tool("a")]).await
}

#[tokio::test]
async fn calls_come_through_tls_and_no_other_way() {
    let (files, upstream) = (Files::new(), upstream().await);
    let gate = files.gate(&upstream, "");
    let mut stream = files.connect(gate.data, None, &[]).await.unwrap();
    assert_eq!(call(&mut stream).await, Some(200));
    assert_eq!(call(&mut stream).await, Some(200), "on the same connection");
    let stream = files.connect(gate.data, None, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(files.connect(gate.data, None, &[b"h2"]).await.is_err());

    let mut plain = TcpStream::connect(gate.data).await.unwrap();
    plain.write_all(b"POST /mcp/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    _ = patiently("the end", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(called(&upstream).len(), 2);
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_a_bad_one_changes_nothing() {
    crate::canary::capture();
    let (files, upstream) = (Files::new(), upstream().await);
    let first = fs::read_to_string(files.path("cert.pem")).unwrap();
    let gate = files.gate(&upstream, "");
    let mut old = files.connect(gate.data, None, &[]).await.unwrap();
    let before = shown(&old);

    // A key that is not the certificate's: then both are bad.
    files.put("key.pem", &files.ca.issue("localhost", |_| {}).1.serialize_pem());
    let next = files.ca.issue("localhost", |_| {});
    patiently("the bad pair to be seen", async {
        while !crate::canary::said("the listener's certificate was not reloaded") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(shown(&files.connect(gate.data, None, &[]).await.unwrap()), before);
    assert_eq!(fs::read_to_string(files.path("cert.pem")).unwrap(), first);

    files.write(&next);
    patiently("the new certificate", async {
        while shown(&files.connect(gate.data, None, &[]).await.unwrap()) != *next.0.der() {}
    })
    .await;
    assert_eq!(call(&mut old).await, Some(200), "who was connected stays so");
}

#[tokio::test]
async fn the_admin_listener_speaks_tls_too_with_a_certificate_of_its_own_that_may_change() {
    let (files, upstream) = (Files::new(), upstream().await);
    let tls = format!("[admin.tls]\ncert = \"{}\"\nkey = \"{}\"", files.path("cert.pem"), files.path("key.pem"));
    let plan = Plan::default().server("s", upstream.url("/mcp"), "p.json").policy("p.json", OPEN).toml(&tls);
    let gate = plan.start();
    let healthy = async |stream: &mut TlsStream<TcpStream>| {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = [0; 4096];
        let read = patiently("an answer", stream.read(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 200")
    };
    let mut old = files.connect(gate.admin, None, &[]).await.unwrap();
    assert!(healthy(&mut old).await);
    let mut plain = TcpStream::connect(gate.admin).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    _ = patiently("the end", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let next = files.ca.issue("localhost", |_| {});
    files.write(&next);
    patiently("the new certificate", async {
        while shown(&files.connect(gate.admin, None, &[]).await.unwrap()) != *next.0.der() {}
    })
    .await;
    assert!(healthy(&mut old).await, "who was connected stays so");
    let call = modern_call(1, "a", json!({}));
    let http = crate::gate::modern_headers(gate.http(), "tools/call", Some("a"));
    assert_eq!(http.post(&call).await.status, 200, "the data listener is as it was");
}

/// Many who begin a handshake and do not go on with it keep nobody out for ever.
#[tokio::test]
async fn a_handshake_at_the_admin_listener_ends_in_time() {
    let (files, upstream) = (Files::new(), upstream().await);
    let tls = format!("[admin.tls]\ncert = \"{}\"\nkey = \"{}\"", files.path("cert.pem"), files.path("key.pem"));
    let plan = Plan::default().server("s", upstream.url("/mcp"), "p.json").policy("p.json", OPEN).toml(&tls);
    let gate = plan.set("admin.tls.handshake_timeout", "300ms").start();
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(TcpStream::connect(gate.admin).await.unwrap());
    }
    patiently("a place", async { while files.connect(gate.admin, None, &[]).await.is_err() {} }).await;
}

#[tokio::test]
async fn without_a_certificate_that_is_required_nobody_gets_in() {
    let (files, upstream, clients) = (Files::new(), upstream().await, Authority::new());
    let gate = files.asking_clients(&upstream, &clients, "required");
    let (good, foreign) = (clients.issue("bot", |_| {}), Authority::new().issue("bot", |_| {}));
    let outdated = clients.issue("bot", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let for_servers = clients.issue("bot", |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    // In TLS 1.3 a client has shaken hands before it knows what became of its certificate.
    for (own, expected) in [
        (Some(&good), Some(200)),
        (None, None),
        (Some(&foreign), None),
        (Some(&outdated), None),
        (Some(&for_servers), None),
    ] {
        let said = match files.connect(gate.data, own, &[]).await {
            Ok(mut stream) => call(&mut stream).await,
            Err(_) => None,
        };
        assert_eq!(said, expected);
    }
    assert_eq!(called(&upstream).len(), 1);
}

#[tokio::test]
async fn a_certificate_that_is_optional_must_be_good_if_it_is_shown() {
    let (files, upstream, clients) = (Files::new(), upstream().await, Authority::new());
    let gate = files.asking_clients(&upstream, &clients, "optional");
    let (good, foreign) = (clients.issue("bot", |_| {}), Authority::new().issue("bot", |_| {}));
    for (own, expected) in [(Some(&good), Some(200)), (None, Some(200)), (Some(&foreign), None)] {
        let said = match files.connect(gate.data, own, &[]).await {
            Ok(mut stream) => call(&mut stream).await,
            Err(_) => None,
        };
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn a_client_authority_can_be_replaced_too() {
    let (files, upstream, clients, others) = (Files::new(), upstream().await, Authority::new(), Authority::new());
    let gate = files.asking_clients(&upstream, &clients, "required");
    let other = others.issue("bot", |_| {});
    let said = async || match files.connect(gate.data, Some(&other), &[]).await {
        Ok(mut stream) => call(&mut stream).await,
        Err(_) => None,
    };
    assert_eq!(said().await, None);
    files.put("clients.pem", &others.1.pem());
    patiently("the new authority", async { while said().await.is_none() {} }).await;
}

/// A gateway before servers `s` and `t` that asks for certificates, and who they make their holders.
async fn knowing_clients(files: &Files, clients: &Authority, upstream: &Recorder, mode: &str, toml: &str) -> Gate {
    files.put("clients.pem", &clients.1.pem());
    let tls = format!(
        "[listen.tls]\ncert = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\nclient = \"optional\"\n",
        files.path("cert.pem"),
        files.path("key.pem"),
        files.path("clients.pem")
    );
    let plan = Plan::default().set("auth.mode", mode).server("s", upstream.url("/mcp"), "p.json");
    let policy = r#"{ "version": "1", "tools": { "a": { "deny_if": [{ "conditions": [{ "path": "agent.id", "op": "eq", "value": "cert:mallory" }] }] } } }"#;
    plan.server("t", upstream.url("/mcp"), "p.json").toml(&(tls + toml)).policy("p.json", policy).start()
}

fn agent(id: &str, token: &NewToken, more: &str) -> String {
    format!("[agents.{id}]\ntokens = [{{ sha256 = \"{}\", label = \"t\" }}]\n{more}", token.sha256_hex())
}

fn named(params: &mut rcgen::CertificateParams, name: &str) {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
}

#[tokio::test]
async fn a_certificate_can_be_all_that_an_agent_shows() {
    let (files, upstream, clients) = (Files::new(), upstream().await, Authority::new());
    let rules = "[auth.certificates]\nagent = \"cn\"\n";
    let gate = knowing_clients(&files, &clients, &upstream, "tokens", rules).await;
    let issue = |name: &str| clients.issue("x", |params| named(params, name));
    for (name, expected) in [("alice", 1), ("mallory", 0)] {
        let before = called(&upstream).len();
        let mut stream = files.connect(gate.data, Some(&issue(name)), &[]).await.unwrap();
        assert_eq!(call(&mut stream).await, Some(200), "a denial is an answer too");
        assert_eq!(called(&upstream).len() - before, expected, "{name}");
    }
    let journal = gate.journal();
    let came = journal.iter().find(|record| record["agent"] == "cert:alice").unwrap();
    assert_eq!((&came["by"], came["by_id"].as_str().unwrap().len()), (&json!("certificate"), 16), "{came}");
    let nameless = clients.issue("x", |params| params.distinguished_name = rcgen::DistinguishedName::new());
    for own in [None, Some(&nameless)] {
        let mut stream = files.connect(gate.data, own, &[]).await.unwrap();
        assert_eq!(call(&mut stream).await, Some(401));
    }
    let mut stream = files.connect(gate.data, Some(&issue("alice")), &[]).await.unwrap();
    assert_eq!(
        call_at(&mut stream, "s", Some("tg_bad")).await,
        Some(401),
        "a bad token is not made good by a certificate"
    );
}

#[tokio::test]
async fn a_certificate_of_an_agent_that_is_known_is_that_agents() {
    let (files, upstream, clients) = (Files::new(), upstream().await, Authority::new());
    let token = NewToken::generate().unwrap();
    let rules = format!(
        "[auth.certificates]\nagent = \"san_dns\"\nprefix = \"\"\n{}",
        agent("bot", &token, "servers = [\"t\"]\n")
    );
    let gate = knowing_clients(&files, &clients, &upstream, "tokens", &rules).await;
    let mut stream = files.connect(gate.data, Some(&clients.issue("bot", |_| {})), &[]).await.unwrap();
    assert_eq!((call_at(&mut stream, "t", None).await, call_at(&mut stream, "s", None).await), (Some(200), Some(404)));
}

#[tokio::test]
async fn a_token_that_was_stolen_is_of_no_use_without_the_certificate() {
    let (files, upstream, clients) = (Files::new(), upstream().await, Authority::new());
    let (bots, others) = (NewToken::generate().unwrap(), NewToken::generate().unwrap());
    for (bind, expected) in [("false", [200, 200, 200, 200, 200]), ("true", [200, 401, 401, 401, 401])] {
        let rules = format!(
            "[auth.certificates]\nagent = \"cn\"\nprefix = \"\"\nbind = {bind}\n{}{}",
            agent("bot", &bots, ""),
            agent("other", &others, "")
        );
        let gate = knowing_clients(&files, &clients, &upstream, "tokens", &rules).await;
        let [bot, nobody] = ["bot", "nobody"].map(|name| clients.issue("x", |params| named(params, name)));
        let mut said = Vec::new();
        for (own, token) in [(Some(&bot), &bots), (Some(&bot), &others), (Some(&nobody), &bots), (None, &bots)] {
            let mut stream = files.connect(gate.data, own, &[]).await.unwrap();
            said.extend(call_at(&mut stream, "s", Some(token.text())).await);
        }
        let mut stream = files.connect(gate.data, Some(&bot), &[]).await.unwrap();
        said.extend(call_at(&mut stream, "s", None).await);
        assert_eq!(said, expected, "bind = {bind}");
    }
}

#[tokio::test]
async fn a_token_that_names_its_certificate_wants_to_see_it() {
    let (files, upstream, clients) = (Files::new(), upstream().await, Authority::new());
    let (issuer, key) = (Issuer::start().await, SigningKey::ed("e"));
    issuer.publish([&key]);
    let trust =
        format!("[listen]\nurl = \"https://gate.example\"\n[auth.jwt.issuers.corp]\nissuer = \"{}\"\n", issuer.url());
    let gate = knowing_clients(&files, &clients, &upstream, "jwt", &trust).await;
    let (own, other) = (clients.issue("x", |_| {}), clients.issue("x", |_| {}));
    let mut claims = issuer.claims("https://gate.example/mcp/s");
    claims["cnf"] = json!({ "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(own.0.der())) });
    let token = key.sign(&claims);
    for (shown, expected) in [(Some(&own), 200), (Some(&other), 401), (None, 401)] {
        let mut stream = files.connect(gate.data, shown, &[]).await.unwrap();
        assert_eq!(call_at(&mut stream, "s", Some(&token)).await, Some(expected));
    }
}

#[tokio::test]
async fn handshakes_are_few_and_do_not_take_for_ever() {
    let (files, upstream) = (Files::new(), upstream().await);
    let gate = files.gate(&upstream, "handshakes = 1\nhandshake_timeout = \"1s\"");
    let silent = async || {
        let mut end = Vec::new();
        let read = TcpStream::connect(gate.data).await.unwrap().read_to_end(&mut end).await;
        (tokio::time::Instant::now(), read)
    };
    let begun = tokio::time::Instant::now();
    // Whichever was accepted first has the only place; the other is closed at once.
    let (one, other) = patiently("the end of both", async { tokio::join!(silent(), silent()) }).await;
    let (first, last) = (one.0.min(other.0) - begun, one.0.max(other.0) - begun);
    assert!(first < Duration::from_secs(1) && last >= Duration::from_secs(1), "{first:?} {last:?}");
    let mut stream = patiently("a place", async {
        loop {
            if let Ok(stream) = files.connect(gate.data, None, &[]).await {
                return stream;
            }
        }
    })
    .await;
    assert_eq!(call(&mut stream).await, Some(200));
}

#[tokio::test]
async fn a_handshake_does_not_hold_up_the_end() {
    let (files, upstream) = (Files::new(), upstream().await);
    let tls = format!(
        "[listen.tls]\ncert = \"{}\"\nkey = \"{}\"\nhandshake_timeout = \"60s\"",
        files.path("cert.pem"),
        files.path("key.pem")
    );
    let plan = Plan::default().server("s", upstream.url("/mcp"), "p.json").toml(&tls).policy("p.json", OPEN);
    let mut gate = plan.set("bounds.drain", "60s").start();
    let _silent = TcpStream::connect(gate.data).await.unwrap();
    let mut stream = files.connect(gate.data, None, &[]).await.unwrap();
    assert_eq!(call(&mut stream).await, Some(200), "by now the silent one was accepted as well");
    gate.shut_down().await;
}

#[test]
fn files_that_cannot_be_served_with() {
    let files = Files::new();
    let (cert, key) =
        (format!("cert = \"{}\"", files.path("cert.pem")), format!("key = \"{}\"", files.path("key.pem")));
    files.put("other.pem", &files.ca.issue("x", |_| {}).1.serialize_pem());
    let other = format!("key = \"{}\"", files.path("other.pem"));
    let ca = format!("client_ca = \"{}\"", files.path("key.pem"));
    for (lines, expected) in [
        (vec![&*cert, &key], ""),
        (vec![&*cert], "`listen.tls.cert` needs `key` beside it"),
        (vec![&*key], "`listen.tls.key` needs `cert` beside it"),
        (vec![&*cert, &other], "`listen.tls.key` cannot be used: `DIR/other.pem` is not the key of `DIR/cert.pem`"),
        (vec!["cert = \"none.pem\"", &key], "`listen.tls.cert` cannot be used: `"),
        (vec![&*cert, &key, "client = \"required\""], "`listen.tls.client` needs `client_ca` beside it"),
        (
            vec![&*cert, &key, &ca, "client = \"required\""],
            "`listen.tls.client_ca` cannot be used: `DIR/key.pem` holds no certificate in PEM form",
        ),
        (vec![&*cert, &key, "client_ca = \"x\""], "`listen.tls.client` is missing"),
        (vec!["client_ca = \"x\"", "client = \"optional\""], "`listen.tls.client_ca` needs `cert` and `key` beside it"),
        (
            vec![&*cert, &key, "client = \"maybe\""],
            "`listen.tls.client` is \"maybe\", expected \"required\" or \"optional\"",
        ),
        (
            vec![&*cert, &key, "[auth.certificates]", "agent = \"cn\""],
            "`auth.certificates` needs `listen.tls.client_ca`",
        ),
    ] {
        let said = refused(files.folder.path(), &format!("[listen.tls]\n{}", lines.join("\n")));
        assert!(said.starts_with(expected), "{lines:?}\n{said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
    }
}

fn refused(folder: &Path, toml: &str) -> String {
    use gateway::config::{Config, ConfigFile, Layers};
    let file = folder.join("toolgate.toml");
    fs::write(&file, toml).unwrap();
    let layers = Layers { file: ConfigFile::Required(file), ..Layers::default() };
    let said = Config::load(&layers).err().map_or_else(String::new, |errors| errors.to_string());
    said.replace(&folder.display().to_string(), "DIR")
}
