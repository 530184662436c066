//! Asks what people said about a call; and where nobody said anything, asks them.

use std::sync::Arc;
use std::time::Duration;

use policy::{Approval as Rule, Call, Denial};
use serde_json::value::RawValue;
use store::{Approval, ApprovalState, AskBounds, Asked, Asking, Store, StoreError, TooMany};

use super::binding::hash;
use super::clock::millis;
use super::{Approvals, Binding, By, Consent, ID, Use, Wanted};
use crate::policies::chain;
use crate::random;
use crate::ruling::{Lack, Ticket, Why};

impl Approvals {
    /// Could anybody be asked about such arguments?
    pub(super) fn could_ask(&self, arguments: Option<&RawValue>) -> Result<(), Why> {
        let size = arguments.map_or(0, |arguments| arguments.get().len());
        let most = self.live().arguments;
        match &self.store {
            None => Err(no_store()),
            Some(_) if size > most => Err(Why::Unavailable(Lack::TooLarge(most))),
            Some(_) => Ok(()),
        }
    }

    /// The consent that there is for the call, not yet taken. If there is none, somebody is asked, unless somebody is being asked already.
    ///
    /// `call` is what a grant's words are held against; `owner` is whose the agent is.
    pub(super) async fn look(
        &self,
        wanted: &Wanted<'_>,
        call: Call<'_>,
        owner: Option<&str>,
        denial: &Denial,
    ) -> Result<Consent, Why> {
        let store = self.store.as_ref().ok_or_else(no_store)?;
        let meant = wanted.meant();
        let binding = wanted.binding(&meant);
        let failed = |error| Why::Unavailable(silence(error));
        let rule = denial.approval.as_deref().cloned().unwrap_or_default();
        let now = self.clock.now_ms();
        let standing =
            self.pulse.heard(store.standing_approval(binding.bytes(), now)).await.map_err(Why::Unavailable)?;
        // INVARIANT: what was said about this very call goes before what a grant says of calls like it
        let waits = match standing.and_then(|approval| self.said(approval, binding, &rule, now)) {
            Some(Err(Why::Waits(ticket))) => Some(ticket),
            Some(said) => return said,
            None => None,
        };
        if let Some(grant) = self.granted(store, wanted, call).await.map_err(failed)? {
            let (by, approvers) = (By::Grant(grant.id.as_str().into()), Arc::from([grant.made_by]));
            return Ok(Consent { by, binding, approvers, usage: Use::First });
        }
        if let Some(ticket) = waits {
            store.count_ask(&ticket.id);
            return Err(Why::Waits(ticket));
        }
        let asked = asked(wanted, binding, &meant, owner, denial, &rule);
        match self.ask(store, &asked, &rule).await.map_err(failed)? {
            Asking::New(approval) => {
                let ticket = Ticket { is_new: true, ..self.ticket(&approval, &rule) };
                Err(Why::Waits(ticket.into()))
            }
            Asking::Open(approval) | Asking::Denied(approval) => {
                let said = self.said(approval, binding, &rule, self.clock.now_ms());
                said.unwrap_or(Err(Why::Unavailable(Lack::Busy)))
            }
            Asking::Expired(approval) => Err(Why::Expired(approval.id.into())),
            Asking::TooMany(many) => Err(Why::Overflow(overflow(many))),
        }
    }

    async fn ask(&self, store: &Store, asked: &Asked, rule: &Rule) -> Result<Asking, StoreError> {
        let id =
            random::hex::<ID>().map_err(|error| StoreError::Invalid { what: "approval", why: error.to_string() })?;
        let live = self.live();
        let bounds = AskBounds {
            per_agent: count(live.pending_per_agent.get()),
            per_server: count(live.pending_per_server.get()),
            per_hour: count(live.asks_per_hour.get()),
        };
        let now = self.clock.now_ms();
        store.ask_approval(&id, asked, now.saturating_add(millis(rule.timeout)), &bounds, &self.targets(), now).await
    }

    /// What a record of the store's says about the call now; none where it says nothing any more.
    fn said(&self, approval: Approval, binding: Binding, rule: &Rule, now: i64) -> Option<Result<Consent, Why>> {
        if now >= approval.expires_ms {
            return None;
        }
        match approval.state {
            ApprovalState::Pending => Some(Err(Why::Waits(self.ticket(&approval, rule).into()))),
            ApprovalState::Approved => {
                let approvers = super::back::approvers(&approval);
                let by = By::Approval(approval.id.as_str().into());
                Some(Ok(Consent { by, binding, approvers, usage: Use::First }))
            }
            ApprovalState::Denied => Some(Err(denied(&approval))),
            ApprovalState::Expired | ApprovalState::Used => None,
        }
    }

    fn ticket(&self, approval: &Approval, rule: &Rule) -> Ticket {
        Ticket {
            id: approval.id.as_str().into(),
            url: self.page(&approval.id).into(),
            expires_ms: approval.expires_ms,
            hold: rule.hold,
            is_new: false,
        }
    }
}

/// What somebody's no is to who asked.
pub(super) fn denied(approval: &Approval) -> Why {
    let no = approval.votes.iter().rev().find(|vote| !vote.approve);
    let reason = no.and_then(|vote| vote.reason.as_deref());
    Why::Denied { id: approval.id.as_str().into(), reason: reason.map(Into::into) }
}

/// What people are shown, and what binds the approval.
fn asked(
    wanted: &Wanted<'_>,
    binding: Binding,
    meant: &str,
    owner: Option<&str>,
    denial: &Denial,
    rule: &Rule,
) -> Asked {
    Asked {
        binding: *binding.bytes(),
        agent: wanted.agent.to_owned(),
        owner: owner.map(str::to_owned),
        server: wanted.server.to_owned(),
        method: wanted.method.as_str().to_owned(),
        subject: wanted.subject.to_owned(),
        arguments: wanted.arguments.map_or_else(String::new, |arguments| arguments.get().to_owned()),
        digest: hash(meant),
        definition: wanted.definition.map(str::to_owned),
        policy: wanted.policy.to_owned(),
        rule: denial.rule.as_str().to_owned(),
        reason: denial.reason.as_deref().map(str::to_owned),
        approvers: rule.approvers.clone(),
        quorum: rule.quorum.get(),
        self_approval: rule.self_approval,
    }
}

fn overflow(many: TooMany) -> Option<Duration> {
    match many {
        TooMany::Agent | TooMany::Server => None,
        TooMany::Often { retry_after_ms } => {
            Some(Duration::from_millis(u64::try_from(retry_after_ms).unwrap_or_default()))
        }
    }
}

fn count(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}

fn no_store() -> Why {
    tracing::warn!("a call needs a person's approval, and there is no store to keep it in: set `store.url`");
    Why::Unavailable(Lack::NoStore)
}

/// The same, for a call that would have needed it.
pub(super) fn silence(error: StoreError) -> Lack {
    silent(&error);
    Lack::Silent
}

pub(super) fn silent(error: &StoreError) {
    tracing::warn!(error = %chain(error), "the store of approvals does not answer as it should");
}
