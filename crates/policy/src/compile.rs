//! Turns the written form into the meant form: rules by rank, limits gathered into counters, one space per kind of name.
//! Nothing here depends on the order of keys in the file.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use crate::catalogue::Classes;
use crate::check::{Check, Effect};
use crate::pattern::Pattern;
use crate::ruling::Rule;
use crate::source::{Action, Document, KeyedRule, LimitEntry, PredicateEntry, RuleEntry};
use crate::space::Space;
use crate::tally::{self, Written};
use crate::{Counter, Recorded, RulePointer};

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) tools: Space,
    pub(crate) resources: Space,
    pub(crate) prompts: Space,
    pub(crate) counters: Vec<Counter>,
}

pub(crate) fn compile(document: &Document, classes: &Classes) -> Compiled {
    let everything = Pattern::everything();
    let hidden_rule = RuleEntry { action: Action::Hide, shadow: document.shadow, ..RuleEntry::default() };

    let mut tools = drafts("tools", &document.tools);
    tools.extend(document.all_tools.iter().map(|rule| Draft {
        place: Place::Everywhere,
        pattern: Cow::Borrowed(&everything),
        rule: &rule.value,
        pointer: RulePointer::to(["all_tools"]),
    }));
    tools.extend(document.hide.iter().map(|pattern| Draft {
        place: Place::Everywhere,
        pattern: Cow::Borrowed(&pattern.value),
        rule: &hidden_rule,
        pointer: RulePointer::HIDDEN,
    }));
    for (name, class) in classes {
        let of = |place, key: &'static str, word: &str, rule| Draft {
            place,
            pattern: Cow::Owned(Pattern::of_text(name)),
            rule,
            pointer: RulePointer::to([key, word]),
        };
        let categories = document.categories.iter().filter(|rules| rules.class.value == class.category);
        tools.extend(categories.map(|on| of(Place::Category, "categories", class.category.as_str(), &on.rule)));
        let risks = document.risks.iter().filter(|rules| rules.class.value == class.risk);
        tools.extend(risks.map(|on| of(Place::Risk, "risks", class.risk.as_str(), &on.rule)));
    }
    let spaces = [tools, drafts("resources", &document.resources), drafts("prompts", &document.prompts)].map(ranked);

    // Counters first: what a rule owes depends on who else uses the same counter name, anywhere in the document.
    let counters = tally::counters(spaces.iter().flatten().flat_map(|draft| draft.limits(document.shadow)));
    let [tools, resources, prompts] = spaces.map(|drafts| {
        let rule = |(rank, draft): (u32, Draft<'_>)| Arc::new(draft.into_rule(rank, &counters, document.shadow));
        let rules = (0..).zip(drafts).map(rule);
        Space::new(&rules.collect::<Vec<_>>(), document.default, document.shadow)
    });
    Compiled { tools, resources, prompts, counters }
}

/// How particular a rule is: of several that decide, the most particular is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Name,
    Glob,
    Category,
    Risk,
    /// On `all_tools` or `*`, or hidden: lists nothing.
    Everywhere,
}

/// A rule whose limits have not been gathered yet.
struct Draft<'d> {
    place: Place,
    pattern: Cow<'d, Pattern>,
    rule: &'d RuleEntry,
    pointer: RulePointer,
}

fn drafts<'d>(space: &'static str, rules: &'d [KeyedRule]) -> Vec<Draft<'d>> {
    let draft = |keyed: &'d KeyedRule| Draft {
        place: match &keyed.pattern.value {
            _ if !keyed.lists() => Place::Everywhere,
            pattern if pattern.is_glob() => Place::Glob,
            _ => Place::Name,
        },
        pattern: Cow::Borrowed(&keyed.pattern.value),
        rule: &keyed.rule,
        pointer: RulePointer::to([space, keyed.pattern.value.as_str()]),
    };
    rules.iter().map(draft).collect()
}

/// The more particular first, longer patterns before shorter: the first to match is named as the one that decided.
fn ranked(mut drafts: Vec<Draft<'_>>) -> Vec<Draft<'_>> {
    drafts.sort_by(|a, b| {
        let key = |draft: &Draft<'_>| (draft.place, Reverse(draft.pattern.as_str().len()));
        key(a).cmp(&key(b)).then_with(|| a.pattern.cmp(&b.pattern)).then_with(|| a.pointer.cmp(&b.pointer))
    });
    drafts
}

impl Draft<'_> {
    fn into_rule(self, rank: u32, counters: &[Counter], shadow: bool) -> Rule {
        Rule {
            rank,
            pattern: self.pattern.as_ref().clone(),
            except: self.rule.except.iter().map(|except| except.value.clone()).collect(),
            action: self.rule.action,
            lists: self.place != Place::Everywhere,
            owed: tally::owed(counters, self.limits(shadow)),
            checks: checks(self.rule, &self.pointer),
            record: self.rule.record.iter().filter_map(|path| Recorded::of(&path.value)).collect(),
            approval: self.rule.approval.as_ref().map(|approval| Arc::new(approval.value.clone())),
            shadow: shadow || self.rule.shadow,
            pointer: self.pointer,
            reason: self.rule.reason.as_deref().map(Arc::from),
        }
    }

    fn limits(&self, shadow: bool) -> impl Iterator<Item = Written<'_>> {
        let shadow = shadow || self.rule.shadow;
        let passes_uncounted = self.rule.passes_uncounted.is_some();
        let written = move |(entry, pointer)| Written { entry, pointer, shadow, passes_uncounted };
        limits(self.rule, &self.pointer).map(written)
    }
}

/// The predicates of the rule at `pointer`.
pub(crate) fn checks(rule: &RuleEntry, pointer: &RulePointer) -> Box<[Check]> {
    let RuleEntry { require, deny_if, approve_if, reason, .. } = rule;
    let check = |effect: Effect| {
        move |predicate: &PredicateEntry| Check {
            effect,
            condition: predicate.condition.clone(),
            pointer: predicate.place.under(pointer),
            reason: predicate.on_deny.as_deref().or(reason.as_deref()).map(Arc::from),
        }
    };
    let require = require.iter().map(check(Effect::Require));
    let deny_if = deny_if.iter().map(check(Effect::DenyIf));
    let approve_if = approve_if.iter().map(check(Effect::ApproveIf));
    require.chain(deny_if).chain(approve_if).collect()
}

/// The limits of the rule at `pointer`, each with its own.
pub(crate) fn limits<'d>(
    rule: &'d RuleEntry,
    pointer: &RulePointer,
) -> impl Iterator<Item = (&'d LimitEntry, RulePointer)> {
    rule.all_limits().map(move |entry| (entry, entry.place.under(pointer)))
}
