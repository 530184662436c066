//! One person's word about one call. The API and the page both come through here, so that both refuse alike.

use gateway::approvals::{MayNot, may_decide};
use gateway::{Act, Redeemable};
use store::{Approval, ApprovalState, Asked, StoreError, Vote, Voted};

use crate::guard::{By, Caller};
use crate::here::{Deed, Here};
use crate::problem::{Code, Problem};
use crate::secret::Hash;

pub(crate) const WHAT: &str = "approval";

/// Characters of a reason.
pub(crate) const MAX_REASON: usize = 1_000;

/// Characters of an id of ours; what has more, or others, is not looked for.
const MAX_ID: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    Deny,
}

impl Verdict {
    /// As the journal calls it.
    fn action(self) -> &'static str {
        match self {
            Self::Approve => "approval.approve",
            Self::Deny => "approval.deny",
        }
    }
}

/// What somebody is about to say.
pub(crate) struct Word {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Option<String>,
    /// Of a link that lets it be said once.
    pub(crate) key: Option<Hash>,
}

pub(crate) fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

pub(crate) async fn approval(here: &Here, id: &str) -> Result<Approval, Problem> {
    let known = if is_id(id) { here.store.approval(id).await? } else { None };
    known.ok_or_else(|| Problem::not_found(WHAT, id))
}

/// Why this is not for them to decide, if it is not.
pub(crate) fn may(caller: &Caller, asked: &Asked) -> Result<(), Problem> {
    let refused = |why: &str, detail: String| Err(Problem::new(Code::MayNotDecide, detail).with("why", why));
    if !caller.role.may_approve() {
        return refused("role", format!("the role `{}` decides nothing", caller.role.as_str()));
    }
    match may_decide(asked, &caller.name, &caller.groups) {
        Ok(()) => Ok(()),
        Err(why @ MayNot::Own) => refused("self_approval", why.to_string()),
        Err(why @ MayNot::NotNamed) => refused("not_an_approver", why.to_string()),
    }
}

/// A reason as it may be kept; what is empty is none. Forms end lines as the network does.
pub(crate) fn reason(text: Option<String>) -> Result<Option<String>, Problem> {
    let text = text.map(|text| text.trim().replace("\r\n", "\n")).filter(|text| !text.is_empty());
    match text.as_ref().is_some_and(|text| text.contains('\0') || text.chars().count() > MAX_REASON) {
        true => Err(Problem::invalid("/reason", format!("may have {MAX_REASON} characters, and no NUL"))),
        false => Ok(text),
    }
}

/// Says it. The answer is the call as it stands now: it may still wait for others.
pub(crate) async fn decide(here: &Here, caller: &Caller, id: &str, word: Word) -> Result<Approval, Problem> {
    let Word { verdict, reason, key } = word;
    let deed = Deed { action: verdict.action(), id, from: None };
    let approval = pending(here, caller, deed).await?;
    let approve = verdict == Verdict::Approve;
    let vote = Vote { by: caller.name.to_string(), approve, reason, at_ms: here.approvals_now() };
    let work = async {
        if let Some(key) = key {
            let used = here.store.use_approval_link(&key, vote.at_ms).await?;
            // Of any number who use it at once, one is let through.
            used.ok_or_else(spent)?;
        }
        cast(here, caller, &approval.id, &vote).await
    };
    here.on_record(caller, deed, work, |_| None).await
}

/// A link that was good, and why it is not any more.
pub(crate) fn no_longer(approval: &Approval, now_ms: i64) -> Problem {
    match approval.state_at(now_ms) {
        ApprovalState::Expired => closed(approval, now_ms),
        ApprovalState::Pending | ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Used => spent(),
    }
}

fn spent() -> Problem {
    Problem::new(
        Code::Spent,
        "what was decided by it, if anything was, counts; who is signed in sees how the call stands, and may still decide",
    )
}

/// Somebody changed what this admin may, at this moment. Whether they still may decide, the next try says.
pub(crate) fn changed(error: StoreError) -> Problem {
    if !matches!(error, StoreError::Stale { .. }) {
        return error.into();
    }
    let detail = "what you may do was changed at this moment: look again, and decide anew if you still may";
    Problem::new(Code::MayNotDecide, detail).with("why", "changed")
}

async fn cast(here: &Here, caller: &Caller, id: &str, vote: &Vote) -> Result<Approval, Problem> {
    match here.store.vote(id, vote, Some(caller.version)).await.map_err(changed)? {
        Voted::Counted(approval) => Ok(approval),
        Voted::Again(approval) => {
            let (has, quorum) = (approvals(&approval), quorum(&approval.asked));
            let detail = format!("your word counts already; {has} of {quorum} approve");
            Err(Problem::new(Code::Voted, detail).with("state", approval.state.as_str()))
        }
        Voted::Decided(approval) => Err(closed(&approval, vote.at_ms)),
    }
}

/// The call, if it still waits and this is for them to decide. What is not is on record.
pub(crate) async fn pending(here: &Here, caller: &Caller, deed: Deed<'_>) -> Result<Approval, Problem> {
    let approval = approval(here, deed.id).await?;
    if let Err(problem) = may(caller, &approval.asked) {
        let code = Some(problem.code.as_str());
        here.record(Act { outcome: "refused", code, ..caller.act(deed) }).await?;
        return Err(problem);
    }
    match approval.state_at(here.approvals_now()) {
        ApprovalState::Pending => Ok(approval),
        ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Expired | ApprovalState::Used => {
            Err(closed(&approval, here.approvals_now()))
        }
    }
}

fn closed(approval: &Approval, now_ms: i64) -> Problem {
    let state = approval.state_at(now_ms);
    let by = || match approval.votes.last() {
        Some(vote) => format!(" by `{}`", vote.by),
        None => String::new(),
    };
    let (code, detail) = match state {
        // The store's clock is ahead of ours.
        ApprovalState::Pending | ApprovalState::Expired => {
            (Code::Expired, "it expired; if the agent still wants it, it asks anew".to_owned())
        }
        ApprovalState::Approved => (Code::Decided, format!("it is approved{}", by())),
        ApprovalState::Used => (Code::Decided, format!("it was approved{}, and the call was made", by())),
        ApprovalState::Denied => (Code::Decided, format!("it is denied{}", by())),
    };
    Problem::new(code, detail).with("state", state.as_str())
}

/// How many approve so far.
pub(crate) fn approvals(approval: &Approval) -> usize {
    approval.votes.iter().filter(|vote| vote.approve).count()
}

/// How many must.
pub(crate) fn quorum(asked: &Asked) -> u32 {
    asked.quorum.max(1)
}

/// Why a yes would let nothing pass, if that is so.
pub(crate) fn in_vain(here: &Here, approval: &Approval) -> Option<&'static str> {
    match approval.state_at(here.approvals_now()) {
        ApprovalState::Pending | ApprovalState::Approved => otherwise_now(here, &approval.asked),
        ApprovalState::Denied | ApprovalState::Expired => Some("it is over"),
        ApprovalState::Used => Some("the call was made"),
    }
}

/// What changed since a person was asked, if that makes the same call another one. It may change back.
pub(crate) fn otherwise_now(here: &Here, asked: &Asked) -> Option<&'static str> {
    match here.control.redeemable(asked) {
        Redeemable::Yes => None,
        Redeemable::Ended => Some("the gateway has ended"),
        Redeemable::NoServer => Some("the server is not there any more, or this agent may not use it"),
        Redeemable::NoAgent => Some("the agent is not there any more, or not enabled"),
        Redeemable::OtherPolicy => Some("another policy judges such calls now"),
        Redeemable::OtherDefinition => Some("the server describes this otherwise now"),
    }
}

/// How they came, for people.
pub(crate) fn via(caller: &Caller) -> &'static str {
    match caller.by {
        By::Token => "by a token",
        By::Session(_) => "signed in",
        By::Link => "by a link for this one call",
    }
}
