//! Tokens, good and bad, before a verifier with a real issuer on loopback.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::{Issuer, SigningKey, patiently};
use tokio::task::JoinHandle;

use super::issuer::GAP;
use super::{Invalid, Now, Verifier};
use crate::config::{self, Jwt, KeySource};
use crate::tls::Tls;

const MOUNT: &str = "https://gate.example/mcp/s";

/// A verifier that trusts one issuer, and fetches its keys.
struct Trusting {
    verifier: Verifier,
    keepers: Vec<JoinHandle<()>>,
}

impl Drop for Trusting {
    fn drop(&mut self) {
        self.keepers.iter().for_each(JoinHandle::abort);
    }
}

fn rules(issuer: &Issuer) -> config::Issuer {
    config::Issuer {
        name: "corp".into(),
        issuer: issuer.url().into(),
        keys: KeySource::Url(format!("{}/keys", issuer.url()).parse().unwrap()),
        algorithms: ["RS256", "PS256", "ES256", "EdDSA"].map(|name| super::algorithm(name).unwrap()).into(),
        types: vec!["at+jwt".into(), "jwt".into()],
        audience: Vec::new(),
        agent: "sub".into(),
        prefix: "corp:".into(),
        labels: BTreeMap::new(),
        networks: Vec::new(),
        tls: None,
    }
}

fn trusting(issuers: Vec<config::Issuer>) -> Trusting {
    let span = Duration::from_secs;
    let jwt = Jwt { issuers, scopes: BTreeMap::new(), leeway: span(30), refresh: span(300), keep: span(3600) };
    let verifier = Verifier::new(&jwt, &Tls::of_system().unwrap()).unwrap();
    let keepers = verifier.keepers().map(tokio::spawn).collect();
    Trusting { verifier, keepers }
}

impl Trusting {
    async fn says(&self, token: &str) -> String {
        self.says_at(token, Now::read()).await
    }

    async fn says_at(&self, token: &str, now: Now) -> String {
        match patiently("a verdict", self.verifier.verify(token, MOUNT, now)).await {
            Ok(bearer) => bearer.agent.into(),
            Err(why) => why.to_string(),
        }
    }
}

fn with(value: &Value, changes: Value) -> Value {
    let mut value = value.clone();
    let Value::Object(changes) = changes else { panic!("an object") };
    for (name, change) in changes {
        if change.is_null() {
            value.as_object_mut().unwrap().remove(&name);
        } else {
            value[name] = change;
        }
    }
    value
}

#[tokio::test]
async fn what_makes_a_token_bad() {
    let issuer = Issuer::start().await;
    let (rsa, ec, ed) = (SigningKey::rsa("r"), SigningKey::ec("e"), SigningKey::ed("d"));
    let encrypting = with(&SigningKey::ec("enc").jwk(), json!({ "use": "enc" }));
    issuer.publish_set(vec![rsa.jwk(), ec.jwk(), ed.jwk(), encrypting]);
    let trusting = trusting(vec![rules(&issuer)]);
    let mut misses = Vec::new();
    let mut note = |said: String, expected: &str, about: &dyn std::fmt::Display| {
        if said != expected {
            misses.push(format!("{about}: {said}, expected {expected}"));
        }
    };
    let good = issuer.claims(MOUNT);
    let now = good["iat"].as_i64().unwrap();
    for key in [&rsa, &ec, &ed] {
        note(trusting.says(&key.sign(&good)).await, "corp:alice", &key.algorithm());
    }

    // Claims.
    for (changes, expected) in [
        (json!({ "iss": "https://evil.example" }), "the token's issuer is not one that this gateway trusts"),
        (json!({ "iss": format!("{}/", issuer.url()) }), "the token's issuer is not one that this gateway trusts"),
        (json!({ "iss": [issuer.url()] }), "the token's issuer is not one that this gateway trusts"),
        (json!({ "iss": null }), "the token's issuer is not one that this gateway trusts"),
        (json!({ "aud": "https://gate.example/mcp/other" }), "the token is for another audience"),
        (json!({ "aud": "https://gate.example/mcp" }), "the token is for another audience"),
        (json!({ "aud": "https://gate.example/mcp/s/" }), "the token is for another audience"),
        (json!({ "aud": ["https://gate.example", "x"] }), "the token is for another audience"),
        (json!({ "aud": { MOUNT: true } }), "the token is for another audience"),
        (json!({ "aud": [MOUNT, 7] }), "the token is for another audience"),
        (json!({ "aud": [] }), "the token is for another audience"),
        (json!({ "aud": null }), "the token is for another audience"),
        (json!({ "aud": ["x", MOUNT] }), "corp:alice"),
        (json!({ "exp": null }), "the token says nothing of when it expires"),
        (json!({ "exp": now - 40 }), "the token has expired"),
        (json!({ "exp": now - 20 }), "corp:alice"),
        (json!({ "exp": now as f64 + 9.5 }), "corp:alice"),
        (json!({ "exp": 0 }), "the token has expired"),
        (json!({ "exp": -1 }), "the token has expired"),
        (json!({ "exp": (now + 600).to_string() }), "a part of the token is not a JSON object that all read alike"),
        (json!({ "exp": true }), "a part of the token is not a JSON object that all read alike"),
        (json!({ "nbf": now + 60 }), "the token is not valid yet"),
        (json!({ "nbf": now + 20 }), "corp:alice"),
        (json!({ "nbf": null, "iat": null }), "corp:alice"),
        (json!({ "nbf": "0" }), "a part of the token is not a JSON object that all read alike"),
        (json!({ "iat": now + 60 }), "the token was issued in the future"),
        (json!({ "iat": now + 20 }), "corp:alice"),
        (json!({ "sub": null }), "the token does not say whose it is"),
        (json!({ "sub": "" }), "the token does not say whose it is"),
        (json!({ "sub": 7 }), "the token does not say whose it is"),
        (json!({ "sub": ["alice"] }), "the token does not say whose it is"),
        (json!({ "sub": "al\nice" }), "the token does not say whose it is"),
        (json!({ "sub": "a".repeat(300) }), "the token does not say whose it is"),
        (json!({ "cnf": { "jkt": "x" } }), "the token is bound to its holder in a way that this gateway cannot check"),
        (
            json!({ "cnf": { "x5t#S256": "x" } }),
            "the token is bound to its holder in a way that this gateway cannot check",
        ),
        (
            json!({ "cnf": { "x5t#S256": "A".repeat(43), "jkt": "x" } }),
            "the token is bound to its holder in a way that this gateway cannot check",
        ),
        (json!({ "cnf": true }), "the token is bound to its holder in a way that this gateway cannot check"),
    ] {
        note(trusting.says(&ec.sign(&with(&good, changes.clone()))).await, expected, &changes);
    }

    // The header.
    let claims = good.to_string();
    let none =
        format!("{}.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), BASE64_URL_SAFE_NO_PAD.encode(&claims));
    note(trusting.says(&none).await, "the token does not have the three parts of a signed JWT", &"");
    for (changes, expected) in [
        (json!({ "alg": "none" }), "the token's algorithm is not one that is accepted from its issuer"),
        (json!({ "alg": "None" }), "the token's algorithm is not one that is accepted from its issuer"),
        (json!({ "alg": "HS256" }), "the token's algorithm is not one that is accepted from its issuer"),
        (json!({ "alg": "es256" }), "the token's algorithm is not one that is accepted from its issuer"),
        (json!({ "alg": "ES384" }), "the token's algorithm is not one that is accepted from its issuer"),
        (json!({ "alg": "ES256K" }), "the token's algorithm is not one that is accepted from its issuer"),
        (json!({ "alg": ["ES256"] }), "the token's algorithm is not one that is accepted from its issuer"),
        (json!({ "alg": null }), "the token's algorithm is not one that is accepted from its issuer"),
        (json!({ "alg": "RS256" }), "the token's key is for another algorithm"),
        (json!({ "alg": "EdDSA" }), "the token's key is for another algorithm"),
        (json!({ "typ": "id+jwt" }), "the token's `typ` is not that of an access token"),
        (json!({ "typ": "logout+jwt" }), "the token's `typ` is not that of an access token"),
        (json!({ "typ": null }), "the token's `typ` is not that of an access token"),
        (json!({ "typ": 1 }), "the token's `typ` is not that of an access token"),
        (json!({ "typ": "JWT" }), "corp:alice"),
        (json!({ "typ": "application/AT+JWT" }), "corp:alice"),
        (
            json!({ "crit": ["b64"], "b64": false }),
            "the token has a `crit` header, of which this gateway knows no extension",
        ),
        (json!({ "crit": [] }), "the token has a `crit` header, of which this gateway knows no extension"),
        (json!({ "kid": "other" }), "the token is signed with a key that its issuer does not have"),
        (json!({ "kid": "enc" }), "the token is signed with a key that its issuer does not have"),
        (json!({ "kid": "r" }), "the token's key is for another algorithm"),
        (json!({ "kid": null }), "corp:alice"), // the only key for ES256
        (json!({ "jwk": SigningKey::ec("e").jwk(), "jku": "http://127.0.0.1:1/" }), "corp:alice"),
    ] {
        let token = ec.sign_text(&with(&ec.head(), changes.clone()).to_string(), &claims);
        note(trusting.says(&token).await, expected, &changes);
    }
    note(
        trusting.says(&rsa.by("PS256").sign(&good)).await,
        "the token's key is for another algorithm",
        &"it is RS256's",
    );

    // Whoever brings his own key.
    let (mallory, head) =
        (SigningKey::ec("e"), json!({ "alg": "ES256", "kid": "e", "typ": "JWT", "jwk": SigningKey::ec("e").jwk() }));
    note(trusting.says(&mallory.sign(&good)).await, "the token's signature is wrong", &"");
    note(trusting.says(&mallory.sign_text(&head.to_string(), &claims)).await, "the token's signature is wrong", &"");

    // The text.
    let (head, token) = (ec.head().to_string(), ec.sign(&good));
    let parts: Vec<&str> = token.split('.').collect();
    let twice = claims.replacen('{', r#"{"sub":"mallory","#, 1);
    let deep = claims.replacen('{', r#"{"x":[{"a":1,"\u0061":2}],"#, 1);
    let changed = BASE64_URL_SAFE_NO_PAD.encode(with(&good, json!({ "sub": "mallory" })).to_string());
    for (token, expected) in [
        (ec.sign_text(&head, &twice), "a part of the token is not a JSON object that all read alike"),
        (ec.sign_text(&head, &deep), "a part of the token is not a JSON object that all read alike"),
        (
            ec.sign_text(&head.replacen('{', r#"{"kid":"x","#, 1), &claims),
            "a part of the token is not a JSON object that all read alike",
        ),
        (
            ec.sign_text(&head, &format!("{claims} {{}}")),
            "a part of the token is not a JSON object that all read alike",
        ),
        (ec.sign_text(&head, &format!("[{claims}]")), "a part of the token is not a JSON object that all read alike"),
        (ec.sign_text(&head, "claims"), "a part of the token is not a JSON object that all read alike"),
        (
            ec.sign_text(&head, &format!("\u{feff}{claims}")),
            "a part of the token is not a JSON object that all read alike",
        ),
        (
            ec.sign_text(&head, &claims.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(16_000)), 1)),
            "the token is larger than 16384 bytes",
        ),
        (format!("{}.{changed}.{}", parts[0], parts[2]), "the token's signature is wrong"),
        (
            format!("{}.{}.{}", parts[0], parts[1], BASE64_URL_SAFE_NO_PAD.encode([0; 64])),
            "the token's signature is wrong",
        ),
        (format!("{token}="), "the token's signature is wrong"),
        (format!("{}=.{}.{}", parts[0], parts[1], parts[2]), "a part of the token is not base64url"),
        (format!("{}.{}.", parts[0], parts[1]), "the token does not have the three parts of a signed JWT"),
        (format!(".{}.{}", parts[1], parts[2]), "the token does not have the three parts of a signed JWT"),
        (format!("{}.{}", parts[0], parts[1]), "the token does not have the three parts of a signed JWT"),
        (format!("{token}.x.y"), "the token does not have the three parts of a signed JWT"),
        (String::new(), "the token does not have the three parts of a signed JWT"),
        (format!("{token}\n"), "the token's signature is wrong"),
    ] {
        note(trusting.says(&token).await, expected, &token);
    }
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

#[tokio::test]
async fn the_public_key_is_no_secret_to_sign_with() {
    use aws_lc_rs::hmac;
    let issuer = Issuer::start().await;
    let rsa = SigningKey::rsa("r");
    // Even a set that has a secret among its keys.
    issuer.publish_set(vec![rsa.jwk(), json!({ "kty": "oct", "kid": "h", "alg": "HS256", "k": "c2VjcmV0" })]);
    let trusting = trusting(vec![rules(&issuer)]);
    let jwk = rsa.jwk();
    for (kid, secret) in [("r", jwk["n"].as_str().unwrap().as_bytes()), ("h", b"secret")] {
        let head = json!({ "alg": "HS256", "kid": kid, "typ": "JWT" }).to_string();
        let [head, claims] = [head, issuer.claims(MOUNT).to_string()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{head}.{claims}");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        let token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(trusting.says(&token).await, Invalid::Algorithm.to_string());
        let as_rsa = token.replacen(
            &head,
            &BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256", "kid": kid, "typ": "JWT" }).to_string()),
            1,
        );
        assert_ne!(trusting.says(&as_rsa).await, "corp:alice");
    }
}

#[tokio::test]
async fn what_claims_become() {
    let issuer = Issuer::start().await;
    let key = SigningKey::ec("e");
    issuer.publish([&key]);
    let labels = [
        ("team", "groups.0"),
        ("org", "org.name"),
        ("site", "https://corp.example/site"),
        ("level", "level"),
        ("none", "groups.9"),
        ("table", "org"),
        ("deep", "org.x.y.z"),
    ];
    let labels = labels.map(|(label, path)| (label.into(), path.into())).into();
    let rules =
        config::Issuer { agent: "act.client_id".into(), labels, audience: vec!["toolgate".into()], ..rules(&issuer) };
    let trusting = trusting(vec![rules]);
    let claims = json!({
        "aud": "toolgate", "act": { "client_id": "robot" }, "groups": ["sre", "dev"], "org": { "name": "it", "x": { "y.z": "odd" } }, "level": 3,
        "https://corp.example/site": "berlin", "scope": "tools:read  tools:call", "cnf": { "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode([7; 32]) },
    });
    let token = key.sign(&with(&issuer.claims(MOUNT), claims.clone()));
    let bearer = trusting.verifier.verify(&token, MOUNT, Now::read()).await.unwrap();
    assert_eq!(&*bearer.agent, "corp:robot");
    let labels: Vec<(&str, &str)> = bearer.labels.iter().map(|(label, value)| (&**label, &**value)).collect();
    assert_eq!(labels, [("deep", "odd"), ("level", "3"), ("org", "it"), ("site", "berlin"), ("team", "sre")]);
    assert_eq!(bearer.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(), ["tools:call", "tools:read"]);
    assert_eq!(bearer.certificate, Some([7; 32]));
    let token = key.sign(&with(&issuer.claims(MOUNT), with(&claims, json!({ "scope": null, "scp": ["a", "b"] }))));
    let bearer = trusting.verifier.verify(&token, MOUNT, Now::read()).await.unwrap();
    assert_eq!(bearer.scopes.len(), 2);
}

#[tokio::test]
async fn keys_change_without_a_call_that_fails() {
    let issuer = Issuer::start().await;
    let (old, new) = (SigningKey::ec("old"), SigningKey::ed("new"));
    issuer.publish([&old]);
    let trusting = trusting(vec![rules(&issuer)]);
    let claims = issuer.claims(MOUNT);
    assert_eq!(trusting.says(&old.sign(&claims)).await, "corp:alice");
    issuer.publish([&old, &new]);
    let (old_token, new_token) = (old.sign(&claims), new.sign(&claims));
    for _ in 0..20 {
        let (a, b) = tokio::join!(trusting.says(&old_token), trusting.says(&new_token));
        assert_eq!((a.as_str(), b.as_str()), ("corp:alice", "corp:alice"));
    }
    assert_eq!(issuer.fetches(), 2);
    issuer.publish([&new]);
    // What made us look again was another key: by then the old one is gone.
    let later = Now { at: Now::read().at + GAP, ..Now::read() };
    assert_ne!(trusting.says_at(&SigningKey::ec("x").sign(&claims), later).await, "corp:alice");
    assert_ne!(trusting.says_at(&old_token, later).await, "corp:alice");
    assert_eq!(trusting.says_at(&new_token, later).await, "corp:alice");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_once() {
    let issuer = Issuer::start().await;
    let key = SigningKey::ec("e");
    issuer.publish([&key]);
    let trusting = trusting(vec![rules(&issuer)]);
    let claims = issuer.claims(MOUNT);
    assert_eq!(trusting.says(&key.sign(&claims)).await, "corp:alice");
    assert_eq!(issuer.fetches(), 1);
    let stranger = SigningKey::ec("e");
    let flood: Vec<String> = (0..500)
        .map(|n| {
            stranger
                .sign_text(&with(&stranger.head(), json!({ "kid": format!("k{n}") })).to_string(), &claims.to_string())
        })
        .collect();
    let now = Now::read();
    let verdicts = flood.iter().map(|token| trusting.says_at(token, now));
    for verdict in futures_util::future::join_all(verdicts).await {
        assert_eq!(verdict, "the token is signed with a key that its issuer does not have");
    }
    assert_eq!(issuer.fetches(), 2);
    let later = Now { at: now.at + GAP, ..now };
    assert_ne!(trusting.says_at(&flood[0], later).await, "corp:alice");
    assert_eq!(issuer.fetches(), 3);
    // What cannot pass anyway asks for nothing.
    let later = Now { at: now.at + 2 * GAP, ..now };
    let expired = with(&claims, json!({ "exp": 1 })).to_string();
    trusting
        .says_at(&stranger.sign_text(&with(&stranger.head(), json!({ "kid": "k" })).to_string(), &expired), later)
        .await;
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_trusted_for_a_while() {
    let issuer = Issuer::start().await;
    let key = SigningKey::ec("e");
    issuer.publish([&key]);
    let trusting = trusting(vec![rules(&issuer)]);
    let token = key.sign(&with(&issuer.claims(MOUNT), json!({ "exp": 4_000_000_000_u64 })));
    assert_eq!(trusting.says(&token).await, "corp:alice");
    issuer.is_down(true);
    let now = Now::read();
    let after = |seconds| Now { at: now.at + Duration::from_secs(seconds), ..now };
    assert_eq!(trusting.says_at(&token, after(3_500)).await, "corp:alice");
    assert_eq!(
        trusting.says_at(&token, after(3_601)).await,
        "the keys of the token's issuer cannot be had now: try again later"
    );
    issuer.is_down(false);
    assert_ne!(trusting.says_at(&token, after(3_601)).await, "corp:alice", "it was asked just now");
    // It is asked again; that the clock of this test ran ahead does not make the keys old.
    assert!(
        trusting.says_at(&token, after(3_700)).await.contains("cannot be had"),
        "keys are as old as the clock says"
    );
    assert_eq!(trusting.says(&token).await, "corp:alice");
}

#[tokio::test]
async fn an_issuer_that_never_was_there_lets_nobody_in() {
    let issuer = Issuer::start().await;
    let key = SigningKey::ec("e");
    issuer.publish([&key]);
    issuer.is_down(true);
    let trusting = trusting(vec![rules(&issuer)]);
    let token = key.sign(&issuer.claims(MOUNT));
    let why = trusting.verifier.verify(&token, MOUNT, Now::read()).await.unwrap_err();
    assert!(why.is_temporary(), "{why}");
    issuer.is_down(false);
    let later = Now { at: Now::read().at + GAP, ..Now::read() };
    assert_eq!(trusting.says_at(&token, later).await, "corp:alice");
}

#[tokio::test]
async fn keys_are_found_by_what_the_issuer_says_of_itself() {
    let key = SigningKey::ec("e");
    let discovered =
        |issuer: &Issuer| config::Issuer { keys: KeySource::Discovery(issuer.url().parse().unwrap()), ..rules(issuer) };
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    assert_eq!(trusting(vec![discovered(&issuer)]).says(&key.sign(&issuer.claims(MOUNT))).await, "corp:alice");
    // Metadata of another issuer, or that send us to the machine's own services in the clear, are not believed.
    let place = format!("{}/keys", issuer.url());
    let other = Issuer::start().await;
    other.publish([&key]);
    for metadata in [
        json!({ "issuer": "https://id.example", "jwks_uri": place }),
        json!({ "issuer": format!("{}/", issuer.url()), "jwks_uri": place }),
        json!({ "jwks_uri": place }),
        json!({ "issuer": issuer.url() }),
        json!({ "issuer": issuer.url(), "jwks_uri": format!("{}/keys", other.url()) }),
        json!({ "issuer": issuer.url(), "jwks_uri": format!("{}/keys", other.url()).replace("http", "https") }),
    ] {
        issuer.says_of_itself(metadata.clone());
        let verdict = trusting(vec![discovered(&issuer)]).says(&key.sign(&issuer.claims(MOUNT))).await;
        assert_eq!(verdict, "the keys of the token's issuer cannot be had now: try again later", "{metadata}");
    }
    assert_eq!(other.fetches(), 0);
}

#[tokio::test]
async fn a_key_set_can_be_a_file() {
    let (folder, key) = (tempfile::tempdir().unwrap(), SigningKey::rsa("e"));
    let file = folder.path().join("keys.json");
    std::fs::write(&file, json!({ "keys": [key.jwk()] }).to_string()).unwrap();
    let issuer = Issuer::start().await;
    let rules = config::Issuer { keys: KeySource::File(file.clone()), ..rules(&issuer) };
    let trusting = trusting(vec![rules]);
    let claims = issuer.claims(MOUNT);
    assert_eq!(trusting.says(&key.sign(&claims)).await, "corp:alice");
    let new = SigningKey::ed("new");
    std::fs::write(&file, json!({ "keys": [new.jwk()] }).to_string()).unwrap();
    assert_eq!(trusting.says(&new.sign(&claims)).await, "corp:alice");
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn each_issuer_signs_for_itself() {
    let (one, two) = (Issuer::start().await, Issuer::start().await);
    let (first, second) = (SigningKey::ec("e"), SigningKey::ec("e"));
    one.publish([&first]);
    two.publish([&second]);
    let trusting =
        trusting(vec![rules(&one), config::Issuer { name: "other".into(), prefix: "".into(), ..rules(&two) }]);
    assert_eq!(trusting.says(&first.sign(&one.claims(MOUNT))).await, "corp:alice");
    assert_eq!(trusting.says(&second.sign(&two.claims(MOUNT))).await, "alice");
    assert_eq!(trusting.says(&second.sign(&one.claims(MOUNT))).await, "the token's signature is wrong");
    assert_eq!(trusting.says(&first.sign(&two.claims(MOUNT))).await, "the token's signature is wrong");
}
