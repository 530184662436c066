//! Turns the written form into the meant form: rules by rank, limits gathered into counters, one space per kind of name.
//! Nothing here depends on the order of keys in the file.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::check::Check;
use crate::condition::Stance;
use crate::pattern::Pattern;
use crate::ruling::Rule;
use crate::source::{Action, Document, KeyedRule, Place, PredicateEntry, RuleEntry};
use crate::space::Space;
use crate::tally::{self, Written};
use crate::{Counter, RulePointer};

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) tools: Space,
    pub(crate) resources: Space,
    pub(crate) prompts: Space,
    pub(crate) counters: Vec<Counter>,
}

pub(crate) fn compile(document: &Document) -> Compiled {
    let everything = Pattern::everything();
    let hidden_rule = RuleEntry { action: Action::Hide, ..RuleEntry::default() };

    let mut tools = drafts("tools", &document.tools);
    tools.extend(document.all_tools.iter().map(|rule| Draft {
        pattern: &everything,
        rule: &rule.value,
        lists: false,
        pointer: RulePointer::to(["all_tools"]),
    }));
    tools.extend(document.hide.iter().map(|pattern| Draft {
        pattern: &pattern.value,
        rule: &hidden_rule,
        lists: false,
        pointer: RulePointer::HIDDEN,
    }));
    let spaces = [tools, drafts("resources", &document.resources), drafts("prompts", &document.prompts)].map(ranked);

    // Counters first: what a rule owes depends on who else uses the same counter name, anywhere in the document.
    let counters = tally::counters(spaces.iter().flatten().flat_map(Draft::limits));
    let [tools, resources, prompts] = spaces.map(|drafts| {
        let rules = (0..).zip(drafts).map(|(rank, draft)| Arc::new(draft.into_rule(rank, &counters)));
        Space::new(&rules.collect::<Vec<_>>(), document.default)
    });
    Compiled { tools, resources, prompts, counters }
}

/// A rule whose limits have not been gathered yet.
struct Draft<'d> {
    pattern: &'d Pattern,
    rule: &'d RuleEntry,
    lists: bool,
    pointer: RulePointer,
}

fn drafts<'d>(space: &'static str, rules: &'d [KeyedRule]) -> Vec<Draft<'d>> {
    let draft = |keyed: &'d KeyedRule| Draft {
        pattern: &keyed.pattern.value,
        rule: &keyed.rule,
        lists: keyed.lists(),
        pointer: RulePointer::to([space, keyed.pattern.value.as_str()]),
    };
    rules.iter().map(draft).collect()
}

/// Longer patterns before shorter, what stands on everything last: the first to match is named as the one that decided.
/// Exact names need no place before globs, since a space has them at hand before it asks any glob.
fn ranked(mut drafts: Vec<Draft<'_>>) -> Vec<Draft<'_>> {
    drafts.sort_by(|a, b| {
        let key = |draft: &Draft<'_>| (!draft.lists, Reverse(draft.pattern.as_str().len()));
        key(a).cmp(&key(b)).then_with(|| a.pattern.cmp(b.pattern)).then_with(|| a.pointer.cmp(&b.pointer))
    });
    drafts
}

impl Draft<'_> {
    fn into_rule(self, rank: u32, counters: &[Counter]) -> Rule {
        Rule {
            rank,
            pattern: self.pattern.clone(),
            except: self.rule.except.iter().map(|except| except.value.clone()).collect(),
            action: self.rule.action,
            lists: self.lists,
            owed: tally::owed(counters, self.limits()),
            checks: self.checks(),
            pointer: self.pointer,
            reason: self.rule.reason.as_deref().map(Arc::from),
        }
    }

    fn checks(&self) -> Box<[Check]> {
        let RuleEntry { require, deny_if, reason, .. } = self.rule;
        let check = |key: &'static str, stance: Stance| {
            move |(number, predicate): (usize, &PredicateEntry)| Check {
                stance,
                condition: predicate.condition.clone(),
                pointer: self.pointer.join([key, &number.to_string()]),
                reason: predicate.on_deny.as_deref().or(reason.as_deref()).map(Arc::from),
            }
        };
        let require = require.iter().enumerate().map(check("require", Stance::Require));
        require.chain(deny_if.iter().enumerate().map(check("deny_if", Stance::Beware))).collect()
    }

    fn limits(&self) -> impl Iterator<Item = Written<'_>> {
        self.rule.all_limits().map(|entry| {
            let pointer = match entry.place {
                Place::Alone(key) => self.pointer.join([key]),
                Place::InList(key, number) => self.pointer.join([key, &number.to_string()]),
            };
            Written { entry, pointer }
        })
    }
}
