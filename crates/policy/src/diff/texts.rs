//! Finds one text for every way in which a set of tests on text can come out together, and so knows which ways there are
//! none for. Each test becomes an automaton, and `walk` goes through all of them at once.

use std::collections::{BTreeSet, HashSet};

use regex_automata::MatchKind;
use regex_automata::dfa::{StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

use super::walk::{Dfa, READABLE, TOO_LARGE, Walk};
use crate::literal::Literal;
use crate::pattern::Pattern;
use crate::test::Test;

/// In bytes, for one automaton.
const LARGEST: usize = 4 << 20;
/// Tests on text, as regular expressions, and the lengths that are told apart.
#[derive(Default)]
pub(super) struct Texts {
    expressions: BTreeSet<String>,
    literals: BTreeSet<String>,
    lengths: BTreeSet<u64>,
    /// Some expression was written by people, so characters beyond ASCII cannot be left out.
    written: bool,
    names: bool,
}

impl Texts {
    /// Of the texts that are names: not empty, without control characters.
    pub(super) fn of_names() -> Self {
        Self { names: true, ..Self::default() }
    }

    /// Whether the test is one on text that this can tell apart; or one that says the same of all texts.
    pub(super) fn add(&mut self, test: &Test) -> bool {
        match test {
            Test::Equals(literal) => self.literals.extend(text(literal)),
            Test::OneOf(literals) => self.literals.extend(literals.iter().filter_map(text)),
            Test::Contains(part) => {
                self.expressions.extend(text(part).map(|part| format!("(?s:.*{}.*)", regex::escape(&part))));
            }
            Test::StartsWith(start) => drop(self.expressions.insert(format!("(?s:{}.*)", regex::escape(start)))),
            Test::EndsWith(end) => drop(self.expressions.insert(format!("(?s:.*{})", regex::escape(end)))),
            Test::Glob(pattern) => self.add_pattern(pattern),
            Test::Regex(regex) => {
                self.written = true;
                self.expressions.insert(regex.as_str().to_owned());
            }
            Test::Length(_, bound) => self.lengths.extend([*bound, bound.saturating_add(1)]),
            Test::Compare(..) | Test::Exists | Test::Type(_) => {}
            Test::Within(_) | Test::HostIn(_) => return false,
        }
        true
    }

    pub(super) fn add_pattern(&mut self, pattern: &Pattern) {
        if pattern.is_glob() {
            let part = |c| match c {
                '*' => ".*".to_owned(),
                '?' => ".".to_owned(),
                c => regex::escape(c.encode_utf8(&mut [0; 4])),
            };
            let parts = pattern.as_str().chars().map(part).collect::<String>();
            self.expressions.insert(format!("(?s:{parts})"));
        } else {
            self.add_literal(pattern.as_str());
        }
    }

    /// Any text of this form; `form` is a regular expression.
    pub(super) fn add_form(&mut self, form: String) {
        self.written = true;
        self.expressions.insert(form);
    }

    pub(super) fn add_literal(&mut self, text: &str) {
        self.literals.insert(text.to_owned());
    }

    pub(super) fn has_expressions(&self) -> bool {
        !self.expressions.is_empty() || !self.lengths.is_empty()
    }

    pub(super) fn literals(&self) -> &BTreeSet<String> {
        &self.literals
    }

    /// A text for each way that there is, and why there may be more. The literals are left out: whoever asks has those.
    pub(super) fn examples(&self) -> (Vec<String>, Option<&'static str>) {
        let mut examples = Vec::new();
        let open = self.add_examples(&mut examples).unwrap_or_else(Some);
        if open.is_some() && self.expressions.len() > 1 {
            // What one expression asks for on its own may still be met by no other.
            for expression in &self.expressions {
                let expressions = BTreeSet::from([expression.clone()]);
                let alone = Self { expressions, literals: self.literals.clone(), lengths: BTreeSet::new(), ..*self };
                examples.extend(alone.examples().0);
            }
        }
        (examples, open)
    }

    fn add_examples(&self, examples: &mut Vec<String>) -> Result<Option<&'static str>, &'static str> {
        let valid = if self.names { r"[^\p{Cc}]+" } else { "(?s:.*)" };
        let mut automata = vec![automaton(valid)?];
        for expression in &self.expressions {
            automata.push(automaton(expression)?);
        }
        let lengths = self.lengths.iter().copied().collect::<Vec<_>>();
        let mut walk = Walk::new(&automata, &lengths, self.is_ascii(), BTreeSet::new())?;
        let (found, open) = walk.examples();
        for (way, example) in found {
            if !self.literals.contains(&example) {
                examples.push(example);
                continue;
            }
            // Only literals that come out the same way can be in the way.
            let same = self.literals.iter().map(String::as_str).filter(|text| walk.way_of(text).as_ref() == Some(&way));
            let same = same.collect::<BTreeSet<_>>();
            let special = same.iter().flat_map(|text| text.chars()).collect();
            let mut other = Walk::new(&automata, &lengths, self.is_ascii(), special)?;
            examples.extend(other.another(&way, &same)?);
        }
        Ok(open)
    }

    /// Where all tests are literal, and ASCII, any character that is in none of them stands for all others, so no other
    /// need be tried.
    fn is_ascii(&self) -> bool {
        let written =
            self.expressions.iter().chain(&self.literals).flat_map(|text| text.bytes()).collect::<HashSet<_>>();
        let spare = READABLE.iter().any(|byte| !written.contains(byte));
        !self.written && spare && written.iter().all(u8::is_ascii)
    }
}

fn text(literal: &Literal) -> Option<String> {
    match literal {
        Literal::String(text) => Some(text.as_ref().to_owned()),
        Literal::Null | Literal::Bool(_) | Literal::Number(_) | Literal::Array(_) | Literal::Object(_) => None,
    }
}

fn automaton(expression: &str) -> Result<Dfa, &'static str> {
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::All)
        .dfa_size_limit(Some(LARGEST))
        .determinize_size_limit(Some(LARGEST));
    dense::Builder::new()
        .configure(config)
        .thompson(thompson::Config::new().nfa_size_limit(Some(LARGEST)))
        .syntax(syntax::Config::new())
        .build(&format!(r"\A(?:{expression})\z"))
        .map_err(|_| TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(texts: &Texts) -> Vec<String> {
        let (examples, open) = texts.examples();
        assert_eq!(open, None);
        examples
    }

    fn examples(patterns: &[&str]) -> Vec<String> {
        let mut texts = Texts::of_names();
        patterns.iter().for_each(|pattern| texts.add_pattern(&Pattern::of_text(pattern)));
        whole(&texts)
    }

    #[test]
    fn shortest_readable_texts() {
        assert_eq!(examples(&[]), ["x"]);
        assert_eq!(examples(&["*"]), ["x"]);
        assert_eq!(examples(&["list_*", "list_a"]), ["x", "list_"]);
        assert_eq!(examples(&["ab*", "?b", "ab"]), ["x", "xb", "abx"]);
        assert_eq!(examples(&["é*", "x"]).len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_text_comes_out_as_no_example_does(
            patterns in prop::collection::vec("[abé*?]{1,4}", 1..4), regex in "[abé.*|]{0,4}", names in prop::collection::vec("[abxé]{1,5}", 50),
        ) {
            let globs = patterns.iter().map(|pattern| Pattern::of_text(pattern)).collect::<Vec<_>>();
            let mut texts = Texts::of_names();
            globs.iter().for_each(|glob| texts.add_pattern(glob));
            let Ok(regex) = regex::Regex::new(&format!(r"\A(?:{regex})\z")) else { return Ok(()) };
            texts.add(&Test::Regex(regex.clone()));
            let way = |text: &str| (globs.iter().map(|glob| glob.matches(text)).collect::<Vec<_>>(), regex.is_match(text));
            let examples = whole(&texts);
            let ways = examples.iter().map(|example| way(example)).collect::<HashSet<_>>();
            for name in names.iter().filter(|name| !texts.literals().contains(*name)) {
                prop_assert!(ways.contains(&way(name)), "{name} under {patterns:?} and {regex}");
            }
            prop_assert!(examples.iter().all(|example| !texts.literals().contains(example)));
        }
    }
}
