//! `requestState` of ours: which approval a retry is about, sealed. It opens no door: what it says is compared with the call that
//! brings it, and looked up.
//!
//! Others have states too: of the server, of the bridge to a legacy one, or of another gateway behind this one. Ours begin with a
//! mark, and what comes from there and begins so is marked as theirs on its way to the client.

use data_encoding::HEXLOWER;
use mcp::Object;

use crate::eras::to_legacy::BadState;
use crate::vault::Vault;

const OURS: &str = "tgas1.";

/// Before a state that only looks like ours.
const THEIRS: &str = "tgax1.";

const ABOUT: &[&str] = &["approval.state"];

/// What a retry comes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) approval: Box<str>,
    /// Of the call that it is for.
    pub(crate) binding: [u8; 32],
    pub(crate) expires_ms: i64,
    pub(crate) after: After,
}

/// What the client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// That a page is to be opened.
    Url,
    /// That a form is to be filled in.
    Form,
    /// What the server asked: the approved call goes on as this round, with the server's own state.
    Round { round: i64, theirs: Option<Box<str>> },
}

/// What a request brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    Ours(State),
    /// The server's, or the bridge's, as it was given out.
    Theirs(Box<str>),
}

impl State {
    /// None without randomness.
    pub(crate) fn seal(&self, vault: &Vault) -> Option<String> {
        vault.seal_text(ABOUT, self.text().as_bytes()).map(|sealed| format!("{OURS}{sealed}"))
    }

    fn text(&self) -> String {
        let Self { approval, binding, expires_ms, after } = self;
        let (after, theirs) = match after {
            After::Url => ("\"url\"".to_owned(), None),
            After::Form => ("\"form\"".to_owned(), None),
            After::Round { round, theirs } => (round.to_string(), theirs.as_deref()),
        };
        let theirs = theirs.map(|theirs| format!(",\"theirs\":{}", mcp::string(theirs))).unwrap_or_default();
        let (approval, binding) = (mcp::string(approval), HEXLOWER.encode(binding));
        format!(r#"{{"approval":{approval},"binding":"{binding}","expires":{expires_ms},"after":{after}{theirs}}}"#)
    }

    fn read(text: &str) -> Option<Self> {
        let text = Object::read(text)?;
        let after = match text.text("after").as_deref() {
            Some("url") => After::Url,
            Some("form") => After::Form,
            Some(_) => return None,
            None => After::Round {
                round: text.get("after")?.get().parse().ok()?,
                theirs: text.text("theirs").map(|theirs| theirs.as_ref().into()),
            },
        };
        let binding = HEXLOWER.decode(text.text("binding")?.as_bytes()).ok()?.try_into().ok()?;
        let approval = text.text("approval")?.as_ref().into();
        let expires_ms = text.get("expires")?.get().parse().ok()?;
        Some(Self { approval, binding, expires_ms, after })
    }
}

/// Reads the state of a request.
pub(crate) fn open(vault: &Vault, state: &str) -> Result<Brought, BadState> {
    if let Some(theirs) = state.strip_prefix(THEIRS) {
        return Ok(Brought::Theirs(theirs.into()));
    }
    let Some(sealed) = state.strip_prefix(OURS) else { return Ok(Brought::Theirs(state.into())) };
    // INVARIANT: what is marked as ours and does not open goes nowhere
    let text = vault.open_text(ABOUT, sealed).ok_or(BadState::Forged)?;
    let state = str::from_utf8(&text).ok().and_then(State::read);
    state.map(Brought::Ours).ok_or(BadState::Forged)
}

/// A server's state as the client gets it, where that must not be its own words.
pub(crate) fn marked(theirs: &str) -> Option<String> {
    let alike = theirs.starts_with(OURS) || theirs.starts_with(THEIRS);
    alike.then(|| format!("{THEIRS}{theirs}"))
}

/// Is there anything in it that would be?
pub(crate) fn may_be_marked(result: &str) -> bool {
    result.contains(OURS) || result.contains(THEIRS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        Vault::read(&Vault::new_key().unwrap()).unwrap()
    }

    fn states() -> [State; 4] {
        let of = |after| State { approval: "a\"1".into(), binding: [0xa7; 32], expires_ms: 1_700_000_000_000, after };
        [
            of(After::Url),
            of(After::Form),
            of(After::Round { round: 3, theirs: None }),
            of(After::Round { round: 0, theirs: Some("s\"\u{e9}".into()) }),
        ]
    }

    #[test]
    fn a_state_says_what_was_sealed_and_shows_nothing_of_it() {
        let vault = vault();
        for state in states() {
            let sealed = state.seal(&vault).unwrap();
            assert!(!sealed.contains("a7a7"), "{sealed}");
            assert_eq!(open(&vault, &sealed), Ok(Brought::Ours(state)));
        }
    }

    #[test]
    fn what_is_marked_as_ours_and_was_not_sealed_here_is_refused() {
        let (vault, other) = (vault(), vault());
        for state in states() {
            let sealed = state.seal(&vault).unwrap();
            assert_eq!(open(&other, &sealed), Err(BadState::Forged), "another key");
            for at in OURS.len()..sealed.len() {
                let mut bent = sealed.clone().into_bytes();
                bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
                let bent = String::from_utf8(bent).unwrap();
                // The last character may say the same in bits that nobody reads; then the encoding is refused.
                assert_eq!(open(&vault, &bent), Err(BadState::Forged), "{at}");
                assert_eq!(open(&vault, &sealed[..at]), Err(BadState::Forged), "cut at {at}");
            }
        }
        let other_purpose = vault.seal_text(&["approval.task"], states()[0].text().as_bytes()).unwrap();
        let other_purpose = format!("{OURS}{other_purpose}");
        assert_eq!(open(&vault, &other_purpose), Err(BadState::Forged));
    }

    #[test]
    fn states_of_others_come_back_to_them_as_they_were() {
        let vault = vault();
        let ours = states()[0].seal(&vault).unwrap();
        for theirs in ["", "s1", "tgas1", &ours, "tgas1.", "tgax1.", "tgax1.tgas1.x", "\u{e9}"] {
            let given = marked(theirs).unwrap_or_else(|| theirs.to_owned());
            assert_eq!(open(&vault, &given), Ok(Brought::Theirs(theirs.into())), "{theirs}");
        }
        assert_eq!(marked("s1"), None, "what nobody can mistake stays byte for byte");
    }
}
