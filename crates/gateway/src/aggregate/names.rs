//! How the aggregate names what its servers name: reversible, and without a table, so that any node can route any name.
//!
//! INVARIANT: a server's id neither contains `__` nor ends in `_`, so the first `__` of a joined name is the one that was put there.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const SEPARATOR: &str = "__";

/// MCP's bound on the name of a tool, in bytes here: what is longer is neither listed nor called.
pub(super) const LONGEST: usize = 128;

/// Wrapped URIs stay URIs, and wrapped templates expand to wrapped URIs: the original follows the prefix as it is.
const SCHEME: &str = "toolgate://";

/// `server__name`; none where that is too long to be a tool's name.
pub(super) fn join(server: &str, name: &str) -> Option<String> {
    Some(format!("{server}{SEPARATOR}{name}")).filter(|joined| joined.len() <= LONGEST && !name.is_empty())
}

pub(super) fn split(joined: &str) -> Option<(&str, &str)> {
    let whole = joined.len() <= LONGEST;
    joined.split_once(SEPARATOR).filter(|(server, name)| whole && !server.is_empty() && !name.is_empty())
}

pub(super) fn wrap_uri(server: &str, uri: &str) -> String {
    format!("{SCHEME}{server}/{uri}")
}

pub(super) fn unwrap_uri(wrapped: &str) -> Option<(&str, &str)> {
    wrapped.strip_prefix(SCHEME)?.split_once('/').filter(|(_, uri)| !uri.is_empty())
}

/// Task ids, ids of servers' requests and their progress tokens: `server/own`, since a server's id has no slash.
pub(super) fn wrap_id(server: &str, own: &str) -> String {
    format!("{server}/{own}")
}

pub(super) fn unwrap_id(wrapped: &str) -> Option<(&str, &str)> {
    wrapped.split_once('/')
}

/// Where a broken stream is to be resumed: one server's stream, or the merged one, of which each server has its own place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    One(String, String),
    All(BTreeMap<String, String>),
}

impl Place {
    pub(super) fn one(server: &str, id: &str) -> String {
        encode(&serde_json::json!([server, id]).to_string())
    }

    pub(super) fn all(ids: &BTreeMap<String, String>) -> String {
        encode(&serde_json::json!(ids).to_string())
    }

    /// What a client says is its own word: it is only ever looked up in its own sessions.
    pub(super) fn read(event_id: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(event_id).ok()?).ok()?;
        match serde_json::from_str::<(String, String)>(&text) {
            Ok((server, id)) => Some(Self::One(server, id)),
            Err(_) => serde_json::from_str(&text).ok().map(Self::All),
        }
    }
}

fn encode(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_names_come_apart_again() {
        for (server, name) in [("x", "t"), ("x", "_t"), ("x", "__t"), ("x_y", "a__b"), ("a-1", "_"), ("x", "y__t")] {
            assert_eq!(split(&join(server, name).unwrap()), Some((server, name)), "{server} {name}");
        }
        for joined in ["t", "x_t", "__t", "x__", "", &format!("x__{}", "t".repeat(126))] {
            assert_eq!(split(joined), None, "{joined}");
        }
        assert_eq!(join("x", &"t".repeat(126)), None);
    }

    #[test]
    fn wrapped_uris_come_apart_again() {
        for uri in ["file:///a/b?c#d", "memo:x", "test://template/{id}/data", "{+any}", "toolgate://y/z:1", "/"] {
            assert_eq!(unwrap_uri(&wrap_uri("x_y", uri)), Some(("x_y", uri)));
        }
        for uri in ["file:///a", "toolgate://x", "toolgate://x/", "TOOLGATE://x/a:b", "toolgate:/x/a:b"] {
            assert_eq!(unwrap_uri(uri), None, "{uri}");
        }
    }

    #[test]
    fn event_ids_come_apart_again() {
        let ids = BTreeMap::from([("a".to_owned(), "1\u{2028}".to_owned()), ("b".to_owned(), String::new())]);
        assert_eq!(Place::read(&Place::all(&ids)), Some(Place::All(ids)));
        assert_eq!(Place::read(&Place::one("a", "\"7\"")), Some(Place::One("a".into(), "\"7\"".into())));
        for id in ["", "7", "!!", &encode("[1,2]"), &encode("{\"a\":1}")] {
            assert_eq!(Place::read(id), None, "{id}");
        }
    }
}
