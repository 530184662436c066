//! Where the store is, and what our keys are called there.

use redis::IntoConnectionInfo as _;
use std::{fmt, str::FromStr};

/// A URL such as `rediss://user:password@host:6380/2`. Never shown with its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Box<str>,
    shown: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a store is `redis://` or `rediss://`, then `user:password@` if needed, a host, `:port` and `/number`")]
pub struct InvalidAddress;

/// What our keys start with. Two installations with different prefixes share a server and no count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has 1 to 64 of `a` to `z`, `A` to `Z`, `0` to `9`, `.`, `_` and `-`")]
pub struct InvalidPrefix;

impl Address {
    /// What connects to it.
    pub(crate) fn client(&self) -> Result<redis::Client, InvalidAddress> {
        redis::Client::open(&*self.url).map_err(|_| InvalidAddress)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidAddress)?;
        // A fragment would turn the check of certificates off.
        if !matches!(scheme, "redis" | "rediss") || rest.contains(['#', '?']) {
            return Err(InvalidAddress);
        }
        text.into_connection_info().map_err(|_| InvalidAddress)?;
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let masked = if place.len() < rest.len() { "***@" } else { "" };
        Ok(Self { url: text.into(), shown: format!("{scheme}://{masked}{place}").into() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.shown)
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let lawful = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match (1..=64).contains(&text.len()) && text.chars().all(lawful) {
            true => Ok(Self(text.into())),
            false => Err(InvalidPrefix),
        }
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("toolgate".into())
    }
}

impl Prefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("rediss://me:s3cret@store.internal:6380/2", "rediss://***@store.internal:6380/2"),
            ("redis://:s3cret@store.internal", "redis://***@store.internal"),
        ] {
            let address: Address = url.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("s3cret"));
        }
    }

    #[test]
    fn what_is_no_store_is_refused() {
        for url in
            ["", "memory", "http://a", "redis://", "rediss://a#insecure", "redis://a/b", "redis://a?protocol=resp3"]
        {
            assert_eq!(url.parse::<Address>(), Err(InvalidAddress), "{url}");
        }
        for prefix in ["", "a{b", "a:b", "ä", &"a".repeat(65)] {
            assert_eq!(prefix.parse::<Prefix>(), Err(InvalidPrefix), "{prefix}");
        }
    }
}
