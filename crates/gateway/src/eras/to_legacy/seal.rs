//! `requestState`: where a call waits, sealed so that only its own client can go on with it, and only with the same call.

use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};

use crate::canonical::canonical;
use crate::process;
use crate::vault::{Untaken, Vault};

const DIGEST: usize = 32;

/// What it is for.
const ABOUT: &[&str] = &["input"];

/// Seals and opens states. Another node may have the same key, and can tell whose state it is that it opens; the call it does not have.
pub(super) struct Seal {
    vault: Arc<Vault>,
    process: u64,
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
    #[error(
        "`requestState` was made by another node of this gateway, or before it was started again, and its call is not here: start over without it"
    )]
    Elsewhere,
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
    pub(super) fn new(vault: Arc<Vault>) -> Self {
        Self { vault, process: process::mark() }
    }

    /// The state of the call that waits as `id`. None without randomness: then nobody is asked anything.
    pub(super) fn seal(&self, id: u64, binding: &Binding, until: SystemTime) -> Option<String> {
        let parts = [&self.process.to_be_bytes()[..], &id.to_be_bytes(), &binding.who, &binding.what];
        self.vault.carry(ABOUT, &parts.concat(), until)
    }

    /// Where the call waits that a state was made for: if it is this caller's and this very call.
    pub(super) fn open(&self, state: &str, binding: &Binding, now: SystemTime) -> Result<u64, BadState> {
        let text = self.vault.carried(ABOUT, state, now).map_err(|why| match why {
            Untaken::Forged => BadState::Forged,
            Untaken::Expired => BadState::Expired,
        })?;
        let (process, id, made_for) = read(&text).ok_or(BadState::Forged)?;
        if process != self.process {
            return Err(BadState::Elsewhere);
        }
        if made_for.who != binding.who {
            return Err(BadState::Foreign);
        }
        match made_for.what == binding.what {
            true => Ok(id),
            false => Err(BadState::Changed),
        }
    }
}

fn read(text: &[u8]) -> Option<(u64, u64, Binding)> {
    let (process, text) = text.split_first_chunk()?;
    let (id, text) = text.split_first_chunk()?;
    let (who, text) = text.split_first_chunk()?;
    let (what, rest) = text.split_first_chunk()?;
    let binding = Binding { who: *who, what: *what };
    rest.is_empty().then_some((u64::from_be_bytes(*process), u64::from_be_bytes(*id), binding))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn seal(key: &str, process: u64) -> Seal {
        Seal { vault: Arc::new(Vault::read(key).unwrap()), process }
    }

    fn fresh() -> Seal {
        Seal::new(Arc::new(Vault::fresh().unwrap()))
    }

    fn binding(arguments: &str) -> Binding {
        Binding::new("ann", "s", "tools/call", "t", Some(arguments))
    }

    #[test]
    fn a_state_is_for_one_caller_one_call_and_some_time() {
        let (seal, now) = (fresh(), SystemTime::now());
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
        assert_eq!(fresh().open(&state, &ours, now), Err(BadState::Forged), "another process's key");
        assert_eq!(seal.open(&state, &ours, now + MINUTE), Err(BadState::Expired));
    }

    #[test]
    fn not_one_character_of_it_can_be_changed() {
        let (seal, ours, now) = (fresh(), binding("{}"), SystemTime::now());
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

    /// A balancer may send the retry to another node; and this one may have been started again meanwhile.
    #[test]
    fn a_state_of_another_process_opens_with_its_key_and_leads_nowhere() {
        let (key, ours, now) = (Vault::new_key().unwrap(), binding("{}"), SystemTime::now());
        let state = seal(&key, 1).seal(7, &ours, now + MINUTE).unwrap();
        assert_eq!(seal(&key, 1).open(&state, &ours, now), Ok(7));
        assert_eq!(seal(&key, 2).open(&state, &ours, now), Err(BadState::Elsewhere));
        assert_eq!(seal(&key, 2).open(&state, &ours, now + MINUTE), Err(BadState::Expired));
        assert_eq!(seal(&Vault::new_key().unwrap(), 2).open(&state, &ours, now), Err(BadState::Forged));
    }
}
