//! TLS towards a server: whom the gateway trusts, and whom it shows itself to.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{HttpClient, McpClient, Recorder};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use gateway::config::{Config, ConfigFile, Layers};

use gateway::Bridge;

use crate::canary;
use crate::duplex::bridged_by;
use crate::gate::{Gate, OPEN, Plan, modern_call, tool};

/// A certificate authority.
pub(crate) struct Authority(Issuer<'static, KeyPair>, pub(crate) rcgen::Certificate);

/// A certificate and its key.
pub(crate) struct Pair(pub(crate) rcgen::Certificate, pub(crate) KeyPair);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        Self(Issuer::new(params, key), own)
    }

    pub(crate) fn issue(&self, name: &str, with: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        with(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair(params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// A recorder behind TLS.
struct Secured {
    recorder: Recorder,
    port: u16,
    accepting: tokio::task::AbortHandle,
}

impl Secured {
    /// Wants a certificate of `clients`, if that is given.
    async fn start(pair: Pair, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = match clients {
            None => builder.unwrap().with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.1.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
                builder.unwrap().with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::try_from(pair.1.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![pair.0.der().clone()], key).unwrap();
        let (acceptor, recorder) = (TlsAcceptor::from(Arc::new(config)), Recorder::mcp([tool("a")]).await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, behind) = (listener.local_addr().unwrap().port(), recorder.addr());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut TcpStream::connect(behind).await?).await
                });
            }
        });
        Self { recorder, port, accepting: accepting.abort_handle() }
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Files in a folder, by absolute path in the configuration.
fn files(files: &[(&str, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A call through a gateway with these lines under `[servers.s.tls]`; `DIR` is the folder.
async fn call(secured: &Secured, folder: &Path, tls: &str) -> Value {
    let id = format!("s{}", secured.port);
    let tls = tls.replace("DIR", folder.to_str().unwrap());
    let plan = Plan::default().server(&id, format!("https://127.0.0.1:{}/mcp", secured.port), "p");
    let gate: Gate = plan.toml(&format!("[servers.{id}.tls]\n{tls}")).policy("p", OPEN).start();
    McpClient::modern(HttpClient::new(gate.url(&id))).call("a", json!({})).await
}

#[track_caller]
fn failed(secured: &Secured, answer: &Value, why: &str) {
    assert_eq!(answer["error"], json!({ "code": -32603, "message": "upstream failed" }), "{why}");
    assert!(secured.recorder.requests().is_empty());
    let logged = Value::from(canary::events(&format!("s{}", secured.port))).to_string();
    assert!(logged.contains(why), "{why} is not in {logged}");
}

#[tokio::test]
async fn a_server_of_a_private_authority_is_trusted_if_the_operator_says_so() {
    canary::capture();
    let (ours, other) = (Authority::new(), Authority::new());
    let folder =
        files(&[("ca.pem", ours.1.pem()), ("both.pem", other.1.pem() + &ours.1.pem()), ("other.pem", other.1.pem())]);
    for tls in ["ca = \"DIR/ca.pem\"", "ca = \"DIR/both.pem\"", "ca = \"DIR/ca.pem\"\nca_only = true"] {
        let secured = Secured::start(ours.issue("127.0.0.1", |_| {}), None).await;
        let answer = call(&secured, folder.path(), tls).await;
        assert!(answer["error"].is_null(), "{tls}: {answer}");
    }
    for tls in ["", "ca = \"DIR/other.pem\"", "ca = \"DIR/other.pem\"\nca_only = true"] {
        let secured = Secured::start(ours.issue("127.0.0.1", |_| {}), None).await;
        failed(&secured, &call(&secured, folder.path(), tls).await, "invalid peer certificate");
    }
}

#[tokio::test]
async fn a_certificate_must_be_in_force_and_bear_the_name() {
    canary::capture();
    let ca = Authority::new();
    let folder = files(&[("ca.pem", ca.1.pem())]);
    let trusted = "ca = \"DIR/ca.pem\"";
    let expired = Secured::start(ca.issue("127.0.0.1", |it| it.not_after = date_time_ymd(2024, 1, 1)), None).await;
    failed(&expired, &call(&expired, folder.path(), trusted).await, "expired");
    let future = Secured::start(ca.issue("127.0.0.1", |it| it.not_before = date_time_ymd(4000, 1, 1)), None).await;
    failed(&future, &call(&future, folder.path(), trusted).await, "not valid yet");
    let another = Secured::start(ca.issue("mcp.internal", |_| {}), None).await;
    failed(&another, &call(&another, folder.path(), trusted).await, "not valid for name");
    let named = "ca = \"DIR/ca.pem\"\nserver_name = \"mcp.internal\"";
    assert!(call(&another, folder.path(), named).await["error"].is_null());
    let misnamed = Secured::start(ca.issue("127.0.0.1", |_| {}), None).await;
    failed(&misnamed, &call(&misnamed, folder.path(), named).await, "not valid for name");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_ours() {
    canary::capture();
    let (ca, clients) = (Authority::new(), Authority::new());
    let (ours, foreign) = (clients.issue("gateway", |_| {}), ca.issue("gateway", |_| {}));
    let folder = files(&[
        ("ca.pem", ca.1.pem()),
        ("cert.pem", ours.0.pem()),
        ("key.pem", ours.1.serialize_pem()),
        ("foreign.pem", foreign.0.pem()),
        ("foreign.key", foreign.1.serialize_pem()),
    ]);
    let secured = Secured::start(ca.issue("127.0.0.1", |_| {}), Some(&clients)).await;
    let answer = call(&secured, folder.path(), "ca = \"DIR/ca.pem\"").await;
    assert_eq!(answer["error"]["code"], -32603, "without one: {answer}");
    let foreign = "ca = \"DIR/ca.pem\"\ncert = \"DIR/foreign.pem\"\nkey = \"DIR/foreign.key\"";
    assert_eq!(call(&secured, folder.path(), foreign).await["error"]["code"], -32603, "of another authority");
    assert!(secured.recorder.requests().is_empty());
    let ours = "ca = \"DIR/ca.pem\"\ncert = \"DIR/cert.pem\"\nkey = \"DIR/key.pem\"";
    let answer = call(&secured, folder.path(), ours).await;
    assert!(answer["error"].is_null(), "{answer}");
}

/// Each server is reached by its own rules only.
#[tokio::test]
async fn what_one_server_trusts_another_does_not() {
    let ca = Authority::new();
    let folder = files(&[("ca.pem", ca.1.pem())]);
    let secured = Secured::start(ca.issue("127.0.0.1", |_| {}), None).await;
    let url = format!("https://127.0.0.1:{}/mcp", secured.port);
    let trusts = format!("[servers.trusts.tls]\nca = \"{}/ca.pem\"", folder.path().display());
    let plan = Plan::default().server("trusts", &url, "p").toml(&trusts).server("does-not", &url, "p");
    let gate = plan.policy("p", OPEN).start();
    let on = |server: &str| McpClient::modern(HttpClient::new(gate.url(server)));
    assert!(on("trusts").call("a", json!({})).await["error"].is_null());
    assert_eq!(on("does-not").call("a", json!({})).await["error"]["code"], -32603);
}

/// `toolgate bridge --ca`: the token goes to nobody whose certificate is not in order.
#[tokio::test]
async fn a_bridge_trusts_the_authority_that_it_is_given_and_no_other() {
    let (ours, other) = (Authority::new(), Authority::new());
    let folder =
        files(&[("ca.pem", ours.1.pem()), ("both.pem", other.1.pem() + &ours.1.pem()), ("other.pem", other.1.pem())]);
    let named = |name: &'static str| Secured::start(ours.issue(name, |_| {}), None);
    for (name, ca, trusted) in [
        ("127.0.0.1", Some("ca.pem"), true),
        ("127.0.0.1", Some("both.pem"), true),
        ("127.0.0.1", Some("other.pem"), false),
        ("127.0.0.1", None, false),
        ("mcp.internal", Some("ca.pem"), false),
    ] {
        let secured = named(name).await;
        let url = format!("https://127.0.0.1:{}/mcp", secured.port);
        let ca = ca.map(|ca| folder.path().join(ca));
        let mut client = bridged_by(Bridge { url, token: Some("let-me-in".into()), ca: ca.clone() }, &[]);
        let answer = client.ask(&modern_call(1, "a", json!({}))).await;
        let requests = secured.recorder.requests();
        match trusted {
            true => {
                assert!(answer["error"].is_null(), "{ca:?}: {answer}");
                assert_eq!(requests[0].header("authorization"), Some("Bearer let-me-in"));
            }
            false => {
                let why = answer["error"]["message"].as_str().unwrap();
                assert!(why.starts_with("cannot reach the gateway at https://127.0.0.1:"), "{name} {ca:?}: {why}");
                assert!(requests.is_empty());
            }
        }
    }
}

#[test]
fn bad_files_are_found_at_load() {
    let ca = Authority::new();
    let (one, two) = (ca.issue("a", |_| {}), ca.issue("a", |_| {}));
    let folder = files(&[
        ("ca.pem", ca.1.pem()),
        ("cert.pem", one.0.pem()),
        ("key.pem", one.1.serialize_pem()),
        ("other.key", two.1.serialize_pem()),
        ("empty.pem", String::new()),
        ("text.pem", "no PEM at all".to_owned()),
        ("cut.pem", ca.1.pem().replace("-----END", "-----ENT")),
        ("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()),
    ]);
    let pair = "cert = \"DIR/cert.pem\"\n";
    for (tls, expected) in [
        (
            "ca = \"DIR/none.pem\"",
            "`servers.s.tls.ca` cannot be used: `DIR/none.pem` cannot be read: No such file or directory",
        ),
        (
            "ca = \"DIR/empty.pem\"",
            "`servers.s.tls.ca` cannot be used: `DIR/empty.pem` holds no certificate in PEM form",
        ),
        ("ca = \"DIR/text.pem\"", "`servers.s.tls.ca` cannot be used: `DIR/text.pem` holds no certificate in PEM form"),
        ("ca = \"DIR/key.pem\"", "`servers.s.tls.ca` cannot be used: `DIR/key.pem` holds no certificate in PEM form"),
        ("ca = \"DIR/cut.pem\"", "`servers.s.tls.ca` cannot be used: `DIR/cut.pem` is not PEM: "),
        (
            "ca = \"DIR/garbage.pem\"",
            "`servers.s.tls.ca` cannot be used: `DIR/garbage.pem` holds a certificate (the 1. one) that is malformed: ",
        ),
        ("ca_only = true", "`servers.s.tls.ca_only` trusts nobody without `ca`"),
        (pair, "`servers.s.tls.cert` needs `key` beside it"),
        ("key = \"DIR/key.pem\"", "`servers.s.tls.key` needs `cert` beside it"),
        (
            &format!("{pair}key = \"DIR/other.key\""),
            "`servers.s.tls.key` cannot be used: `DIR/other.key` is not the key of `DIR/cert.pem`",
        ),
        (
            &format!("{pair}key = \"DIR/cert.pem\""),
            "`servers.s.tls.key` cannot be used: `DIR/cert.pem` holds no private key in PEM form",
        ),
        ("ca_only = 1", "`servers.s.tls.ca_only` is 1, expected true or false"),
        ("ca = 1", "`servers.s.tls.ca` is 1, expected the path of a PEM file"),
        (
            "server_name = \"a b\"",
            "`servers.s.tls.server_name` is \"a b\", expected the name on the server's certificate",
        ),
        ("cafile = \"x\"", "there is no setting `servers.s.tls.cafile`"),
    ] {
        let said = load("https://127.0.0.1:1/mcp", folder.path(), tls);
        assert!(said.starts_with(expected), "{tls}\n{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains("PRIVATE"), "{said}");
    }
    assert_eq!(load("https://127.0.0.1:1/mcp", folder.path(), &format!("{pair}key = \"DIR/key.pem\"")), "");
    let plain = load("http://127.0.0.1:1/mcp", folder.path(), "ca = \"DIR/ca.pem\"");
    assert!(plain.starts_with("`servers.s.tls` is for a server whose `url` is https"), "{plain}");
}

fn load(url: &str, folder: &Path, tls: &str) -> String {
    let dir = folder.to_str().unwrap();
    let file = folder.join("toolgate.toml");
    let tls = tls.replace("DIR", dir);
    std::fs::write(&file, format!("[servers.s]\nurl = \"{url}\"\npolicy = \"p\"\n[servers.s.tls]\n{tls}\n")).unwrap();
    let layers = Layers { file: ConfigFile::Required(file), ..Layers::default() };
    Config::load(&layers).err().map_or_else(String::new, |errors| errors.to_string().replace(dir, "DIR"))
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_everybody_can_read_is_told_of() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    canary::capture();
    let ca = Authority::new();
    let pair = ca.issue("gateway", |_| {});
    let folder = files(&[("cert.pem", pair.0.pem()), ("key.pem", pair.1.serialize_pem())]);
    let dir = folder.path().display();
    for (id, mode, told) in [("key-exposed", 0o644, 1), ("key-kept", 0o600, 0)] {
        std::fs::set_permissions(folder.path().join("key.pem"), Permissions::from_mode(mode)).unwrap();
        let tls = format!("[servers.{id}.tls]\ncert = \"{dir}/cert.pem\"\nkey = \"{dir}/key.pem\"");
        let _gate = Plan::default().server(id, "https://127.0.0.1:1/mcp", "p").toml(&tls).policy("p", OPEN).start();
        assert_eq!(canary::events(id).len(), told, "{id}");
    }
}
