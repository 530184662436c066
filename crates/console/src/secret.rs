//! Secrets that are given out once: 256 random bits. Only their SHA-256 is kept, so what is kept opens nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

pub(crate) type Hash = [u8; 32];

/// What an admin's token begins with; an agent's begins with `tg_`.
pub(crate) const ADMIN: &str = "tga_";
pub(crate) const AGENT: &str = "tg_";

/// Characters that 32 bytes are in base64url.
const CHARACTERS: usize = 43;

/// Not `Debug`, not `Display`: it is written out on purpose or not at all.
pub(crate) struct Secret {
    text: String,
}

impl Secret {
    pub(crate) fn new(prefix: &str) -> Result<Self, Problem> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|error| Problem::internal(&error))?;
        Ok(Self { text: format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bits)) })
    }

    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    pub(crate) fn hash(&self) -> Hash {
        hash(&self.text)
    }

    /// Enough of it to tell it from others, and not more.
    pub(crate) fn shown(&self, prefix: &str) -> String {
        self.text.chars().take(prefix.len() + 6).collect()
    }
}

/// An id for what has no name: 96 random bits, no secret.
pub(crate) fn id() -> Result<String, getrandom::Error> {
    let mut bits = [0; 12];
    getrandom::fill(&mut bits)?;
    Ok(HEXLOWER.encode(&bits))
}

pub(crate) fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

/// Does it look like one of ours? What does not is not looked for.
pub(crate) fn is_shaped(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    rest.len() == CHARACTERS && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The token that a session's unsafe requests show. Made of the session's id, which scripts cannot read, and kept nowhere.
pub(crate) fn csrf(session: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash(&format!("toolgate csrf\n{session}")))
}

pub(crate) fn same(a: &str, b: &str) -> bool {
    use subtle::ConstantTimeEq as _;
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_one_shape() {
        let token = Secret::new(ADMIN).ok().unwrap();
        assert!(is_shaped(token.expose(), ADMIN) && !is_shaped(token.expose(), AGENT));
        let agent = Secret::new(AGENT).ok().unwrap();
        assert!(is_shaped(agent.expose(), AGENT) && !is_shaped(agent.expose(), ADMIN));
        assert!(!is_shaped(&format!("{}x", token.expose()), ADMIN) && !is_shaped("tga_", ADMIN));
        assert_eq!(token.shown(ADMIN).len(), 10);
        assert_ne!(token.hash(), Secret::new(ADMIN).ok().unwrap().hash());
    }
}
