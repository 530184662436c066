//! Ed25519 keys that sign checkpoints. Whoever holds the public key elsewhere can tell a journal that was written anew from the true one.

use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::chain::Link;
use crate::once;
use crate::retention::Dropped;

/// What is signed: nothing else than this.
const CHECKPOINT: &[u8] = b"toolgate journal checkpoint 1\n";
const DROPPED: &[u8] = b"toolgate journal dropped 1\n";

pub struct SigningKey(Ed25519KeyPair);

/// The public half, as base64 of its 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the key `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("`{0}` is no Ed25519 key in PKCS#8: put back the right one; or remove it, and another signs from then on")]
    Invalid(PathBuf),
    #[error("a public key is 32 bytes in base64")]
    InvalidPublic,
    #[error("no randomness to make a key of")]
    Random,
}

impl SigningKey {
    /// The key in that file (PKCS#8, DER). Where there is no file, a new key is made, which only its owner may read.
    pub fn load_or_make(path: &Path) -> Result<Self, KeyError> {
        match std::fs::read(path) {
            Ok(bytes) => Self::read(path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(source) => Err(KeyError::Read { path: path.into(), source }),
        }
    }

    fn make(path: &Path) -> Result<Self, KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new());
        let document = document.map_err(|_| KeyError::Random)?;
        let made = once::read_or_make(path, || Ok(document.as_ref().to_vec()));
        Self::read(path, &made.map_err(|source| KeyError::Write { path: path.into(), source })?)
    }

    fn read(path: &Path, bytes: &[u8]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_pkcs8(bytes).map(Self).map_err(|_| KeyError::Invalid(path.into()))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().to_vec())
    }

    /// Says that the journal was at `link` after record `seq`.
    pub(crate) fn sign(&self, seq: u64, link: Link) -> String {
        STANDARD.encode(self.0.sign(&checkpoint(seq, link)).as_ref())
    }

    /// Says, in record `seq`, which segments are dropped.
    pub(crate) fn sign_dropped(&self, seq: u64, segments: &[Dropped]) -> String {
        STANDARD.encode(self.0.sign(&dropped(seq, segments)).as_ref())
    }
}

impl PublicKey {
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| KeyError::InvalidPublic)?;
        if bytes.len() == 32 { Ok(Self(bytes)) } else { Err(KeyError::InvalidPublic) }
    }

    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    pub(crate) fn verifies(&self, seq: u64, link: Link, signature: &str) -> bool {
        self.verifies_message(&checkpoint(seq, link), signature)
    }

    pub(crate) fn verifies_dropped(&self, seq: u64, segments: &[Dropped], signature: &str) -> bool {
        self.verifies_message(&dropped(seq, segments), signature)
    }

    fn verifies_message(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &signature).is_ok()
    }
}

fn checkpoint(seq: u64, link: Link) -> Vec<u8> {
    [CHECKPOINT, &seq.to_be_bytes(), &link.0].concat()
}

fn dropped(seq: u64, segments: &[Dropped]) -> Vec<u8> {
    let mut message = [DROPPED, &seq.to_be_bytes()].concat();
    for Dropped { first, last, link, why } in segments {
        message.extend_from_slice(&first.to_be_bytes());
        message.extend_from_slice(&last.to_be_bytes());
        message.extend_from_slice(&link.0);
        message.extend_from_slice(why.as_str().as_bytes());
        message.push(b'\n');
    }
    message
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public().to_base64())
    }
}
