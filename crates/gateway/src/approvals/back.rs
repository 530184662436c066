//! A client that comes back: to a call that waits for a person, or with what the server asked during one that was approved.

use mcp::{Object, Params};
use store::{Approval, ApprovalState, Vote};

use super::form::{self, Said};
use super::rounds::GRANT;
use super::state::{self, After, Brought, State};
use super::url::ASKED;
use super::{Approvals, Binding, By, Consent, Use};
use crate::refusal::Refusal;
use crate::ruling::{Lack, Why};

/// What a request came back to, and what its client's user said. It is ours, and goes no further.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    state: State,
    said: Option<Answer>,
}

/// The answer to what we asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Form(Said),
    Page { opens: bool },
}

impl Back {
    /// Takes out of a request what is ours; what is the server's stays, as the server gave it out.
    pub(crate) fn taken(params: &mut Params<'_>, approvals: &Approvals) -> Result<Option<Self>, Refusal> {
        let Some(text) = params.get("requestState") else { return Ok(None) };
        let text: String = serde_json::from_str(text).unwrap_or_default();
        match state::open(approvals.vault(), &text)? {
            Brought::Theirs(theirs) if *theirs == *text => Ok(None),
            Brought::Theirs(theirs) => {
                params.replace("requestState", mcp::string(&theirs));
                Ok(None)
            }
            Brought::Ours(state) => {
                let said = Answer::of(&state, params.get("inputResponses"));
                params.remove("requestState");
                match &state.after {
                    After::Url | After::Form => params.remove("inputResponses"),
                    After::Round { theirs, .. } => {
                        if let Some(theirs) = theirs {
                            params.add("requestState", mcp::string(theirs));
                        }
                    }
                }
                Ok(Some(Self { state, said }))
            }
        }
    }

    /// The same of a request that was read before: it changes nothing.
    pub(super) fn seen(params: &Object<'_>, approvals: &Approvals) -> Option<Self> {
        let Ok(Brought::Ours(state)) = state::open(approvals.vault(), &params.text("requestState")?) else {
            return None;
        };
        let responses = params.get("inputResponses").map(|responses| responses.get());
        Some(Self { said: Answer::of(&state, responses), state })
    }

    /// Has the client's user nothing more to do with it?
    pub(super) fn walks_away(&self) -> bool {
        matches!(self.said, Some(Answer::Form(Said::Nothing) | Answer::Page { opens: false }))
    }

    /// Does it go on with a call that was let through?
    pub(super) fn is_a_round(&self) -> bool {
        matches!(self.state.after, After::Round { .. })
    }

    pub(super) fn opened_a_page(&self) -> bool {
        matches!(self.state.after, After::Url)
    }
}

impl Answer {
    fn of(state: &State, responses: Option<&str>) -> Option<Self> {
        let response = responses.and_then(Object::read).and_then(|responses| Some(responses.get(ASKED)?.get()))?;
        match state.after {
            After::Url => Some(Self::Page { opens: form::opens(response) }),
            After::Form => Some(Self::Form(form::said(response))),
            After::Round { .. } => None,
        }
    }
}

impl Approvals {
    /// INVARIANT: a state says which approval a call is about; whether it is this call, and what became of the approval, is looked up.
    ///
    /// The consent of a further round; none where the call is to be looked at like any other.
    pub(super) async fn comes_back(&self, back: &Back, binding: &Binding, agent: &str) -> Result<Option<Consent>, Why> {
        let State { approval: id, binding: sealed, expires_ms, after } = &back.state;
        if sealed != binding.bytes() {
            return Err(Why::Changed);
        }
        let (now, expired) = (self.clock.now_ms(), || Why::Expired((**id).into()));
        if id.starts_with(GRANT) {
            // The server did ask this; a further use of the grant lets the answer through.
            return if now < *expires_ms { Ok(None) } else { Err(Why::Changed) };
        }
        let approval =
            self.find(id).await.map_err(Why::Unavailable)?.filter(|_| now < *expires_ms).ok_or_else(expired)?;
        if let After::Round { round, .. } = after {
            return Ok(Some(Consent {
                by: By::Approval((**id).into()),
                binding: *binding,
                approvers: approvers(&approval),
                usage: Use::Round(*round),
            }));
        }
        match approval.state_at(now) {
            ApprovalState::Used => return Err(Why::Used),
            ApprovalState::Expired => return Err(expired()),
            ApprovalState::Pending | ApprovalState::Approved | ApprovalState::Denied => {}
        }
        if let Some(Answer::Form(said)) = back.said {
            self.consented_by_its_user(&approval, agent, said).await.map_err(Why::Unavailable)?;
        }
        Ok(None)
    }

    /// Counts what the client's own user said, if the rule lets who asks approve. An answer that says nothing counts for nothing.
    pub(super) async fn consented_by_its_user(&self, approval: &Approval, agent: &str, said: Said) -> Result<(), Lack> {
        let approve = match said {
            Said::Nothing => return Ok(()),
            Said::Yes => true,
            Said::No => false,
        };
        let (asked, now) = (&approval.asked, self.clock.now_ms());
        // INVARIANT: only whose call it is, and only where the rule says so
        if asked.agent != agent || !form::may_consent(asked) || approval.state_at(now) != ApprovalState::Pending {
            return Ok(());
        }
        let Some(store) = &self.store else { return Err(Lack::NoStore) };
        let vote = Vote { by: format!("agent:{agent}"), approve, reason: None, at_ms: now };
        let voted = store.vote(&approval.id, &vote, None).await.map_err(super::desk::silence);
        tracing::info!(target: "toolgate::approval", approval = approval.id, by = vote.by, approve, "consent");
        voted.map(drop)
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Approval>, Lack> {
        let Some(store) = &self.store else { return Err(Lack::NoStore) };
        self.pulse.heard(store.approval(id)).await
    }
}

pub(super) fn approvers(approval: &Approval) -> std::sync::Arc<[String]> {
    approval.votes.iter().filter(|vote| vote.approve).map(|vote| vote.by.clone()).collect()
}
