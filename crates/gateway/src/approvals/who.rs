//! Who may decide about a call. The role is looked at before this; here it is the rule's own word, and that nobody decides about what is his own.

use store::Asked;

/// The agent's label that names a person whose it is.
pub(super) const OWNER: &str = "owner";

/// Why somebody may not decide about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MayNot {
    #[error("the rule names others to approve this")]
    NotNamed,
    #[error("nobody approves a call of an agent of his own")]
    Own,
}

/// May this admin decide, by its name and its groups?
pub fn may_decide(asked: &Asked, admin: &str, groups: &[String]) -> Result<(), MayNot> {
    let is_own = asked.agent == admin || asked.owner.as_deref() == Some(admin);
    if is_own && !asked.self_approval {
        return Err(MayNot::Own);
    }
    let is_named = |name: &String| name == admin || groups.contains(name);
    match asked.approvers.is_empty() || asked.approvers.iter().any(is_named) {
        true => Ok(()),
        false => Err(MayNot::NotNamed),
    }
}
