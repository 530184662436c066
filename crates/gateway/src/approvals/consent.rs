//! That somebody said yes, and its use: once.

use std::sync::Arc;

use super::{Approvals, Binding};
use crate::ruling::Lack;

/// A consent that was found. It lets nothing through before it is taken.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    pub(crate) by: By,
    /// Of the call that it is for.
    pub(crate) binding: Binding,
    /// Who consented.
    pub(crate) approvers: Arc<[String]>,
    pub(crate) usage: Use,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Approval(Arc<str>),
    Grant(Arc<str>),
}

/// What of it is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The consent itself.
    First,
    /// Nothing: a translation says the same call once more, which is still going on.
    Carried,
    /// A further round of a call that used it: the round.
    Round(i64),
}

impl By {
    /// As the record has it.
    pub(crate) fn told(&self) -> (&'static str, &str) {
        match self {
            Self::Approval(id) => ("approval", id),
            Self::Grant(id) => ("grant", id),
        }
    }
}

impl Consent {
    /// For what a translation says once more of the same call.
    pub(crate) fn carried(self) -> Self {
        Self { usage: Use::Carried, ..self }
    }
}

impl Approvals {
    /// Uses it up, in one step that the store takes for one call only. False: another call was faster, or it is no longer good.
    pub(super) async fn take(&self, consent: &Consent) -> Result<bool, Lack> {
        let Some(store) = &self.store else { return Err(Lack::NoStore) };
        let (binding, now) = (consent.binding.bytes(), self.clock.now_ms());
        let taken = match (&consent.by, consent.usage) {
            (_, Use::Carried) => return Ok(true),
            (By::Approval(id), Use::First) => store.use_approval(id, binding, now).await,
            (By::Approval(id), Use::Round(round)) => store.use_round(id, binding, round, now).await,
            (By::Grant(id), Use::First) => store.use_grant(id, now).await,
            // A grant has no rounds: each is a use of its own.
            (By::Grant(_), Use::Round(_)) => return Ok(false),
        };
        taken.map_err(super::desk::silence)
    }
}
