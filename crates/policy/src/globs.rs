//! Finds the rules whose glob matches a name: one automaton over the longest literal of each glob, every hit confirmed by
//! the glob itself. The work follows the name and the rules that come near it, not the number of rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use smallvec::SmallVec;

use crate::ruling::Rule;

/// The rules that match one name, the deciding ones first. Most names match few, so it usually needs no allocation.
pub(crate) type Matching<'p> = SmallVec<[&'p Arc<Rule>; 8]>;

#[derive(Debug, Default)]
pub(crate) struct Globs {
    automaton: Option<AhoCorasick>,
    /// By the automaton's pattern number.
    by_literal: Vec<Vec<Arc<Rule>>>,
    /// Rules that no literal can find, such as those on `*`: asked every time.
    others: Vec<Arc<Rule>>,
}

impl Globs {
    pub(crate) fn new<'p>(rules: impl Iterator<Item = &'p Arc<Rule>>) -> Self {
        let mut by_literal = BTreeMap::<_, Vec<_>>::new();
        for rule in rules {
            by_literal.entry(rule.pattern.literal()).or_default().push(Arc::clone(rule));
        }
        let mut others = by_literal.remove("").unwrap_or_default();
        // One kind for any number of literals, so that speed does not jump with the size of a policy.
        let built =
            AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).prefilter(false).build(by_literal.keys());
        let found = by_literal.into_values();
        match built {
            Ok(_) if found.len() == 0 => Self { others, ..Self::default() },
            Ok(automaton) => Self { automaton: Some(automaton), by_literal: found.collect(), others },
            // More literals than the automaton can number: slower, but never wrong.
            Err(_) => {
                others.extend(found.flatten());
                Self { others, ..Self::default() }
            }
        }
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.by_literal.iter().flatten().chain(&self.others).map(|rule| &**rule)
    }

    pub(crate) fn matching(&self, name: &str) -> Matching<'_> {
        let mut matching: Matching<'_> = self.others.iter().filter(|rule| rule.matches(name)).collect();
        // Each literal once, however often it occurs: a long name must not cost its square.
        let mut seen = SmallVec::<[usize; 16]>::new();
        for hit in self.automaton.iter().flat_map(|automaton| automaton.find_overlapping_iter(name)) {
            let literal = hit.pattern().as_usize();
            if let Err(place) = seen.binary_search(&literal) {
                seen.insert(place, literal);
                #[expect(
                    clippy::indexing_slicing,
                    reason = "the automaton was built from as many literals as there are lists"
                )]
                matching.extend(self.by_literal[literal].iter().filter(|rule| rule.matches(name)));
            }
        }
        matching.sort_unstable_by_key(|rule| rule.rank);
        matching
    }
}
