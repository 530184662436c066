//! The compact form: three parts, and what the first one says. Strict, since others read it too: no member twice, no odd base64.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

/// A token beyond this size is refused before anything of it is read.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the token is larger than {MAX_TOKEN} bytes")]
    TooLarge,
    #[error("the token does not have the three parts of a signed JWT")]
    Parts,
    #[error("a part of the token is not base64url")]
    Base64,
    #[error("a part of the token is not a JSON object that all read alike")]
    Json,
    #[error("the token has a `crit` header, of which this gateway knows no extension")]
    Critical,
}

/// A token, cut in three.
pub(super) struct Compact<'t> {
    head: &'t str,
    claims: &'t str,
    /// What is signed: the first two parts as they are.
    pub(super) signed: &'t str,
    pub(super) signature: &'t str,
}

impl<'t> Compact<'t> {
    pub(super) fn split(token: &'t str) -> Result<Self, Malformed> {
        if token.len() > MAX_TOKEN {
            return Err(Malformed::TooLarge);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Malformed::Parts)?;
        let (head, claims) = signed.split_once('.').ok_or(Malformed::Parts)?;
        if claims.contains('.') || [head, claims, signature].iter().any(|part| part.is_empty()) {
            return Err(Malformed::Parts);
        }
        Ok(Self { head, claims, signed, signature })
    }

    pub(super) fn claims(&self) -> Result<Map<String, Value>, Malformed> {
        object(self.claims)
    }
}

/// The JOSE header, but for what it says of keys (`jku`, `jwk`, `x5u`, `x5c`): keys come from the issuer alone.
pub(super) struct Head(Map<String, Value>);

impl Head {
    pub(super) fn read(compact: &Compact<'_>) -> Result<Self, Malformed> {
        let head = object(compact.head)?;
        match head.contains_key("crit") {
            true => Err(Malformed::Critical),
            false => Ok(Self(head)),
        }
    }

    /// None for `none`, for secrets shared by both sides, and for what nobody knows.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        algorithm(self.text("alg")?)
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.text("kid")
    }

    /// Media types are compared without regard to case and with `application/` left out (RFC 7515, 4.1.9); an empty `kind` means none.
    pub(super) fn is_type(&self, kind: &str) -> bool {
        match (self.0.get("typ"), kind.is_empty()) {
            (None, empty) => empty,
            (Some(Value::String(typ)), false) => {
                let typ = typ.to_ascii_lowercase();
                typ.strip_prefix("application/").unwrap_or(&typ) == kind.to_ascii_lowercase()
            }
            (Some(_), _) => false,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}

/// The asymmetric algorithms, by name.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" | "Ed25519" => Algorithm::EdDSA,
        _ => return None,
    })
}

fn object(part: &str) -> Result<Map<String, Value>, Malformed> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::Base64)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Malformed::Json)?;
    strict(text).ok_or(Malformed::Json)
}

/// An object in which no name stands twice, at any depth.
pub(super) fn strict(text: &str) -> Option<Map<String, Value>> {
    mcp::check(text).ok()?;
    serde_json::from_str(text).ok()
}
