//! What a grant covers, as a policy of its own: one name, and predicates on the arguments. A call is covered if that policy permits it.

use std::time::{Duration, SystemTime};

use policy::{Call, Context, Decision, Policy, PolicyErrors, Subject};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::Asked;

use crate::here::Here;
use crate::problem::{Code, Problem};

/// Predicates of one grant, and bytes of all of them.
const MAX_PREDICATES: usize = 64;
const MAX_SCOPE: usize = 64 << 10;

/// A policy that permits this name alone, where all of `require` holds.
pub(crate) struct Scope {
    text: String,
    /// Where each predicate begins.
    starts: Vec<usize>,
}

impl Scope {
    /// Of a call that is there: its own arguments must be covered, or else what is written is not what is meant.
    pub(crate) fn read(here: &Here, asked: &Asked, require: &[Box<RawValue>]) -> Result<String, Problem> {
        if require.len() > MAX_PREDICATES || require.iter().map(|one| one.get().len()).sum::<usize>() > MAX_SCOPE {
            let wanted = format!("may have {MAX_PREDICATES} predicates of {MAX_SCOPE} bytes together");
            return Err(Problem::invalid("/require", wanted));
        }
        let (section, subject) = addressed(asked)?;
        let scope = Self::write(section, &asked.subject, require);
        let policy = Policy::parse("require", &scope.text).map_err(|errors| scope.wrong(&errors))?;
        if let Some(n) = require.iter().position(|one| says_nothing(one.get())) {
            let wanted = "holds for any arguments: that any will do must be said, by `\"require\": []`";
            return Err(Problem::invalid(&format!("/require/{n}"), wanted));
        }
        // Everybody who reads grants gets it back.
        if serde_json::from_str::<Value>(&scope.text).is_err() {
            return Err(Problem::invalid("/require", "cannot be shown: it nests too deep, or has too large a number"));
        }
        scope.covers(here, &policy, asked, subject)?;
        Ok(scope.text)
    }

    fn write(section: &str, name: &str, require: &[Box<RawValue>]) -> Self {
        let name = Value::from(name);
        let mut text = format!(r#"{{"version":"1","default":"deny","{section}":{{{name}:{{"require":["#);
        let mut starts = Vec::with_capacity(require.len());
        for (n, predicate) in require.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            starts.push(text.len());
            // As it was written: a number keeps all its digits.
            text.push_str(predicate.get());
        }
        text.push_str("]}}}");
        Self { text, starts }
    }

    fn covers(&self, here: &Here, policy: &Policy, asked: &Asked, subject: Subject<'_>) -> Result<(), Problem> {
        let arguments = match asked.arguments.as_str() {
            "" => None,
            text => Some(serde_json::from_str::<&RawValue>(text).map_err(|error| Problem::internal(&error))?),
        };
        let agent = here.control.agents().into_iter().find(|agent| agent.id == asked.agent);
        let labels = agent.map(|agent| agent.labels).unwrap_or_default();
        let labels: Vec<(Box<str>, Box<str>)> =
            labels.into_iter().map(|(key, value)| (key.into_boxed_str(), value.into_boxed_str())).collect();
        let now = Duration::from_millis(here.approvals_now().max(0).unsigned_abs());
        let time = SystemTime::UNIX_EPOCH.checked_add(now).unwrap_or(SystemTime::UNIX_EPOCH);
        let context = Context { agent: Some(&asked.agent), labels: &labels, server: &asked.server, time };
        match policy.decide(Call { subject, arguments, context }) {
            Decision::Permit(_) => Ok(()),
            Decision::Deny(denial) => {
                let place = denial.rule.as_str();
                let place = place.find("/require/").and_then(|at| place.get(at..)).unwrap_or("/require");
                Err(Problem::invalid(place, "does not hold for the call that this grant is made from"))
            }
        }
    }

    /// Each error with the predicate that it is in.
    fn wrong(&self, errors: &PolicyErrors) -> Problem {
        let told = |finding: &policy::Finding| {
            let at = self.starts.iter().rposition(|start| *start <= finding.span().start);
            let path = at.map_or("/require".to_owned(), |n| format!("/require/{n}"));
            json!({ "path": path, "detail": finding.message(), "help": finding.help() })
        };
        let all: Vec<Value> = errors.iter().map(told).collect();
        Problem::new(Code::Invalid, "`/require` is not what a policy can require").with("errors", all)
    }
}

/// Is this a predicate that limits nothing?
pub(crate) fn says_nothing(predicate: &str) -> bool {
    is_always(predicate, true)
}

/// What nests, in a predicate and in its conditions.
#[derive(Deserialize)]
struct Nested {
    #[serde(alias = "conditions")]
    all: Option<Vec<Box<RawValue>>>,
    any: Option<Vec<Box<RawValue>>>,
    not: Option<Box<RawValue>>,
}

/// Does it hold (or fail) whatever the arguments are, by its form alone? It is one that the language takes, which bounds its depth.
fn is_always(text: &str, holds: bool) -> bool {
    let Ok(nested) = serde_json::from_str::<Nested>(text) else { return false };
    let (list, of_all) = match (nested.all, nested.any, nested.not) {
        (Some(all), None, None) => (all, holds),
        (None, Some(any), None) => (any, !holds),
        (None, None, Some(one)) => return is_always(one.get(), !holds),
        _ => return false,
    };
    let mut each = list.iter().map(|one| is_always(one.get(), holds));
    if of_all { each.all(|one| one) } else { each.any(|one| one) }
}

fn addressed(asked: &Asked) -> Result<(&'static str, Subject<'_>), Problem> {
    match asked.method.as_str() {
        "tools/call" => Ok(("tools", Subject::Tool(&asked.subject))),
        "resources/read" | "resources/subscribe" => Ok(("resources", Subject::Resource(&asked.subject))),
        "prompts/get" => Ok(("prompts", Subject::Prompt(&asked.subject))),
        _ => Err(Problem::new(Code::NotAvailable, "there are no grants for calls of this kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::says_nothing;

    #[test]
    fn what_limits_nothing_is_known_by_its_form() {
        const REAL: &str = r#"{ "path": "args.n", "op": "lte", "value": 1e999 }"#;
        let all_of =
            |conditions: &str| says_nothing(&format!(r#"{{ "on_deny": "no", "conditions": [{conditions}] }}"#));
        for nothing in [
            "",
            r#"{ "all": [] }"#,
            r#"{ "all": [] }, { "all": [{ "all": [] }] }"#,
            r#"{ "not": { "any": [] } }"#,
            r#"{ "not": { "not": { "all": [] } } }"#,
            &format!(r#"{{ "any": [{REAL}, {{ "all": [] }}] }}"#),
            &format!(r#"{{ "not": {{ "all": [{REAL}, {{ "any": [] }}] }} }}"#),
        ] {
            assert!(all_of(nothing), "{nothing}");
        }
        for something in [
            REAL,
            r#"{ "any": [] }"#,
            &format!(r#"{{ "all": [] }}, {REAL}"#),
            &format!(r#"{{ "any": [{REAL}] }}"#),
            &format!(r#"{{ "not": {REAL} }}"#),
        ] {
            assert!(!all_of(something), "{something}");
        }
    }
}
