//! Text that a client carries for us and can neither read nor change: sealed by a key of this process, about one matter only.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const KEY_LEN: usize = 32;

/// There is no randomness, and so no key.
#[derive(Debug, thiserror::Error)]
#[error("no randomness to make a key of")]
pub struct NoKey;

pub(crate) struct Seal(RandomizedNonceKey);

impl Seal {
    pub(crate) fn new() -> Result<Self, NoKey> {
        let mut key = [0; KEY_LEN];
        getrandom::fill(&mut key).map_err(|_| NoKey)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).map(Self).map_err(|_| NoKey)
    }

    /// `about`: what it is for and whose it is; it opens for exactly that.
    pub(crate) fn close(&self, about: &[&str], text: &str) -> Option<String> {
        let mut sealed = text.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(aad(about), &mut sealed).ok()?;
        sealed.extend_from_slice(nonce.as_ref());
        Some(BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    pub(crate) fn open(&self, about: &[&str], sealed: &str) -> Option<String> {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let nonce = bytes.split_off(bytes.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let text = self.0.open_in_place(nonce, aad(about), &mut bytes).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// Each part with its length, so that no two matters read alike.
fn aad(about: &[&str]) -> Aad<Vec<u8>> {
    let parts = about.iter().map(|part| format!("{}:{part}", part.len()));
    Aad::from(parts.collect::<String>().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::Seal;

    #[test]
    fn only_what_was_sealed_for_it_opens() {
        let seal = Seal::new().unwrap();
        let sealed = seal.close(&["cursor", "alice"], "7").unwrap();
        assert_eq!(seal.open(&["cursor", "alice"], &sealed).as_deref(), Some("7"));
        assert_ne!(seal.close(&["cursor", "alice"], "7").unwrap(), sealed, "a nonce of its own");
        for about in [&["cursor", "bob"][..], &["state", "alice"], &["cursor"], &["cursoralice"], &["cursor5", "alice"]]
        {
            assert_eq!(seal.open(about, &sealed), None, "{about:?}");
        }
        assert_eq!(Seal::new().unwrap().open(&["cursor", "alice"], &sealed), None, "another process");
        for at in 0..sealed.len() {
            let mut bent = sealed.clone().into_bytes();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(&["cursor", "alice"], &String::from_utf8(bent).unwrap()), None, "{at}");
        }
        for bent in ["", "A", "!", &sealed[..sealed.len() - 4]] {
            assert_eq!(seal.open(&["cursor", "alice"], bent), None, "{bent}");
        }
    }
}
