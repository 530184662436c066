//! The rules of one kind of name (tools, resources or prompts), ready to be asked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::Owed;
use crate::globs::Globs;
use crate::ruling::{Rule, Ruling, owed};
use crate::source::Fallback;

#[derive(Debug)]
pub(crate) struct Space {
    /// Judged beforehand: every name that is written out in the policy, with all globs that match it.
    exact: HashMap<Box<str>, Verdict>,
    globs: Globs,
    default: Fallback,
}

#[derive(Debug)]
struct Verdict {
    ruling: Ruling<Arc<Rule>>,
    owed: Box<[Owed]>,
}

impl Space {
    /// `rules` by rank.
    pub(crate) fn new(rules: &[Arc<Rule>], default: Fallback) -> Self {
        let globs = Globs::new(rules.iter().filter(|rule| rule.pattern.is_glob()));
        let mut named = HashMap::<&str, Vec<&Arc<Rule>>>::new();
        for rule in rules.iter().filter(|rule| !rule.pattern.is_glob()) {
            named.entry(rule.pattern.as_str()).or_default().push(rule);
        }
        let judge = |(name, mut matching): (&str, Vec<&Arc<Rule>>)| {
            matching.retain(|rule| rule.matches(name));
            matching.extend(globs.matching(name));
            let ruling = Ruling::of(&matching, default).map(Arc::clone);
            (name.into(), Verdict { ruling, owed: owed(&matching).into() })
        };
        let exact = named.into_iter().map(judge).collect();
        Self { exact, globs, default }
    }

    pub(crate) fn judge(&self, name: &str) -> (Ruling<&Arc<Rule>>, Cow<'_, [Owed]>) {
        if let Some(verdict) = self.exact.get(name) {
            return (verdict.ruling.as_ref(), Cow::Borrowed(&verdict.owed));
        }
        let matching = self.globs.matching(name);
        (Ruling::of(&matching, self.default), owed(&matching))
    }
}
