//! Says which policy decided: the SHA-256 of the document's text, so any edit, even of a comment, shows.

use std::fmt;

use sha2::{Digest, Sha256};

/// The SHA-256 of a policy's text; written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyHash([u8; 32]);

impl PolicyHash {
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// One hash for two documents that decide together.
    pub(crate) fn with(&self, other: &Self) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(other.0).finalize().into())
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::PolicyHash;

    #[test]
    fn a_hash_is_the_sha_256_of_the_text() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2, B.1
        assert_eq!(PolicyHash::of("abc").to_string(), expected);
    }
}
