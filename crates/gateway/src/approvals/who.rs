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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(approvers: &[&str], owner: Option<&str>, self_approval: bool) -> Asked {
        let text = |text: &str| text.to_owned();
        Asked {
            binding: [0; 32],
            agent: text("ci"),
            owner: owner.map(text),
            server: text("s"),
            method: text("tools/call"),
            subject: text("pay"),
            arguments: String::new(),
            digest: String::new(),
            definition: None,
            policy: String::new(),
            rule: String::new(),
            reason: None,
            approvers: approvers.iter().map(|name| text(name)).collect(),
            quorum: 1,
            self_approval,
        }
    }

    #[test]
    fn who_is_named_and_does_not_ask_may_decide() {
        let check = |asked: &Asked, admin: &str, groups: &[&str], expected: Result<(), MayNot>| {
            let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
            assert_eq!(may_decide(asked, admin, &groups), expected, "{admin} {groups:?} {:?}", asked.approvers);
        };
        let anybody = asked(&[], Some("ann"), false);
        check(&anybody, "bob", &[], Ok(()));
        check(&anybody, "ann", &[], Err(MayNot::Own));
        check(&anybody, "ci", &[], Err(MayNot::Own));
        let named = asked(&["leads", "bob", "ann"], Some("ann"), false);
        check(&named, "bob", &[], Ok(()));
        check(&named, "cid", &["leads"], Ok(()));
        check(&named, "cid", &["lead", "staff"], Err(MayNot::NotNamed));
        check(&named, "ann", &["leads"], Err(MayNot::Own));
        let own = asked(&["leads"], Some("ann"), true);
        check(&own, "ann", &["leads"], Ok(()));
        check(&own, "ann", &[], Err(MayNot::NotNamed));
    }
}
