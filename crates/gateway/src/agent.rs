//! Who calls. Until agents have tokens, everybody is `anonymous`, told apart by legacy session or by address (`design.md`, section 2).

use std::net::IpAddr;
use std::sync::Arc;

/// A caller. `key` is what limits count on: a session's ordinal (its id is a secret) or the peer's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) key: Arc<str>,
    pub(crate) session: Option<Arc<str>>,
}

impl Agent {
    pub(crate) fn peer(address: IpAddr) -> Self {
        Self { key: format!("anonymous@{}", address.to_canonical()).into(), session: None }
    }

    pub(crate) fn session(ordinal: u64) -> Self {
        let key: Arc<str> = format!("anonymous#{ordinal}").into();
        Self { session: Some(Arc::clone(&key)), key }
    }
}
