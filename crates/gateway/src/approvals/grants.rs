//! Grants with a scope: so many calls of one tool, as long as their arguments keep to a predicate. That is kept as a policy document of its
//! own, and asked as one; what it permits is a consent and never a permit.

use mcp::Method;
use policy::{Call, Decision, Policy};
use serde_json::{Value, json};
use store::{Grant, Store, StoreError};

use super::{Approvals, Wanted};

/// What a grant's document is called where it is wrong.
const NAME: &str = "grant";

/// Why no grant can say that.
#[derive(Debug, thiserror::Error)]
pub enum ScopeFault {
    #[error("a grant is for one name, and `{0}` would be a pattern in a policy")]
    Pattern(String),
    #[error("there are no grants for `{0}`")]
    Method(String),
    #[error("{0}")]
    Invalid(String),
}

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

/// The document of a grant for one name, with the predicates that its arguments must keep to; one of none permits all of them.
pub(crate) fn scope(method: &str, subject: &str, require: Option<&Value>) -> Result<String, ScopeFault> {
    if subject.contains(['*', '?']) {
        return Err(ScopeFault::Pattern(subject.to_owned()));
    }
    let space = space(method).ok_or_else(|| ScopeFault::Method(method.to_owned()))?;
    let rule = require.map_or_else(|| json!({}), |require| json!({ "require": require }));
    let document = json!({ "version": "1", "default": "deny", space: { subject: rule } }).to_string();
    match Policy::parse(NAME, &document) {
        Ok(_) => Ok(document),
        Err(errors) => Err(ScopeFault::Invalid(errors.to_string())),
    }
}

/// Where a policy speaks of what this method asks for.
fn space(method: &str) -> Option<&'static str> {
    match Method::named(method)? {
        Method::ToolsCall => Some("tools"),
        Method::PromptsGet => Some("prompts"),
        Method::ResourcesRead | Method::Subscribe => Some("resources"),
        Method::Discover
        | Method::Initialize
        | Method::Ping
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::TemplatesList
        | Method::Unsubscribe
        | Method::Complete
        | Method::SetLevel
        | Method::Listen
        | Method::TasksGet
        | Method::TasksCancel
        | Method::TasksResult
        | Method::TasksList
        | Method::TasksUpdate => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_can_be_made_for_whatever_can_wait() {
        let require = json!([{ "conditions": [{ "path": "args.n", "op": "lte", "value": 10 }] }]);
        for (method, subject) in [("tools/call", "pay"), ("prompts/get", "p"), ("resources/read", "docs://a")] {
            for require in [None, Some(&require)] {
                let made = scope(method, subject, require);
                assert!(made.is_ok(), "{method}: {made:?}");
            }
        }
        for (method, subject) in
            [("completion/complete", "p"), ("nonsense", "p"), ("tools/call", "p*"), ("tools/call", "")]
        {
            assert!(scope(method, subject, None).is_err(), "{method} {subject}");
        }
    }
}
