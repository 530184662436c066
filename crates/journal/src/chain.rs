//! One line, and the chain that runs through all of them.
//!
//! A line is `{"seq":N,…,"hash":"H"}` and a newline. H is the SHA-256 of the hash before it (32 bytes; zeros before the first record)
//! and of the line's own bytes up to `,"hash"`, in hexadecimal. So nothing has to be parsed to be verified.

use aws_lc_rs::digest::{self, SHA256};
use data_encoding::HEXLOWER;

/// A record's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link(pub(crate) [u8; 32]);

impl Link {
    /// Before the first record.
    pub(crate) const START: Self = Self([0; 32]);

    pub(crate) fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const AFTER_HASH: &[u8] = b"\"}";
/// `,"hash":"…"}` without the newline.
const TAIL: usize = BEFORE_HASH.len() + 64 + AFTER_HASH.len();

/// Why a line does not belong where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the line does not end with a hash")]
    NoHash,
    #[error("the line is not one JSON object")]
    NotJson,
    #[error("record {found} stands where record {expected} should")]
    OutOfOrder { found: String, expected: u64 },
    #[error("the hash does not match the line and the record before it")]
    Hash,
}

/// Appends the line of a record; `members` is JSON, what stands between the braces.
pub(crate) fn seal(out: &mut Vec<u8>, seq: u64, members: &str, before: Link) -> Link {
    let start = out.len();
    out.extend_from_slice(b"{\"seq\":");
    out.extend_from_slice(seq.to_string().as_bytes());
    out.push(b',');
    out.extend_from_slice(members.as_bytes());
    let link = link(before, out.get(start..).unwrap_or_default());
    out.extend_from_slice(BEFORE_HASH);
    out.extend_from_slice(link.to_hex().as_bytes());
    out.extend_from_slice(AFTER_HASH);
    out.push(b'\n');
    link
}

/// The hash of a line (without its newline), if it is record `seq` and follows on `before`.
pub(crate) fn check(line: &[u8], seq: u64, before: Link) -> Result<Link, Broken> {
    let (body, tail) = line.len().checked_sub(TAIL).and_then(|at| line.split_at_checked(at)).ok_or(Broken::NoHash)?;
    let given = tail.strip_prefix(BEFORE_HASH).and_then(|tail| tail.strip_suffix(AFTER_HASH));
    let given = given.and_then(|hex| str::from_utf8(hex).ok()).and_then(Link::from_hex).ok_or(Broken::NoHash)?;
    if link(before, body) != given {
        return Err(Broken::Hash);
    }
    let record: serde_json::Value = serde_json::from_slice(line).map_err(|_| Broken::NotJson)?;
    match record.get("seq").and_then(serde_json::Value::as_u64) {
        Some(found) if found == seq => Ok(given),
        found => {
            let found = found.map_or_else(|| "without a number".to_owned(), |found| found.to_string());
            Err(Broken::OutOfOrder { found, expected: seq })
        }
    }
}

fn link(before: Link, body: &[u8]) -> Link {
    let mut sum = digest::Context::new(&SHA256);
    sum.update(&before.0);
    sum.update(body);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(sum.finish().as_ref());
    Link(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_follows_on_one_hash_only() {
        let mut out = Vec::new();
        let first = seal(&mut out, 1, r#""a":1"#, Link::START);
        let line = out.strip_suffix(b"\n").unwrap();
        assert!(line.starts_with(br#"{"seq":1,"a":1,"hash":""#), "{}", String::from_utf8_lossy(line));
        assert_eq!(check(line, 1, Link::START), Ok(first));
        assert_eq!(check(line, 1, first), Err(Broken::Hash));
        assert_eq!(check(line, 2, Link::START), Err(Broken::OutOfOrder { found: "1".into(), expected: 2 }));
        assert_eq!(check(b"{}", 1, Link::START), Err(Broken::NoHash));
        assert_eq!(Link::from_hex(&first.to_hex()), Some(first));
    }
}
