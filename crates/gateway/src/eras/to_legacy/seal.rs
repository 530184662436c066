//! `requestState`: where a call waits, sealed so that only its own client can go on with it, and only with the same call.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use tokio::time::Instant;

use crate::canonical::canonical;

const KEY: usize = 32;
const DIGEST: usize = 32;
const NUMBER: usize = 8;

/// Seals and opens states. The key is this process's own: another cannot open them, and does not have the calls either.
pub(super) struct Seal {
    key: RandomizedNonceKey,
    since: Instant,
}

/// Whose state it is, and of which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// Agent and server.
    who: [u8; DIGEST],
    /// Method, name and arguments.
    what: [u8; DIGEST],
}

/// Why a state is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadState {
    #[error("`requestState` was not made by this gateway, or not since it was started")]
    Forged,
    #[error("`requestState` was made for somebody else")]
    Foreign,
    #[error("`requestState` was made for another request: a retry repeats method, name and arguments")]
    Changed,
    #[error("`requestState` has expired: start over without it")]
    Expired,
    #[error("`requestState` was used before, or its request has ended: start over without it")]
    Used,
    #[error("`inputResponses` must answer every one of the `inputRequests`, each with an object")]
    Unanswered,
}

impl Seal {
    /// None without randomness.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0; KEY];
        getrandom::fill(&mut key).ok()?;
        Some(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &key).ok()?, since: Instant::now() })
    }

    /// The state of the call that waits as `id`.
    pub(super) fn seal(&self, id: u64, binding: &Binding, expires: Instant) -> Option<String> {
        let expires = u64::try_from((expires - self.since).as_millis()).ok()?;
        let mut text = Vec::with_capacity(NONCE_LEN + 2 * NUMBER + 2 * DIGEST + AES_256_GCM.tag_len());
        text.extend_from_slice(&expires.to_be_bytes());
        text.extend_from_slice(&id.to_be_bytes());
        text.extend_from_slice(&binding.who);
        text.extend_from_slice(&binding.what);
        let nonce = self.key.seal_in_place_append_tag(Aad::empty(), &mut text).ok()?;
        let bytes = nonce.as_ref().iter().chain(&text);
        Some(bytes.map(|byte| format!("{byte:02x}")).collect())
    }

    /// Where the call waits that a state was made for: if it is this caller's and this very call.
    pub(super) fn open(&self, state: &str, binding: &Binding, now: Instant) -> Result<u64, BadState> {
        let (expires, id, made_for) = self.unsealed(state).ok_or(BadState::Forged)?;
        if made_for.who != binding.who {
            return Err(BadState::Foreign);
        }
        if made_for.what != binding.what {
            return Err(BadState::Changed);
        }
        match (now - self.since).as_millis() < u128::from(expires) {
            true => Ok(id),
            false => Err(BadState::Expired),
        }
    }

    fn unsealed(&self, state: &str) -> Option<(u64, u64, Binding)> {
        let mut bytes = unhex(state)?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text: &[u8] = self.key.open_in_place(nonce, Aad::empty(), text).ok()?;
        let (expires, text) = text.split_first_chunk()?;
        let (id, text) = text.split_first_chunk()?;
        let (who, text) = text.split_first_chunk()?;
        let (what, rest) = text.split_first_chunk()?;
        let binding = Binding { who: *who, what: *what };
        rest.is_empty().then_some((u64::from_be_bytes(*expires), u64::from_be_bytes(*id), binding))
    }
}

impl Binding {
    pub(super) fn new(agent: &str, server: &str, method: &str, name: &str, arguments: Option<&str>) -> Self {
        let arguments = arguments.unwrap_or_default();
        // What cannot be read is bound as it stands. A client may write a retry anew.
        let meant = canonical(arguments).unwrap_or_else(|| arguments.to_owned());
        Self { who: digest(&[agent, server]), what: digest(&[method, name, &meant]) }
    }
}

/// A digest of the parts, and of where each ends.
fn digest(parts: &[&str]) -> [u8; DIGEST] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut out = [0; DIGEST];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Lower case only: a state is written in one way.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| if let [high, low] = pair { Some(digit(high)? << 4 | digit(low)?) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn binding(arguments: &str) -> Binding {
        Binding::new("ann", "s", "tools/call", "t", Some(arguments))
    }

    #[test]
    fn a_state_is_for_one_caller_one_call_and_some_time() {
        let (seal, now) = (Seal::new().unwrap(), Instant::now());
        let ours = binding(r#"{"a":1,"b":[{"c":1.0,"d":2}]}"#);
        let state = seal.seal(7, &ours, now + MINUTE).unwrap();
        assert_eq!(seal.open(&state, &ours, now), Ok(7));
        assert_eq!(
            seal.open(&state, &binding(r#"{ "b" : [ { "d":2, "c":1.0 } ], "a":1 }"#), now),
            Ok(7),
            "written anew"
        );
        for changed in ["{}", r#"{"a":1,"b":[{"c":1,"d":2}]}"#, r#"{"a":"1","b":[{"c":1.0,"d":2}]}"#] {
            assert_eq!(seal.open(&state, &binding(changed), now), Err(BadState::Changed), "{changed}");
        }
        let others = [("bob", "s"), ("ann", "z"), ("anns", "")];
        for (agent, server) in others {
            let theirs = Binding::new(agent, server, "tools/call", "t", Some("{}"));
            assert_eq!(seal.open(&state, &theirs, now), Err(BadState::Foreign), "{agent} {server}");
        }
        for (method, name) in [("prompts/get", "t"), ("tools/call", "u"), ("tools/callt", "")] {
            let other = Binding { what: Binding::new("ann", "s", method, name, Some("{}")).what, ..ours };
            assert_eq!(seal.open(&state, &other, now), Err(BadState::Changed), "{method} {name}");
        }
        assert_eq!(Seal::new().unwrap().open(&state, &ours, now), Err(BadState::Forged), "another process's key");
        assert_eq!(seal.open(&state, &ours, now + MINUTE), Err(BadState::Expired));
    }

    #[test]
    fn not_one_character_of_it_can_be_changed() {
        let (seal, ours, now) = (Seal::new().unwrap(), binding("{}"), Instant::now());
        let state = seal.seal(1, &ours, now + MINUTE).unwrap();
        for at in 0..state.len() {
            for flip in [1, 2, 0x20, 0x40] {
                let mut bytes = state.clone().into_bytes();
                bytes[at] ^= flip;
                let Ok(forged) = String::from_utf8(bytes) else { continue };
                assert_eq!(seal.open(&forged, &ours, now), Err(BadState::Forged), "{at} {flip}");
            }
            assert_eq!(seal.open(&state[..at], &ours, now), Err(BadState::Forged), "cut at {at}");
        }
        for more in ["0", "00", " "] {
            assert_eq!(seal.open(&(state.clone() + more), &ours, now), Err(BadState::Forged));
        }
    }
}
