//! Secrets sealed by AES-256-GCM: those that are kept, under a key that is not where they are; and what clients carry for us and can
//! neither read nor change. Each opens for exactly the purpose that it was sealed for.

use std::time::{Duration, SystemTime};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER_PERMISSIVE;

use crate::random;

const KEY: usize = 32;

/// Which key sealed it: the beginning of the key's SHA-256.
const NAME: usize = 8;

/// Random, and what the key of a single text is made of: many nodes may seal with one key for years without a nonce coming twice.
const SALT: usize = 16;

/// The first byte of what is sealed: how it is written.
const FORMAT: u8 = 1;

/// Bytes of a time, in what clients carry.
const TIME: usize = 8;

/// The first key seals; all of them open, so that a key can be replaced while what the old one sealed is still there.
pub struct Vault {
    keys: Vec<Key>,
}

struct Key {
    secret: hmac::Key,
    name: [u8; NAME],
}

/// A key that cannot be used. The key itself is not told.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be 32 random bytes, written as 64 hexadecimal digits or as base64: make one with `toolgate store new-key`"
)]
pub struct BadKey;

/// There is no randomness, and so no key.
#[derive(Debug, thiserror::Error)]
#[error("no randomness to make a key of")]
pub struct NoKey;

/// Why a secret cannot be had again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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

/// Why what a client brought back is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untaken {
    /// It is not ours, or was made for something else.
    Forged,
    Expired,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys.len()).finish()
    }
}

impl Vault {
    /// Keys as people write them: one a line, the one that seals first.
    pub fn read(text: &str) -> Result<Self, BadKey> {
        let keys = text.split_whitespace().map(|key| Some(Key::new(&decoded(key)?)));
        let keys = keys.collect::<Option<Vec<_>>>().ok_or(BadKey)?;
        if keys.is_empty() { Err(BadKey) } else { Ok(Self { keys }) }
    }

    /// With a key that nobody else has, and that ends with it.
    pub(crate) fn fresh() -> Result<Self, NoKey> {
        Ok(Self { keys: vec![Key::new(&random::bytes().map_err(|_| NoKey)?)] })
    }

    /// A key as [`Vault::read`] takes it. None where there is no randomness.
    pub fn new_key() -> Option<String> {
        Some(BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<KEY>().ok()?))
    }

    /// `about`: what it is for and whose it is; it opens for exactly that.
    pub fn seal(&self, about: &[&str], secret: &[u8]) -> Result<Vec<u8>, Unopened> {
        let key = self.keys.first().ok_or(Unopened::OtherKey)?;
        let salt = random::bytes::<SALT>().map_err(|_| Unopened::NoRandomness)?;
        let mut sealed = secret.to_vec();
        let nonce = key.of(&salt)?.seal_in_place_append_tag(aad(about), &mut sealed);
        let nonce = nonce.map_err(|_| Unopened::NoRandomness)?;
        let parts = [&[FORMAT][..], &key.name, &salt, nonce.as_ref(), &sealed];
        Ok(parts.concat())
    }

    pub fn open(&self, about: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (format, rest) = sealed.split_first().ok_or(Unopened::Forged)?;
        if *format != FORMAT {
            return Err(Unopened::Newer);
        }
        let (name, rest) = rest.split_first_chunk::<NAME>().ok_or(Unopened::Forged)?;
        let (salt, rest) = rest.split_first_chunk::<SALT>().ok_or(Unopened::Forged)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Unopened::Forged)?;
        let key = self.keys.iter().find(|known| known.name == *name).ok_or(Unopened::OtherKey)?;
        let mut text = rest.to_vec();
        let opened = key.of(salt)?.open_in_place(Nonce::from(nonce), aad(about), &mut text).map(|text| text.len());
        text.truncate(opened.map_err(|_| Unopened::Forged)?);
        Ok(text)
    }

    /// Is it sealed by a key that only opens any more?
    pub fn is_old(&self, sealed: &[u8]) -> bool {
        let name = sealed.get(1..=NAME);
        self.keys.first().is_none_or(|current| name != Some(&current.name[..]))
    }

    /// Sealed, as text of `A` to `Z`, `a` to `z`, `0` to `9`, `-` and `_`. None without randomness.
    pub(crate) fn seal_text(&self, about: &[&str], text: &[u8]) -> Option<String> {
        self.seal(about, text).ok().map(|sealed| BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What was sealed so, if this is it, for this purpose.
    pub(crate) fn open_text(&self, about: &[&str], sealed: &str) -> Option<Vec<u8>> {
        self.open(about, &BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?).ok()
    }

    /// For a client to carry until then: text of `A` to `Z`, `a` to `z`, `0` to `9`, `-` and `_`. None without randomness.
    ///
    /// The time is the clock's of the day: whichever node it comes back to reads the same. Nodes' clocks may differ by seconds; whoever
    /// needs a time to be kept exactly keeps it where the thing itself is.
    pub(crate) fn carry(&self, about: &[&str], text: &[u8], until: SystemTime) -> Option<String> {
        let text = [&millis(until).to_be_bytes()[..], text].concat();
        self.seal_text(about, &text)
    }

    /// What was carried, if this is it, for this purpose, and not too late.
    pub(crate) fn carried(&self, about: &[&str], sealed: &str, now: SystemTime) -> Result<Vec<u8>, Untaken> {
        let mut text = self.open_text(about, sealed).ok_or(Untaken::Forged)?;
        let until = text.split_first_chunk::<TIME>().map(|(until, _)| u64::from_be_bytes(*until));
        match millis(now) < until.ok_or(Untaken::Forged)? {
            true => Ok(text.split_off(TIME)),
            false => Err(Untaken::Expired),
        }
    }
}

impl Key {
    fn new(bytes: &[u8; KEY]) -> Self {
        let mut name = [0; NAME];
        name.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, bytes), name }
    }

    /// The key of one text.
    fn of(&self, salt: &[u8; SALT]) -> Result<RandomizedNonceKey, Unopened> {
        let own = hmac::sign(&self.secret, salt);
        RandomizedNonceKey::new(&AES_256_GCM, own.as_ref()).map_err(|_| Unopened::Forged)
    }
}

/// Since 1970; what no clock can say is never, or has been.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Each part with its length, so that no two purposes read alike.
fn aad(about: &[&str]) -> Aad<Vec<u8>> {
    let parts = about.iter().map(|part| format!("{}:{part}", part.len()));
    Aad::from(parts.collect::<String>().into_bytes())
}

fn decoded(text: &str) -> Option<[u8; KEY]> {
    if text.len() == 2 * KEY {
        return HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok();
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

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn what_a_client_carries_is_taken_back_unchanged_and_in_time() {
        let (key, now) = (Vault::new_key().unwrap(), SystemTime::now());
        let (here, there) = (vault(&[&key]), vault(&[&key]));
        let about = &["cursor", "alice"][..];
        let text = here.carry(about, b"7", now + HOUR).unwrap();
        assert_eq!(there.carried(about, &text, now).unwrap(), b"7", "another node with that key");
        assert_ne!(here.carry(about, b"7", now + HOUR).unwrap(), text, "no two are alike");
        assert_eq!(here.carried(about, &text, now + HOUR), Err(Untaken::Expired));
        assert_eq!(Vault::fresh().unwrap().carried(about, &text, now), Err(Untaken::Forged), "another key");
        for other in [&["cursor", "bob"][..], &["state", "alice"], &["cursor"], &["cursoralice"], &["cursor5", "alice"]]
        {
            assert_eq!(here.carried(other, &text, now), Err(Untaken::Forged), "{other:?}");
        }
        for at in 0..text.len() {
            for flip in [1, 2, 0x20, 0x40] {
                let mut bent = text.clone().into_bytes();
                bent[at] ^= flip;
                let Ok(bent) = String::from_utf8(bent) else { continue };
                assert_eq!(here.carried(about, &bent, now), Err(Untaken::Forged), "{at} {flip}");
            }
            assert_eq!(here.carried(about, &text[..at], now), Err(Untaken::Forged), "cut at {at}");
        }
        for more in ["", "A", "=", " "] {
            let more = text.clone() + more;
            assert_eq!(here.carried(about, &more, now).is_ok(), more == text, "{more}");
        }
    }

    #[test]
    fn whatever_was_sealed_for_something_else_is_no_text_of_a_client() {
        let (vault, now) = (Vault::fresh().unwrap(), SystemTime::now());
        for short in [&b""[..], b"1234567"] {
            let sealed = BASE64_URL_SAFE_NO_PAD.encode(vault.seal(ABOUT, short).unwrap());
            assert_eq!(vault.carried(ABOUT, &sealed, now), Err(Untaken::Forged));
        }
    }
}
