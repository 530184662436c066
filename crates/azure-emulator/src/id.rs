//! Ids as the service makes them: a prefix and 32 hexadecimal digits. The same inputs give the same id.

/// An id of this kind, made from a text.
pub(crate) fn made(prefix: &str, from: &str) -> String {
    let (a, b) = (hash(from, 0xcbf2_9ce4_8422_2325), hash(from, 0x9e37_79b9_7f4a_7c15));
    format!("{prefix}-{a:016x}{b:016x}")
}

/// FNV-1a with a last stir: an id, not a secret.
pub(crate) fn hash(text: &str, seed: u64) -> u64 {
    let mixed = text.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}
