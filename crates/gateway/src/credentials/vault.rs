//! Secrets at rest: sealed by AES-256-GCM under a key that is not where they are kept, each for one purpose only.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

const KEY: usize = 32;

/// Which key sealed it: the beginning of the key's SHA-256.
const NAME: usize = 8;

/// The first byte of what is sealed: how it is written.
const FORMAT: u8 = 1;

/// The first key seals; all of them open, so that a key can be replaced while what the old one sealed is still there.
pub struct Vault {
    keys: Vec<(RandomizedNonceKey, [u8; NAME])>,
}

/// A key that cannot be used. The key itself is not told.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be 32 random bytes, written as 64 hexadecimal digits or as base64: make one with `openssl rand -base64 32`"
)]
pub struct BadKey;

/// Why a secret cannot be had again.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    #[error("it was sealed by a key that is not among ours")]
    OtherKey,
    #[error("it was changed, or is another's")]
    Forged,
    #[error("it was sealed by a newer version")]
    Newer,
    #[error("there is no randomness")]
    NoRandomness,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys.len()).finish()
    }
}

impl Vault {
    /// Keys as people write them: one a line, the one that seals first.
    pub fn read(text: &str) -> Result<Self, BadKey> {
        let keys = text.split_whitespace().map(|key| Self::key(&decoded(key).ok_or(BadKey)?));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(BadKey) } else { Ok(Self { keys }) }
    }

    /// A key as [`Vault::read`] takes it.
    pub fn new_key() -> Result<String, getrandom::Error> {
        let mut key = [0; KEY];
        getrandom::fill(&mut key)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(key))
    }

    fn key(bytes: &[u8; KEY]) -> Result<(RandomizedNonceKey, [u8; NAME]), BadKey> {
        let mut name = [0; NAME];
        name.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
        Ok((RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| BadKey)?, name))
    }

    /// `about`: what it is for and whose it is; it opens for exactly that.
    pub fn seal(&self, about: &[&str], secret: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (key, name) = self.keys.first().ok_or(Unopened::OtherKey)?;
        let mut sealed = secret.to_vec();
        let nonce = key.seal_in_place_append_tag(aad(about), &mut sealed).map_err(|_| Unopened::NoRandomness)?;
        let parts = [&[FORMAT][..], name, nonce.as_ref(), &sealed];
        Ok(parts.concat())
    }

    pub fn open(&self, about: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (format, rest) = sealed.split_first().ok_or(Unopened::Forged)?;
        if *format != FORMAT {
            return Err(Unopened::Newer);
        }
        let (name, rest) = rest.split_first_chunk::<NAME>().ok_or(Unopened::Forged)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Unopened::Forged)?;
        let (key, _) = self.keys.iter().find(|(_, known)| known == name).ok_or(Unopened::OtherKey)?;
        let mut text = rest.to_vec();
        let nonce = Nonce::from(nonce);
        key.open_in_place(nonce, aad(about), &mut text).map(|text| text.to_vec()).map_err(|_| Unopened::Forged)
    }

    /// Is it sealed by a key that only opens any more?
    pub fn is_old(&self, sealed: &[u8]) -> bool {
        let name = sealed.get(1..=NAME);
        self.keys.first().is_none_or(|(_, current)| name != Some(&current[..]))
    }
}

/// Each part with its length, so that no two purposes read alike.
fn aad(about: &[&str]) -> Aad<Vec<u8>> {
    let parts = about.iter().map(|part| format!("{}:{part}", part.len()));
    Aad::from(parts.collect::<String>().into_bytes())
}

fn decoded(text: &str) -> Option<[u8; KEY]> {
    if text.len() == 2 * KEY {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = pairs
            .map(|pair| if let [high, low] = *pair { Some(digit(high)? << 4 | digit(low)?) } else { None })
            .collect();
        return bytes?.try_into().ok();
    }
    let text = text.trim_end_matches('=');
    let bytes = BASE64_STANDARD_NO_PAD.decode(text).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(text)).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: &[&str] = &["credential", "github", "ci"];

    fn vault(keys: &[&str]) -> Vault {
        Vault::read(&keys.join("\n")).unwrap()
    }

    #[test]
    fn a_secret_opens_for_what_it_was_sealed_for_and_for_nothing_else() {
        let key = Vault::new_key().unwrap();
        let vault = vault(&[&key]);
        let sealed = vault.seal(ABOUT, b"hunter2").unwrap();
        assert_eq!(vault.open(ABOUT, &sealed).unwrap(), b"hunter2");
        assert!(!sealed.windows(7).any(|bytes| bytes == b"hunter2"));
        assert_ne!(vault.seal(ABOUT, b"hunter2").unwrap(), sealed, "a nonce of its own");
        for other in
            [&["credential", "github", ""][..], &["credential", "githubci", ""], &["credential", "gitlab", "ci"]]
        {
            assert_eq!(vault.open(other, &sealed), Err(Unopened::Forged), "{other:?}");
        }
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(vault.open(ABOUT, &bent).is_err(), "{at}");
            assert!(vault.open(ABOUT, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_key_can_be_replaced() {
        let (old, new) = (Vault::new_key().unwrap(), Vault::new_key().unwrap());
        let sealed = vault(&[&old]).seal(ABOUT, b"x").unwrap();
        let both = vault(&[&new, &old]);
        assert_eq!(both.open(ABOUT, &sealed).unwrap(), b"x");
        assert!(both.is_old(&sealed));
        let again = both.seal(ABOUT, b"x").unwrap();
        assert!(!both.is_old(&again));
        assert_eq!(vault(&[&new]).open(ABOUT, &again).unwrap(), b"x");
        assert_eq!(vault(&[&new]).open(ABOUT, &sealed), Err(Unopened::OtherKey));
    }

    #[test]
    fn keys_are_32_bytes_in_one_of_three_spellings() {
        for good in [
            "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        ] {
            let sealed = vault(&[good]).seal(ABOUT, b"x").unwrap();
            let same = vault(&["000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"]);
            assert_eq!(same.open(ABOUT, &sealed).unwrap(), b"x", "{good}");
        }
        for bad in ["", "hunter2", "000102", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg=="] {
            assert!(Vault::read(bad).is_err(), "{bad}");
        }
    }
}
