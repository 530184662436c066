//! Credentials that the store keeps: shown from the next request on, and where one cannot be used nothing is sent at all.

use gateway::config::{Config, ConfigFile, Layers};
use gateway::{Resealed, Vault, reseal};
use serde_json::{Value, json};
use store::{Credential, Store};
use testkit::{Answer, Recorder};

use super::managed::{Managed, started};
use crate::gate::{OPEN, Plan};

const OURS: &str = "anonymous@127.0.0.1";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A server that answers every call by what it was shown.
async fn server() -> Recorder {
    Recorder::start(|request| {
        let shown = ["authorization", "x-key"].map(|name| request.header(name).unwrap_or("-").to_owned()).join(" ");
        let result = json!({ "resultType": "complete", "content": [{ "type": "text", "text": shown }] });
        Answer::json(200, &json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result }))
    })
    .await
}

fn upstream_elsewhere(server: &Recorder) -> String {
    server.url("/mcp").replace("127.0.0.1", "localhost")
}

fn plan(key: &str) -> Plan {
    Plan::default().env("KEY", key).toml("[store.key]\nenv = \"KEY\"")
}

/// With a server `s` of the store's, described so beside its URL.
async fn managed(plan: Plan, server: &Recorder, more: Value) -> Managed {
    let managed = started(plan);
    managed.policy("p", OPEN).await;
    let mut document = json!({ "url": server.url("/mcp") });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    managed.put("s", document, Some("p")).await;
    managed.refresh().await;
    managed
}

impl Managed {
    /// As the API does it.
    async fn seal(&self, agent: Option<&str>, kind: &str, value: Value) -> Result<Credential, String> {
        let sealed = self.control.seal_credential("s", agent, kind, &value).await;
        sealed.map_err(|fault| fault.to_string())?.ok_or_else(|| "no key".to_owned())
    }

    async fn keep(&self, id: &str, credential: Credential) {
        match self.store.get::<Credential>(id).await {
            Ok(_) => self.store.replace(id, credential, None).await.unwrap(),
            Err(_) => self.store.create(id, credential).await.unwrap(),
        };
    }

    async fn credential(&self, id: &str, agent: Option<&str>, kind: &str, value: Value) {
        self.keep(id, self.seal(agent, kind, value).await.unwrap()).await;
        self.refresh().await;
    }

    async fn shown(&self) -> String {
        let answer = self.modern("s").call("a", json!({})).await;
        match answer["error"].is_null() {
            true => answer["result"]["content"][0]["text"].as_str().unwrap().to_owned(),
            false => answer["error"]["message"].as_str().unwrap().to_owned(),
        }
    }
}

#[tokio::test]
async fn a_credential_of_the_store_is_shown_from_the_next_request_on() {
    let server = server().await;
    let managed = managed(plan(KEY), &server, json!({})).await;
    assert_eq!(managed.shown().await, "- -");
    managed.credential("c", None, "headers", json!({ "Authorization": "Bearer one" })).await;
    assert_eq!(managed.shown().await, "Bearer one -");
    managed.credential("c", None, "headers", json!({ "Authorization": "Bearer two", "X-Key": "k" })).await;
    assert_eq!(managed.shown().await, "Bearer two k");
    managed.credential("own", Some(OURS), "headers", json!({ "Authorization": "Bearer own" })).await;
    assert_eq!(managed.shown().await, "Bearer own k", "in place of everybody's, beside the rest of that");
    managed.credential("others", Some("somebody"), "headers", json!({ "X-Key": "theirs" })).await;
    assert_eq!(managed.shown().await, "Bearer own k");
    managed.store.delete::<Credential>("own", None).await.unwrap();
    managed.store.delete::<Credential>("c", None).await.unwrap();
    managed.refresh().await;
    assert_eq!(managed.shown().await, "- -");
}

/// Nobody calls `refresh`: another node wrote.
#[tokio::test]
async fn what_another_node_keeps_is_shown_by_itself() {
    let server = server().await;
    let managed = managed(plan(KEY), &server, json!({})).await;
    let sealed = managed.seal(None, "headers", json!({ "X-Key": "k" })).await.unwrap();
    let url = format!("sqlite:{}", managed.gate.store_file().display());
    Store::open(&url).await.unwrap().create("c", sealed).await.unwrap();
    testkit::patiently("the credential", async { while managed.shown().await != "- k" {} }).await;
}

#[tokio::test]
async fn tokens_are_fetched_as_the_store_says_and_kept_as_long_as_it_says_so() {
    let issuer = Recorder::start(|_| {
        Answer::json(200, &json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 }))
    })
    .await;
    let server = server().await;
    let managed = managed(plan(KEY), &server, json!({ "headers": { "X-Key": "k" } })).await;
    let oauth = json!({ "token_url": issuer.url("/token"), "client_id": "gate", "client_secret": "CANARY-secret" });
    managed.credential("c", None, "oauth", oauth).await;
    assert_eq!(managed.shown().await, "Bearer t k");
    managed.policy("other", OPEN).await;
    managed.refresh().await;
    assert_eq!(managed.shown().await, "Bearer t k");
    assert_eq!(issuer.requests().len(), 1, "another change is no reason to ask again");
    let kept = managed.store.get::<Credential>("c").await.unwrap().value;
    assert_eq!(kept.hint, format!("client `gate` at {}", issuer.url("/token").trim_start_matches("http://")));
    assert!(!format!("{kept:?}").contains("CANARY"));
    managed.gate.until(|ready| ready.starts_with("ready")).await;
    assert!(!format!("{:?}{:?}", managed.control.servers(), managed.gate.journal()).contains("CANARY"));
}

#[tokio::test]
async fn where_a_credential_cannot_be_opened_nothing_is_sent() {
    let server = server().await;
    let managed = managed(plan(KEY), &server, json!({ "headers": { "X-Key": "k" } })).await;
    managed.credential("c", None, "headers", json!({ "Authorization": "Bearer good" })).await;
    assert_eq!(managed.shown().await, "Bearer good k");
    let good = managed.store.get::<Credential>("c").await.unwrap().value;
    let elsewhere = Vault::read(OTHER).unwrap();
    let seal = |agent: &str, kind: &str, text: &str| {
        elsewhere.seal(&["credential", "s", agent, kind], text.as_bytes()).unwrap()
    };
    let forged = Vault::read(KEY).unwrap().seal(&["credential", "t", "", "headers"], b"{\"X-Key\":\"of t\"}").unwrap();
    let before = server.requests().len();
    for (sealed, why) in [
        (seal("", "headers", "{\"A\":\"b\"}"), "a key that is not among ours"),
        (forged, "another's"),
        (b"\x01".to_vec(), "changed"),
        (Vec::new(), "changed"),
    ] {
        managed.keep("c", Credential { sealed, ..good.clone() }).await;
        managed.refresh().await;
        assert_eq!(managed.shown().await, "upstream failed", "{why}");
        let ready = managed.gate.admin("/readyz").await;
        let said = String::from_utf8(ready.body).unwrap();
        assert_eq!(ready.status, 503, "{said}");
        assert!(said.contains("the credential of `s` cannot be used") && said.contains(why), "{said}");
    }
    assert_eq!(server.requests().len(), before, "neither without it, nor with what was shown before");
    let record = managed.gate.journal().into_iter().rfind(|record| record["kind"] == "outcome").unwrap();
    assert!(record["error"].as_str().unwrap().contains("a credential cannot be used"), "{record}");

    // One agent's: others are not concerned.
    managed.keep("c", good).await;
    let sealed = seal("somebody", "headers", "{}");
    let (agent, kind) = (Some("somebody".to_owned()), "headers".to_owned());
    managed.keep("own", Credential { server: "s".to_owned(), agent, kind, sealed, hint: String::new() }).await;
    managed.refresh().await;
    assert_eq!(managed.shown().await, "Bearer good k");
    assert!(managed.gate.ready().await.contains("`s for somebody`"));
    managed.store.delete::<Credential>("own", None).await.unwrap();
    managed.refresh().await;
    assert!(managed.gate.ready().await.starts_with("ready\n"));
}

#[tokio::test]
async fn without_a_key_nothing_is_sealed_and_what_is_sealed_is_not_done_without() {
    let server = server().await;
    let managed = managed(Plan::default(), &server, json!({})).await;
    let kept = managed.seal(None, "headers", json!({ "X-Key": "k" })).await;
    assert_eq!(kept.unwrap_err(), "no key");
    let sealed = Vault::read(KEY).unwrap().seal(&["credential", "s", "", "headers"], b"{\"X-Key\":\"k\"}").unwrap();
    let (server_id, kind) = ("s".to_owned(), "headers".to_owned());
    managed.keep("c", Credential { server: server_id, agent: None, kind, sealed, hint: String::new() }).await;
    managed.refresh().await;
    assert_eq!(managed.shown().await, "upstream failed");
    assert!(managed.gate.ready().await.contains("there is no `store.key` here"));
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn what_could_not_be_used_is_refused_before_it_is_kept() {
    let (server, files) = (server().await, server().await);
    let file = "[servers.f]\npolicy = \"p.json\"\nheaders = { Authorization = \"Bearer file\" }\n[servers.f.agents.ci.headers]\nX-Key = \"k\"\n";
    let plan = plan(KEY).toml(&format!("{file}[servers.f2]\nurl = \"{}\"\npolicy = \"p.json\"", files.url("/mcp")));
    let plan = plan.policy("p.json", OPEN).set("servers.f.url", &files.url("/mcp"));
    let managed = managed(plan, &server, json!({ "headers": { "X-Key": "CANARY" } })).await;
    let oauth = json!({ "token_url": "https://id.example/token", "client_id": "g", "client_secret": "CANARY" });
    let mut plain = oauth.clone();
    plain["token_url"] = json!("http://id.example/token");
    let mut more = oauth.clone();
    more["client_secrt"] = json!("CANARY");
    let none = None::<&str>;
    for (whose, agent, kind, value, why) in [
        ("s", none, "headers", json!({ "x-key": "CANARY" }), "has the header `x-key` already"),
        ("s", none, "headers", json!({}), "says nothing"),
        ("s", none, "headers", json!({ "Host": "CANARY" }), "is a header that the gateway writes itself"),
        ("s", none, "headers", json!({ "A": { "file": "/etc/hostname" } }), "only the configuration file may"),
        ("s", none, "headers", json!({ "A": { "env": "KEY" } }), "only the configuration file may"),
        ("s", none, "headers", json!({ "A": ["CANARY"] }), "must be a string"),
        ("s", none, "headers", json!("CANARY"), "is not an object"),
        ("s", none, "tokens", json!({ "A": "CANARY" }), "is no kind of credential"),
        ("s", none, "oauth", json!({ "token_url": "https://id.example" }), "`servers.s.oauth.client_id` is missing"),
        ("s", none, "oauth", plain, "must be https"),
        ("s", none, "oauth", more, "there is no setting `servers.s.oauth.client_secrt`"),
        ("nobody", none, "headers", json!({ "A": "CANARY" }), "a server that is neither in force nor kept"),
        ("f", none, "oauth", oauth.clone(), "says already how to authorize"),
        ("f", none, "headers", json!({ "authorization": "CANARY" }), "says already how to authorize"),
        ("f", Some("ci"), "headers", json!({ "X-Key": "CANARY" }), "has the header `x-key` already"),
    ] {
        let said = managed.control.seal_credential(whose, agent, kind, &value).await.unwrap_err().to_string();
        assert!(said.contains(why) && !said.contains("CANARY"), "{said}");
    }
    for (whose, agent, kind, value) in [
        ("s", none, "oauth", oauth.clone()),
        ("f", Some("ci"), "oauth", oauth),
        ("f", none, "headers", json!({ "X-Key": "k" })),
        ("f2", none, "headers", json!({ "Authorization": "Bearer x" })),
    ] {
        let kept = managed.control.seal_credential(whose, agent, kind, &value).await;
        assert!(kept.as_ref().is_ok_and(Option::is_some), "{whose} {agent:?} {kind}: {kept:?}");
    }
}

#[tokio::test]
async fn a_server_is_not_described_so_that_its_credential_is_of_no_use() {
    let server = server().await;
    let managed = managed(plan(KEY), &server, json!({})).await;
    managed.credential("c", None, "headers", json!({ "X-Key": "k" })).await;
    let document = json!({ "url": server.url("/mcp"), "headers": { "X-Key": "other" } });
    let described = store::Server { document, policy: Some("p".to_owned()), enabled: true };
    let why = managed.control.check_server("s", &described).await.unwrap_err().to_string();
    assert!(why.contains("the store's credential cannot be both"), "{why}");
    let moved = json!({ "url": upstream_elsewhere(&server) });
    let moved = store::Server { document: moved, policy: Some("p".to_owned()), enabled: true };
    let why = managed.control.check_server("s", &moved).await.unwrap_err().to_string();
    assert!(why.contains("is moved"), "{why}");
    // Another node did not know of the credential yet.
    managed.store.replace("s", described, None).await.unwrap();
    managed.refresh().await;
    assert_eq!(managed.shown().await, "upstream failed", "which of the two was meant, nobody knows");
}

/// Whoever moves it, and however: what is sealed says where it may be shown.
#[tokio::test]
async fn a_credential_does_not_go_along_to_another_place() {
    let (server, other) = (server().await, server().await);
    let managed = managed(plan(KEY), &server, json!({})).await;
    managed.credential("c", None, "headers", json!({ "X-Key": "k" })).await;
    assert_eq!(managed.shown().await, "- k");
    let before = server.requests().len();
    let url = server.url("/mcp");
    for document in [
        json!({ "url": other.url("/mcp") }),
        json!({ "url": server.url("/other") }),
        json!({ "url": upstream_elsewhere(&server) }),
        json!({ "url": url, "resolve": { "elsewhere.test": "127.0.0.1" } }),
        json!({ "url": url, "transport": "streamable-http" }),
        json!({ "url": url.replace("http:", "https:"), "tls": { "server_name": "elsewhere.test" } }),
    ] {
        managed.put("s", document.clone(), Some("p")).await;
        managed.refresh().await;
        assert_eq!(managed.shown().await, "upstream failed", "{document}");
        let ready = managed.gate.ready().await;
        assert!(ready.contains("the credential of `s` cannot be used") && ready.contains("another address"), "{ready}");
    }
    assert_eq!((server.requests().len(), other.requests().len()), (before, 0));
    // Where it was given for it is good again, in another spelling too, and after a change that moves nothing.
    managed.put("s", json!({ "url": url, "networks": ["127.0.0.1"] }), Some("p")).await;
    managed.refresh().await;
    assert_eq!(managed.shown().await, "- k");

    // Given while the server is switched off: for where its description says that it will be.
    let document = json!({ "url": url });
    let off = store::Server { document: document.clone(), policy: Some("p".to_owned()), enabled: false };
    managed.store.replace("s", off, None).await.unwrap();
    managed.refresh().await;
    managed.credential("c", None, "headers", json!({ "X-Key": "off" })).await;
    managed.put("s", document, Some("p")).await;
    managed.refresh().await;
    assert_eq!(managed.shown().await, "- off");
}

#[tokio::test]
async fn a_node_whose_key_opens_nothing_says_so() {
    let server = server().await;
    let managed = managed(plan(KEY), &server, json!({})).await;
    assert!(!managed.control.has_another_key().await);
    let sealed = Vault::read(OTHER).unwrap().seal(&["credential", "s", "", "headers"], b"{}").unwrap();
    let (server, kind, hint) = ("s".to_owned(), "headers".to_owned(), String::new());
    managed.keep("c", Credential { server, agent: None, kind, sealed, hint }).await;
    managed.refresh().await;
    assert!(managed.control.has_another_key().await);
    // One that opens, and the key is not a wrong one: the other credential is only lost.
    managed.credential("own", Some("ci"), "headers", json!({ "X-Key": "k" })).await;
    assert!(!managed.control.has_another_key().await);
}

#[tokio::test]
async fn a_key_is_replaced_while_gateways_run() {
    let server = server().await;
    let managed = managed(plan(&format!("{KEY}\n{OTHER}\n")), &server, json!({})).await;
    managed.credential("c", None, "headers", json!({ "X-Key": "k" })).await;
    let (rotated, new) = (Vault::read(&format!("{OTHER} {KEY}")).unwrap(), Vault::read(OTHER).unwrap());
    let good = managed.store.get::<Credential>("c").await.unwrap().value;
    // One that no key opens, and one that the first key sealed for another server.
    let another = rotated.seal(&["credential", "t", "", "headers"], b"{}").unwrap();
    for (id, agent, sealed) in [("lost", "a", vec![1; 60]), ("moved", "b", another)] {
        let lost = Credential { sealed, agent: Some(agent.to_owned()), ..good.clone() };
        managed.store.create(id, lost).await.unwrap();
    }
    let about = &["credential", "s", "", "headers"][..];
    let kept = || async { managed.store.get::<Credential>("c").await.unwrap().value.sealed };
    assert!(new.open(about, &kept().await).is_err());
    let lost = vec!["lost".to_owned(), "moved".to_owned()];
    let done = reseal(&managed.store, &rotated).await.unwrap();
    assert_eq!(done, Resealed { sealed: 1, kept: 0, lost: lost.clone() });
    assert!(new.open(about, &kept().await).is_ok(), "the old key is no longer needed");
    managed.refresh().await;
    assert_eq!(managed.shown().await, "- k");
    assert_eq!(reseal(&managed.store, &rotated).await.unwrap(), Resealed { sealed: 0, kept: 1, lost });
}

#[tokio::test]
async fn what_agents_and_credentials_the_store_has_is_on_record() {
    let server = server().await;
    let managed = managed(plan(KEY), &server, json!({})).await;
    let agent = store::Agent { labels: [].into(), servers: None, policies: [].into(), enabled: true };
    managed.store.create("ci", agent.clone()).await.unwrap();
    managed.refresh().await;
    managed.store.replace("ci", store::Agent { enabled: false, ..agent }, None).await.unwrap();
    managed.credential("c", Some("ci"), "headers", json!({ "X-Key": "CANARY" })).await;
    managed.store.delete::<store::Agent>("ci", None).await.unwrap();
    managed.refresh().await;
    let changes = testkit::patiently("the records", async {
        loop {
            let mut changes = managed.gate.journal();
            changes.retain(|record| matches!(record["what"].as_str(), Some("agent" | "credential")));
            if changes.len() >= 5 {
                return changes;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let told = changes.iter().map(|change| {
        let there = |end: &str| if change[end].is_string() { "+" } else { "-" };
        assert!(change["who"].as_str().unwrap().starts_with("store, revision"), "{change}");
        let text = |member: &str| change[member].as_str().unwrap();
        format!("{} {} {}{}", text("what"), text("id"), there("from"), there("to"))
    });
    // The credential of an agent goes with it.
    let expected = ["agent ci -+", "agent ci ++", "credential s for ci -+", "agent ci +-", "credential s for ci +-"];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert!(!format!("{changes:?}").contains("CANARY"));
}

#[test]
fn a_key_is_in_a_file_or_in_a_variable_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toolgate.toml");
    std::fs::write(folder.path().join("key"), format!("{KEY}\n{OTHER}\n")).unwrap();
    let load = |toml: &str| {
        std::fs::write(&file, toml).unwrap();
        let env = [("KEY", KEY), ("SHORT", "CANARY"), ("TWO", &format!("{KEY}\nCANARY"))];
        let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Config::load(&Layers { file: ConfigFile::Required(file.clone()), env, flags: Vec::new() })
    };
    for good in ["store.key = { file = \"key\" }", "[store.key]\nenv = \"KEY\""] {
        let config = load(good).unwrap();
        assert!(config.store.key.is_some(), "{good}");
        assert!(!format!("{config:?}{}", config.print()).contains(KEY), "{good}");
    }
    for (bad, why) in [
        (format!("store.key = \"{KEY}\""), "never the key itself"),
        ("store.key = { file = \"key\", env = \"KEY\" }".to_owned(), "must be one"),
        ("store.key = { env = \"SHORT\" }".to_owned(), "must be 32 random bytes"),
        ("store.key = { env = \"TWO\" }".to_owned(), "must be 32 random bytes"),
        ("store.key = { env = \"NONE\" }".to_owned(), "which is not set"),
        ("store.key = { file = \"none\" }".to_owned(), "cannot be read"),
        (format!("store.key = {{ value = \"{KEY}\" }}"), "must be one"),
        ("store.key = 7".to_owned(), "must be one"),
    ] {
        let error = load(&bad).unwrap_err().to_string();
        assert!(error.contains("`store.key`") && error.contains(why), "{bad}: {error}");
        assert!(!error.contains(KEY) && !error.contains("CANARY"), "{error}");
    }
}
