//! What a policy looks at when it judges a call of a name: for those who know only a part of a call, and must not guess the rest.

use crate::path::Path;
use crate::ruling::Ruling;
use crate::{Per, Policy, Subject};

/// Facts that the decision on a call, or the count of its limits, may depend on. Its name and its time always count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub arguments: bool,
    pub agent: bool,
    pub labels: bool,
    pub server: bool,
}

impl Policy {
    /// What calls of this name are judged by, besides the name.
    pub fn needs(&self, subject: Subject<'_>) -> Needs {
        let judgement = self.judge(subject);
        match judgement.ruling {
            Ruling::Hidden | Ruling::Denied(_) | Ruling::DeniedByDefault => return Needs::default(),
            Ruling::NeedsApproval(_) | Ruling::Permitted(_) | Ruling::PermittedByDefault => {}
        }
        let checks = || judgement.asking.iter().flat_map(|rule| &rule.checks);
        let asks = |wanted: fn(&Path) -> bool| checks().any(|check| check.condition.any_path(wanted));
        let priced = judgement.owed.iter().any(|owed| !owed.priced.is_empty());
        let counts = |per: &[Per]| {
            let mut counters = judgement.owed.iter().filter_map(|owed| self.counters().get(owed.counter));
            counters.any(|counter| per.contains(&counter.per))
        };
        Needs {
            arguments: priced || asks(|path| matches!(path, Path::Args(_))),
            agent: asks(|path| matches!(path, Path::AgentId)) || counts(&[Per::Agent, Per::Session]),
            labels: asks(|path| matches!(path, Path::Label(_))),
            server: asks(|path| matches!(path, Path::ServerId)) || counts(&[Per::Server]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, expected: Needs) {
        let policy = format!(r#"{{ "version": "1", "tools": {{ "t": {rule} }} }}"#);
        assert_eq!(Policy::parse("policy.json", &policy).unwrap().needs(Subject::Tool("t")), expected, "{rule}");
    }

    #[test]
    fn a_decision_needs_what_its_rules_ask_about() {
        let none = Needs::default();
        let on = |path: &str| {
            let condition = format!(r#"{{ "not": {{ "path": "{path}", "op": "eq", "value": "x" }} }}"#);
            format!(r#"{{ "deny_if": [{{ "conditions": [{condition}] }}] }}"#)
        };
        check("{}", none);
        check(r#"{ "rate_limit": "9/minute" }"#, Needs { agent: true, ..none });
        check(r#"{ "limits": [{ "max": 9, "window": "1m", "per": "gateway" }] }"#, none);
        check(r#"{ "limits": [{ "max": 9, "window": "1m", "per": "server" }] }"#, Needs { server: true, ..none });
        check(&on("tool.name"), none);
        check(&on("args.a"), Needs { arguments: true, ..none });
        check(&on("agent.id"), Needs { agent: true, ..none });
        check(&on("agent.labels.team"), Needs { labels: true, ..none });
        check(&on("server.id"), Needs { server: true, ..none });
        let priced = r#"{ "limits": [{ "max": 9, "window": "1m", "per": "gateway", "cost": "args.n" }] }"#;
        check(priced, Needs { arguments: true, ..none });
        check(&on("args.a").replace("{ \"deny_if", "{ \"action\": \"deny\", \"deny_if"), none);
    }
}
