//! Grants with a scope: so many calls of one tool, as long as their arguments keep to a predicate. That is kept as a policy document of its
//! own, and asked as one; what it permits is a consent and never a permit.

use policy::{Call, Decision, Policy};
use store::{Grant, Store, StoreError};

use super::{Approvals, Wanted};

/// What a grant's document is called where it is wrong.
const NAME: &str = "grant";

impl Approvals {
    /// A grant that this call keeps to. None is used up by looking.
    pub(super) async fn granted(
        &self,
        store: &Store,
        wanted: &Wanted<'_>,
        call: Call<'_>,
    ) -> Result<Option<Grant>, StoreError> {
        let (method, now) = (wanted.method.as_str(), self.clock.now_ms());
        let grants = store.matching_grants(wanted.agent, wanted.server, method, wanted.subject, now).await?;
        Ok(grants.into_iter().find(|grant| {
            // INVARIANT: another definition or another policy, and it is no longer what was granted
            let same = grant.definition.as_deref() == wanted.definition && grant.policy == wanted.policy;
            same && permits(&grant.scope, call)
        }))
    }
}

/// A document that cannot be read grants nothing.
fn permits(scope: &str, call: Call<'_>) -> bool {
    Policy::parse(NAME, scope).is_ok_and(|policy| matches!(policy.decide(call), Decision::Permit(_)))
}
