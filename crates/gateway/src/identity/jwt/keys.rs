//! A JSON Web Key Set (RFC 7517): the keys of it that can verify a signature. What cannot is passed over.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::Invalid;
use super::token::{self, Compact};

/// Keys that one issuer may have. More is no key set.
const MAX_KEYS: usize = 64;

pub(super) struct Keys(Vec<Key>);

#[derive(Clone)]
pub(super) struct Key {
    kid: Option<Box<str>>,
    kind: Kind,
    /// The only algorithm that it is for, if the issuer says so.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why there is no key for a token, though the issuer's keys are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKey {
    #[error("the token is signed with a key that its issuer does not have")]
    Unknown,
    #[error("the token does not say which of its issuer's keys it is signed with")]
    Unnamed,
    #[error("the token's key is for another algorithm")]
    Other,
}

impl Keys {
    /// None if the text is no key set.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let set = token::strict(text)?;
        let keys = set.get("keys")?.as_array().filter(|keys| keys.len() <= MAX_KEYS)?;
        Some(Self(keys.iter().filter_map(Value::as_object).filter_map(Key::parse).collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A token that names no key is signed with the only one that there is for its algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Key, BadKey> {
        let Some(kid) = kid else {
            let mut fitting = self.0.iter().filter(|key| key.suits(algorithm));
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only.clone()),
                _ => Err(BadKey::Unnamed),
            };
        };
        let mut named = self.0.iter().filter(|key| key.kid.as_deref() == Some(kid)).peekable();
        if named.peek().is_none() {
            return Err(BadKey::Unknown);
        }
        named.find(|key| key.suits(algorithm)).cloned().ok_or(BadKey::Other)
    }
}

impl Key {
    fn parse(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let for_signatures = jwk.get("use").is_none_or(|used| used == "sig");
        let verifies =
            jwk.get("key_ops").is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")));
        if !for_signatures || !verifies {
            return None;
        }
        let (kind, key) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (Kind::Rsa, DecodingKey::from_rsa_components(text("n")?, text("e")?)),
            ("EC", Some("P-256")) => (Kind::P256, DecodingKey::from_ec_components(text("x")?, text("y")?)),
            ("EC", Some("P-384")) => (Kind::P384, DecodingKey::from_ec_components(text("x")?, text("y")?)),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, DecodingKey::from_ed_components(text("x")?)),
            _ => return None,
        };
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(named) => Some(token::algorithm(named.as_str()?)?),
        };
        Some(Self { kid: text("kid").map(Into::into), kind, algorithm, key: key.ok()? })
    }

    fn suits(&self, algorithm: Algorithm) -> bool {
        Kind::of(algorithm) == Some(self.kind) && self.algorithm.is_none_or(|only| only == algorithm)
    }

    pub(super) fn verify(&self, compact: &Compact<'_>, algorithm: Algorithm) -> Result<(), Invalid> {
        match jsonwebtoken::crypto::verify(compact.signature, compact.signed.as_bytes(), &self.key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Invalid::Signature),
        }
    }
}

impl Kind {
    fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Some(Self::Rsa),
            Algorithm::ES256 => Some(Self::P256),
            Algorithm::ES384 => Some(Self::P384),
            Algorithm::EdDSA => Some(Self::Ed25519),
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => None,
            // The enum may grow: what is not known is not taken.
            _ => None,
        }
    }
}
