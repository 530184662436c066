//! Who calls. Until agents have tokens, everybody is `anonymous`, told apart by legacy session or by address (`design.md`, section 2).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A caller. `key` is what limits count on: a session's ordinal (its id is a secret) or the peer's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) key: Arc<str>,
    pub(crate) session: Option<Arc<str>>,
}

impl Agent {
    pub(crate) fn peer(address: IpAddr) -> Self {
        Self { key: format!("anonymous@{}", one_of(address)).into(), session: None }
    }

    pub(crate) fn session(ordinal: u64) -> Self {
        let key: Arc<str> = format!("anonymous#{ordinal}").into();
        Self { session: Some(Arc::clone(&key)), key }
    }
}

/// The address that stands for the peer. All of loopback is one peer: a local process may call from any address there.
pub(crate) fn one_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address if address.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::Agent;

    #[test]
    fn all_of_loopback_is_one_agent() {
        let key = |address: &str| Agent::peer(address.parse().unwrap()).key;
        for address in ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.0.0.9"] {
            assert_eq!(&*key(address), "anonymous@127.0.0.1", "{address}");
        }
        assert_eq!(&*key("::ffff:10.0.0.7"), "anonymous@10.0.0.7");
        assert_ne!(key("10.0.0.7"), key("10.0.0.8"));
    }
}
