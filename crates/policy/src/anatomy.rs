//! All that a policy is made of, by name: which of it a call meets, and so what no call of a set has ever met. Decides nothing.

use crate::catalogue::{Class, Classes};
use crate::check::Check;
use crate::compile::{checks, limits};
use crate::diagnostics::Findings;
use crate::pattern::Pattern;
use crate::ruling::Ruling;
use crate::source::{Document, KeyedRule, RuleEntry};
use crate::{Call, Catalogue, Policy, PolicyErrors, RulePointer, Subject, read};

/// The rules of a document, with their predicates and limits.
#[derive(Debug)]
pub struct Anatomy {
    rules: Vec<Part>,
    classes: Classes,
}

#[derive(Debug)]
struct Part {
    on: On,
    except: Vec<Pattern>,
    pointer: RulePointer,
    checks: Box<[Check]>,
    limits: Vec<RulePointer>,
}

/// What a rule is written on.
#[derive(Debug)]
enum On {
    Tools(Pattern),
    Resources(Pattern),
    Prompts(Pattern),
    Class(fn(Class) -> &'static str, &'static str),
}

impl Anatomy {
    /// Of the same texts that [`Policy::parse_with`] reads.
    pub fn parse(name: &str, text: &str, catalogue: Option<&Catalogue>) -> Result<Self, PolicyErrors> {
        let mut findings = Findings::new(name, text);
        let document = read::document(text, &mut findings);
        findings.unless_errors()?;
        Ok(Self { rules: parts(document), classes: catalogue.map(|known| known.tools.clone()).unwrap_or_default() })
    }

    /// Every rule, predicate and limit: `hide` and the rules on all tools or classes first, then by name, as in the text.
    pub fn pointers(&self) -> impl Iterator<Item = &RulePointer> {
        self.rules.iter().flat_map(|part| {
            let checks = part.checks.iter().map(|check| &check.pointer);
            std::iter::once(&part.pointer).chain(checks).chain(&part.limits)
        })
    }

    /// What a call meets: the rules that match its name, and the predicates that object to it (a `require` that does not hold,
    /// a `deny_if` or `approve_if` that does) if the call comes as far. What it owes to limits, a permit says.
    pub fn met(&self, policy: &Policy, call: Call<'_>) -> Vec<&RulePointer> {
        let comes_far = match policy.judge(call.subject).ruling {
            Ruling::Hidden | Ruling::Denied(_) | Ruling::DeniedByDefault => false,
            Ruling::NeedsApproval(_) | Ruling::Permitted(_) | Ruling::PermittedByDefault => true,
        };
        let facts = policy.facts(call);
        let mut met = Vec::new();
        for part in self.rules.iter().filter(|part| part.matches(call.subject, &self.classes)) {
            met.push(&part.pointer);
            let objecting = part.checks.iter().filter(|check| comes_far && check.stops(&facts));
            met.extend(objecting.map(|check| &check.pointer));
        }
        met
    }
}

impl Part {
    fn of(on: On, rule: RuleEntry, pointer: RulePointer) -> Self {
        let (checks, limits) = (checks(&rule, &pointer), limits(&rule, &pointer).map(|(_, pointer)| pointer).collect());
        Self { on, except: rule.except.into_iter().map(|except| except.value).collect(), pointer, checks, limits }
    }

    fn matches(&self, subject: Subject<'_>, classes: &Classes) -> bool {
        let (name, matches) = match (&self.on, subject) {
            (On::Tools(pattern), Subject::Tool(name)) => (name, pattern.matches(name)),
            (On::Resources(pattern), Subject::Resource(uri)) => (uri, pattern.matches(uri)),
            (On::Prompts(pattern), Subject::Prompt(name)) => (name, pattern.matches(name)),
            (On::Class(of, word), Subject::Tool(name)) => {
                (name, classes.get(name).is_some_and(|class| of(*class) == *word))
            }
            _ => return false,
        };
        matches && !self.except.iter().any(|except| except.matches(name))
    }
}

fn parts(document: Document) -> Vec<Part> {
    let Document { hide, all_tools, categories, risks, tools, resources, prompts, .. } = document;
    let hide = hide.into_iter().enumerate().map(|(number, pattern)| {
        let pointer = RulePointer::to(["hide", &number.to_string()]);
        Part::of(On::Tools(pattern.value), RuleEntry::default(), pointer)
    });
    let everything = On::Tools(Pattern::everything());
    let all_tools = all_tools
        .into_iter()
        .zip([everything])
        .map(|(rule, on)| Part::of(on, rule.value, RulePointer::to(["all_tools"])));
    let categories = categories.into_iter().map(|by| {
        let word = by.class.value.as_str();
        Part::of(On::Class(|class| class.category.as_str(), word), by.rule, RulePointer::to(["categories", word]))
    });
    let risks = risks.into_iter().map(|by| {
        let word = by.class.value.as_str();
        Part::of(On::Class(|class| class.risk.as_str(), word), by.rule, RulePointer::to(["risks", word]))
    });
    hide.chain(all_tools)
        .chain(categories)
        .chain(risks)
        .chain(keyed("tools", On::Tools, tools))
        .chain(keyed("resources", On::Resources, resources))
        .chain(keyed("prompts", On::Prompts, prompts))
        .collect()
}

fn keyed(space: &'static str, on: fn(Pattern) -> On, rules: Vec<KeyedRule>) -> impl Iterator<Item = Part> {
    rules.into_iter().map(move |KeyedRule { pattern, rule }| {
        let pointer = RulePointer::to([space, pattern.value.as_str()]);
        Part::of(on(pattern.value), rule, pointer)
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::Context;

    const POLICY: &str = r#"{ "version": "1", "hide": ["secret_*"], "all_tools": { "limits": [{ "max": 9, "window": "1m" }] },
        "categories": { "Read": {}, "Write": {} }, "risks": { "Low": "deny" },
        "tools": { "get_*": { "except": ["get_all"], "require": [{ "conditions": [{ "path": "args.a", "op": "eq", "value": 1 }] }],
                              "deny_if": [{ "conditions": [{ "path": "args.b", "op": "exists", "value": true }] }] } },
        "resources": { "docs://*": "allow" } }"#;

    const CATALOGUE: &str = r#"{ "version": "1", "tools": { "read": { "category": "Read", "risk": "High" },
        "get_low": { "category": "Execute", "risk": "Low" } } }"#;

    #[track_caller]
    fn check(subject: Subject<'_>, arguments: &str, expected: &[&str]) {
        let catalogue = Catalogue::parse("catalog.json", CATALOGUE).unwrap();
        let policy = Policy::parse_with("policy.json", POLICY, &catalogue).unwrap();
        let anatomy = Anatomy::parse("policy.json", POLICY, Some(&catalogue)).unwrap();
        let arguments = serde_json::from_str(arguments).unwrap();
        let context = Context { agent: None, labels: &[], server: "s", time: UNIX_EPOCH };
        let met = anatomy.met(&policy, Call { subject, arguments: Some(arguments), context });
        assert_eq!(met.iter().map(|pointer| pointer.as_str()).collect::<Vec<_>>(), expected, "{subject:?}");
    }

    #[test]
    fn what_a_call_meets() {
        check(Subject::Tool("get_it"), r#"{"a":1}"#, &["/all_tools", "/tools/get_*"]);
        let both = ["/all_tools", "/tools/get_*", "/tools/get_*/require/0", "/tools/get_*/deny_if/0"];
        check(Subject::Tool("get_it"), r#"{"b":1}"#, &both);
        check(Subject::Tool("get_all"), "{}", &["/all_tools"]);
        check(Subject::Tool("secret_get"), "{}", &["/hide/0", "/all_tools"]);
        check(Subject::Tool("read"), "{}", &["/all_tools", "/categories/Read"]);
        check(Subject::Tool("get_low"), "{}", &["/all_tools", "/risks/Low", "/tools/get_*"]); // denied: no predicate is asked
        check(Subject::Resource("docs://a"), "{}", &["/resources/docs:~1~1*"]);
        check(Subject::Prompt("get_it"), "{}", &[]);
    }

    #[test]
    fn everything_has_a_name() {
        let anatomy = Anatomy::parse("policy.json", POLICY, None).unwrap();
        let expected = [
            "/hide/0",
            "/all_tools",
            "/all_tools/limits/0",
            "/categories/Read",
            "/categories/Write",
            "/risks/Low",
            "/tools/get_*",
            "/tools/get_*/require/0",
            "/tools/get_*/deny_if/0",
            "/resources/docs:~1~1*",
        ];
        assert_eq!(anatomy.pointers().map(RulePointer::as_str).collect::<Vec<_>>(), expected);
    }
}
