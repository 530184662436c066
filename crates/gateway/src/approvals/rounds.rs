//! What a server asks during a call that was approved: the client's answer goes on with that call, and with no other. The server's
//! state is put in one of ours, which opens once.

use std::sync::Arc;

use mcp::Object;

use super::state::{After, State, marked, may_be_marked};
use super::{Approvals, By, Consent, Use};
use crate::config::Bounds;
use crate::refusal::Refusal;
use crate::vault::Vault;

/// What begins the id of a grant where that of an approval may be: no approval's does.
pub(super) const GRANT: &str = "grant:";

/// The approved call of which an answer is, and which round it is.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) approval: Box<str>,
    pub(crate) binding: [u8; 32],
    /// Of the answer's next.
    pub(crate) next: i64,
    /// How many there may be.
    pub(crate) most: i64,
    pub(crate) expires_ms: i64,
    pub(crate) vault: Arc<Vault>,
}

impl Approvals {
    /// The round that the answer to this call may begin. Of a grant each round is a use of its own, and so it is always the first.
    pub(crate) fn round(&self, consent: &Consent, bounds: &Bounds) -> Option<Round> {
        let next = match consent.usage {
            Use::First => 0,
            Use::Round(round) => round.saturating_add(1),
            Use::Carried => return None,
        };
        let approval = match &consent.by {
            By::Approval(id) => (**id).into(),
            By::Grant(id) => format!("{GRANT}{id}").into(),
        };
        Some(Round {
            approval,
            binding: *consent.binding.bytes(),
            next,
            most: i64::try_from(self.live().rounds.get()).unwrap_or(i64::MAX),
            expires_ms: self.clock.now_ms().saturating_add(super::clock::millis(bounds.input_timeout)),
            vault: Arc::clone(self.vault()),
        })
    }
}

/// The result as the client of an approved call gets it, where it asks; none where it is passed on as it came.
pub(crate) fn wrapped(result: &str, round: &Round) -> Result<Option<String>, Refusal> {
    let Some((members, theirs)) = asks(result) else { return Ok(None) };
    if round.next >= round.most {
        return Err(Refusal::Input("too often"));
    }
    let after = After::Round { round: round.next, theirs: theirs.map(Into::into) };
    let state = State { approval: round.approval.clone(), binding: round.binding, expires_ms: round.expires_ms, after };
    let sealed = state.seal(&round.vault).ok_or(Refusal::NoRandomness)?;
    Ok(Some(members.amended(&[], &[("requestState", &mcp::string(&sealed))])))
}

/// The result of any other call, where a state in it looks like ours: then it is marked as the server's.
pub(crate) fn passed(result: &str) -> Option<String> {
    if !may_be_marked(result) {
        return None; // written with escapes, it is refused when it comes back
    }
    let (members, theirs) = asks(result)?;
    Some(members.amended(&[], &[("requestState", &mcp::string(&marked(&theirs?)?))]))
}

/// A result that asks, or that nobody can say what it is; and the state that came with it.
fn asks(result: &str) -> Option<(Object<'_>, Option<String>)> {
    let members = Object::read(result)?;
    let kind = members.text("resultType");
    if matches!(kind.as_deref(), Some("complete" | "task")) || (kind.is_none() && members.get("resultType").is_none()) {
        return None;
    }
    let state = members.text("requestState").map(|state| state.into_owned());
    Some((members, state))
}

#[cfg(test)]
mod tests {
    use super::super::state::{Brought, open};
    use super::*;

    fn round(next: i64) -> Round {
        let vault = Arc::new(Vault::read(&Vault::new_key().unwrap()).unwrap());
        Round { approval: "a1".into(), binding: [1; 32], next, most: 3, expires_ms: 7, vault }
    }

    #[track_caller]
    fn check(result: &str, theirs: Option<&str>) {
        let round = round(2);
        let wrapped = wrapped(result, &round).unwrap().unwrap();
        let state = Object::read(&wrapped).unwrap().text("requestState").unwrap().into_owned();
        let Brought::Ours(state) = open(&round.vault, &state).unwrap() else { panic!("{state}") };
        assert_eq!(state.after, After::Round { round: 2, theirs: theirs.map(Into::into) });
        assert_eq!((&*state.approval, state.binding, state.expires_ms), ("a1", [1; 32], 7));
    }

    #[test]
    fn a_servers_state_is_carried_in_one_of_ours() {
        check(r#"{"resultType":"input_required","requestState":"s\u00e91"}"#, Some("s\u{e9}1"));
        check(r#"{"resultType":"input_required","inputRequests":{},"x":1.50}"#, None);
        check(r#"{"\u0072esultType":"input_required","\u0072equestState":"s"}"#, Some("s"));
        let asking = r#"{"resultType":"input_required","inputRequests":{"a":{"n":1.50}}}"#;
        let kept = wrapped(asking, &round(0)).unwrap().unwrap();
        let expected = asking.replace("}}}", r#"}},"requestState":"tgas1."#);
        assert!(kept.starts_with(&expected), "{kept}");
        for other in
            [r#"{"resultType":"complete","requestState":"s"}"#, r#"{"content":[]}"#, r#"{"resultType":"task"}"#]
        {
            assert!(wrapped(other, &round(0)).unwrap().is_none(), "{other}");
        }
    }

    #[test]
    fn a_server_asks_only_so_often() {
        let asking = r#"{"resultType":"input_required","requestState":"s"}"#;
        assert!(wrapped(asking, &round(2)).is_ok());
        assert!(matches!(wrapped(asking, &round(3)), Err(Refusal::Input("too often"))));
    }

    #[test]
    fn only_what_looks_like_ours_is_touched() {
        let of = |state: &str| format!(r#"{{"resultType":"input_required","requestState":{state}}}"#);
        for state in ["\"s\"", "7", "{}"] {
            assert_eq!(passed(&of(state)), None, "{state}");
        }
        assert_eq!(passed(&of("\"tgas1.x\"")).unwrap(), of("\"tgax1.tgas1.x\""));
        assert_eq!(passed(r#"{"resultType":"complete","x":"tgas1."}"#), None);
    }
}
