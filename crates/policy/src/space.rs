//! The rules of one kind of name (tools, resources or prompts), ready to be asked.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Owed;
use crate::globs::{Globs, Matching};
use crate::owing::Owing;
use crate::ruling::{Mode, Rule, Ruling, owed};
use crate::source::Fallback;

#[derive(Debug)]
pub(crate) struct Space {
    /// Judged beforehand: every name that is written out in the policy, with all globs that match it.
    exact: HashMap<Box<str>, Verdict>,
    globs: Globs,
    /// Summed beforehand: what the rules on every name owe together with one other rule, by that rule's rank; so a name
    /// that is not written out owes without an allocation, unless several limited globs match it.
    owed_with: HashMap<u32, Box<[Owed]>>,
    /// What the rules on every name owe.
    owed_by_all: Box<[Owed]>,
    default: Fallback,
    /// All of them, by rank.
    rules: Box<[Arc<Rule>]>,
    /// The document is in shadow: what it does not list passes, whatever its default.
    shadow: bool,
}

#[derive(Debug)]
struct Verdict {
    ruling: Ruling<Arc<Rule>>,
    strict: Option<Ruling<Arc<Rule>>>,
    owed: Box<[Owed]>,
    asking: Box<[Arc<Rule>]>,
}

/// All that can be said of a name without looking at a call of it.
pub(crate) struct Judgement<'p> {
    pub(crate) ruling: Ruling<&'p Arc<Rule>>,
    /// The ruling if nothing were in shadow, where something is.
    pub(crate) strict: Option<Ruling<&'p Arc<Rule>>>,
    pub(crate) owed: Owing<'p>,
    /// The matching rules that look at the call itself, the more particular first.
    pub(crate) asking: Matching<'p>,
}

impl Space {
    /// `rules` by rank.
    pub(crate) fn new(rules: &[Arc<Rule>], default: Fallback, shadow: bool) -> Self {
        let globs = Globs::new(rules.iter().filter(|rule| rule.pattern.is_glob()));
        let mut named = HashMap::<&str, Vec<&Arc<Rule>>>::new();
        for rule in rules.iter().filter(|rule| !rule.pattern.is_glob()) {
            named.entry(rule.pattern.as_str()).or_default().push(rule);
        }
        let judge = |(name, mut matching): (&str, Vec<&Arc<Rule>>)| {
            matching.retain(|rule| rule.matches(name));
            matching.extend(globs.matching(name));
            matching.sort_unstable_by_key(|rule| rule.rank);
            let (ruling, strict) = rulings(&matching, default, shadow);
            let (ruling, strict) = (ruling.map(Arc::clone), strict.map(|strict| strict.map(Arc::clone)));
            let asking = matching.iter().filter(|rule| rule.asks()).map(|rule| Arc::clone(rule)).collect();
            (name.into(), Verdict { ruling, strict, owed: owed(&matching).to_vec().into(), asking })
        };
        let exact = named.into_iter().map(judge).collect();
        let on_all = rules.iter().filter(|rule| owes_always(rule)).collect::<Vec<_>>();
        let with = |rule: &Arc<Rule>| {
            let mut together = on_all.clone();
            together.insert(together.partition_point(|other| other.rank < rule.rank), rule);
            (rule.rank, owed(&together).to_vec().into())
        };
        let others = rules.iter().filter(|rule| rule.pattern.is_glob() && !rule.owed.is_empty() && !owes_always(rule));
        let owed_with = if on_all.is_empty() { HashMap::new() } else { others.map(with).collect() };
        let owed_by_all = owed(&on_all).to_vec().into();
        Self { exact, globs, owed_with, owed_by_all, default, rules: rules.into(), shadow }
    }

    /// The rules whose pattern matches, also where an exception says otherwise. Asks each: this is for telling, not for deciding.
    pub(crate) fn matching(&self, name: &str) -> Vec<&Arc<Rule>> {
        self.rules.iter().filter(|rule| rule.pattern.matches(name)).collect()
    }

    /// All of them, the more particular first.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|rule| &**rule)
    }

    /// Every name that is written out in the policy.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(|name| &**name)
    }

    /// Every rule on a glob, in no order.
    pub(crate) fn globs(&self) -> impl Iterator<Item = &Rule> {
        self.globs.rules()
    }

    pub(crate) fn in_shadow(&self) -> bool {
        self.shadow
    }

    pub(crate) fn judge(&self, name: &str) -> Judgement<'_> {
        if let Some(Verdict { ruling, strict, owed, asking }) = self.exact.get(name) {
            let (ruling, strict) = (ruling.as_ref(), strict.as_ref().map(Ruling::as_ref));
            return Judgement { ruling, strict, owed: Owing::Said(owed), asking: asking.iter().collect() };
        }
        let mut matching = self.globs.matching(name);
        let (ruling, strict) = rulings(&matching, self.default, self.shadow);
        let owed = self.owed(&matching);
        matching.retain(|rule| rule.asks());
        Judgement { ruling, strict, owed, asking: matching }
    }

    fn owed<'p>(&'p self, matching: &[&'p Arc<Rule>]) -> Owing<'p> {
        let mut others = matching.iter().filter(|rule| !rule.owed.is_empty() && !owes_always(rule));
        match (others.next(), others.next()) {
            (None, _) => Owing::Said(&self.owed_by_all),
            (Some(rule), None) => Owing::Said(self.owed_with.get(&rule.rank).unwrap_or(&rule.owed)),
            (Some(_), Some(_)) => owed(matching),
        }
    }
}

/// Whether a rule is on every name, and has a limit.
fn owes_always(rule: &Rule) -> bool {
    rule.pattern.is_everything() && rule.except.is_empty() && !rule.owed.is_empty()
}

type Rulings<'p> = (Ruling<&'p Arc<Rule>>, Option<Ruling<&'p Arc<Rule>>>);

fn rulings<'p>(matching: &[&'p Arc<Rule>], default: Fallback, shadow: bool) -> Rulings<'p> {
    let any_shadow = shadow || matching.iter().any(|rule| rule.shadow);
    let strict = any_shadow.then(|| Ruling::of(matching, default, Mode::Strict));
    (Ruling::of(matching, if shadow { Fallback::Allow } else { default }, Mode::Acting), strict)
}
