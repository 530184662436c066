//! An issuer of access tokens: keys that come and go, and metadata and a key set that say so.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use crate::{Answer, Recorder};

/// A server on loopback. It stops when it is dropped.
pub struct Issuer {
    recorder: Recorder,
    says: Arc<Mutex<Says>>,
}

/// What it serves.
#[derive(Default)]
struct Says {
    keys: Vec<Value>,
    /// Instead of the metadata.
    metadata: Option<Value>,
    /// It answers nothing but 503.
    down: bool,
}

/// A private key and its name.
#[derive(Clone)]
pub struct SigningKey {
    pub kid: String,
    algorithm: Algorithm,
    key: EncodingKey,
    /// As a JWK has it, but for its name.
    public: Value,
}

impl Issuer {
    /// Its key set is at `/keys`, its metadata where OpenID Connect has them.
    pub async fn start() -> Self {
        let says = Arc::new(Mutex::new(Says::default()));
        let told = Arc::clone(&says);
        let recorder = Recorder::start(move |request| {
            let says = told.lock().unwrap();
            let origin = format!("http://{}", request.header("host").unwrap_or_default());
            match request.target.as_str() {
                _ if says.down => Answer::status(503),
                "/keys" => Answer::json(200, &json!({ "keys": says.keys })),
                "/.well-known/openid-configuration" => {
                    let metadata = json!({ "issuer": origin, "jwks_uri": format!("{origin}/keys") });
                    Answer::json(200, says.metadata.as_ref().unwrap_or(&metadata))
                }
                _ => Answer::status(404),
            }
        });
        Self { recorder: recorder.await, says }
    }

    /// What its tokens have as `iss`.
    pub fn url(&self) -> String {
        self.recorder.url("")
    }

    /// Exactly these keys are its keys from now on.
    pub fn publish<'k>(&self, keys: impl IntoIterator<Item = &'k SigningKey>) {
        self.publish_set(keys.into_iter().map(SigningKey::jwk).collect());
    }

    /// Exactly these, however odd they are.
    pub fn publish_set(&self, keys: Vec<Value>) {
        self.says.lock().unwrap().keys = keys;
    }

    /// It says this of itself.
    pub fn says_of_itself(&self, metadata: Value) {
        self.says.lock().unwrap().metadata = Some(metadata);
    }

    pub fn is_down(&self, down: bool) {
        self.says.lock().unwrap().down = down;
    }

    /// How often its keys were asked for.
    pub fn fetches(&self) -> usize {
        self.recorder.requests().iter().filter(|request| request.target == "/keys").count()
    }

    /// Claims of a good token for `audience`, to be changed.
    pub fn claims(&self, audience: &str) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        json!({ "iss": self.url(), "aud": audience, "sub": "alice", "iat": now, "nbf": now, "exp": now + 600 })
    }
}

impl SigningKey {
    /// ES256.
    pub fn ec(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self::new(kid, Algorithm::ES256, EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap())
    }

    /// EdDSA.
    pub fn ed(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA" });
        Self { kid: kid.to_owned(), algorithm: Algorithm::EdDSA, key, public }
    }

    /// RS256.
    pub fn rsa(kid: &str) -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        Self::new(kid, Algorithm::RS256, EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap())
    }

    fn new(kid: &str, algorithm: Algorithm, key: EncodingKey) -> Self {
        let public = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        Self { kid: kid.to_owned(), algorithm, key, public }
    }

    /// The same RSA key, signing by another algorithm.
    pub fn by(&self, algorithm: &str) -> Self {
        Self { algorithm: algorithm.parse().unwrap(), ..self.clone() }
    }

    pub fn algorithm(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// A header that is as it should be, to be changed.
    pub fn head(&self) -> Value {
        json!({ "alg": self.algorithm(), "kid": self.kid, "typ": "at+jwt" })
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_text(&self.head().to_string(), &claims.to_string())
    }

    /// Any header and any claims, whether JSON or not.
    pub fn sign_text(&self, head: &str, claims: &str) -> String {
        let [head, claims] = [head, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{head}.{claims}");
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}
