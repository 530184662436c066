//! The tokens that we give out: `tg_` and 256 random bits. Whoever keeps one keeps only its SHA-256, which tells nothing of so much randomness.

use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::config::AgentId;
use crate::random;

const PREFIX: &str = "tg_";
const RANDOM: usize = 32;
/// The random part as text.
const TEXT: usize = 43;
/// Of the random part, what people may see of a token to tell it from others.
const SHOWN: usize = 6;

pub(crate) type Hash = [u8; 32];

/// The hash of a token, if the text can be one of ours at all.
pub(super) fn hash(text: &[u8]) -> Option<Hash> {
    let random = text.strip_prefix(PREFIX.as_bytes())?;
    let lawful = random.len() == TEXT && random.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    lawful.then(|| Sha256::digest(text).into())
}

/// Is there anything in the text that looks like a token of ours?
pub(super) fn is_in(text: &str) -> bool {
    text.match_indices(PREFIX).any(|(at, _)| text.as_bytes().get(at..at + PREFIX.len() + TEXT).and_then(hash).is_some())
}

/// A token that nobody has yet. It is shown once; `Debug` does not.
pub struct NewToken {
    text: String,
}

impl NewToken {
    /// Fails where there is no randomness.
    pub fn generate() -> std::io::Result<Self> {
        let random = random::bytes::<RANDOM>().map_err(std::io::Error::other)?;
        Ok(Self { text: format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random)) })
    }

    /// The secret.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What people may see of it.
    pub fn prefix(&self) -> &str {
        self.text.get(..PREFIX.len() + SHOWN).unwrap_or_default()
    }

    /// What the configuration says of it.
    pub fn toml(&self, agent: &AgentId, label: &str, expires: Option<SystemTime>) -> Result<String, InvalidLabel> {
        if label.is_empty() || label.chars().any(char::is_control) {
            return Err(InvalidLabel);
        }
        let expires = expires.map(|at| format!(", expires = \"{}\"", humantime::format_rfc3339_seconds(at)));
        // TOML's strings are JSON's, as long as there are no control characters.
        let (agent, label) = (mcp::string(agent.as_str()), mcp::string(label));
        let (hash, expires) = (self.sha256_hex(), expires.unwrap_or_default());
        Ok(format!("[agents.{agent}]\ntokens = [{{ sha256 = \"{hash}\", label = {label}{expires} }}]"))
    }

    pub fn sha256(&self) -> Hash {
        Sha256::digest(&self.text).into()
    }

    /// As configurations have it.
    pub fn sha256_hex(&self) -> String {
        HEXLOWER.encode(&self.sha256())
    }
}

/// People must be able to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label is not empty, and has no control characters")]
pub struct InvalidLabel;

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewToken").field(&self.prefix()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{NewToken, hash, is_in};

    #[test]
    fn a_token_is_known_by_its_hash() {
        let token = NewToken::generate().unwrap();
        assert_eq!(hash(token.text().as_bytes()), Some(token.sha256()));
        assert_eq!((token.text().len(), token.prefix().len()), (46, 9));
        assert_ne!(NewToken::generate().unwrap().text(), token.text());
        assert_eq!(token.sha256_hex().len(), 64);
        assert!(!format!("{token:?}").contains(token.text()));
    }

    #[test]
    fn only_what_can_be_a_token_is_looked_up() {
        let token = NewToken::generate().unwrap();
        let text = token.text();
        for odd in [
            "",
            "tg_",
            &text[..45],
            &text[1..],
            &format!("{text}A"),
            &format!("{text}\n"),
            &format!("TG_{}", &text[3..]),
            &format!("tg_{}=", &text[4..]),
            &format!("tg_{}é", &text[5..]),
        ] {
            assert_eq!(hash(odd.as_bytes()), None, "{odd:?}");
        }
        for (query, found) in
            [(format!("key={text}"), true), (format!("a=tg_&b={text}&c"), true), ("a=tg_x".into(), false)]
        {
            assert_eq!(is_in(&query), found, "{query}");
        }
    }
}
