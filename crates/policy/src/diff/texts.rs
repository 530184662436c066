//! Finds one text for every way in which a set of tests on text can come out together, and so knows which ways there are
//! none for. Each test is an automaton; all are walked at once, byte by byte, the shortest text first.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::literal::Literal;
use crate::pattern::Pattern;
use crate::test::Test;

type Dfa = dense::DFA<Vec<u32>>;

/// Why not all ways are known.
pub(super) const TOO_LARGE: &str = "a pattern is too large to be compared, or looks around itself";
pub(super) const TOO_MANY: &str = "the patterns meet in too many ways";

/// In bytes, for one automaton.
const LARGEST: usize = 4 << 20;
/// Steps of single automata that one walk may take.
const MOST_STEPS: usize = 20_000_000;

/// The readable first: what stands for all bytes that no test tells apart is the first of them in here.
const READABLE: &[u8] = b"xyzabcdefghijklmnopqrstuvw0123456789_-./: XYZABCDEFGHIJKLMNOPQRSTUVW";

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

    /// A text for each way that there is, the literals left out: whoever asks has those already.
    pub(super) fn examples(&self) -> Result<Vec<String>, &'static str> {
        let valid = if self.names { r"[^\p{Cc}]+" } else { "(?s:.*)" };
        let mut automata = vec![automaton(valid)?];
        for expression in &self.expressions {
            automata.push(automaton(expression)?);
        }
        let literals = self.literals.iter().map(|text| regex::escape(text)).collect::<Vec<_>>();
        if !literals.is_empty() {
            automata.push(automaton(&literals.join("|"))?);
        }
        let is_literal = (!literals.is_empty()).then_some(automata.len() - 1);
        let lengths = self.lengths.iter().copied().collect();
        Walk { alphabet: self.alphabet(&automata), automata, lengths, is_literal }.examples()
    }

    /// A byte for all that no automaton tells apart. Where all tests are literal, and ASCII, any character that is in none
    /// of them stands for all others, so no other need be tried.
    fn alphabet(&self, automata: &[Dfa]) -> Vec<u8> {
        let written =
            self.expressions.iter().chain(&self.literals).flat_map(|text| text.bytes()).collect::<HashSet<_>>();
        let spare = READABLE.iter().any(|byte| !written.contains(byte));
        let ascii = !self.written && spare && written.iter().all(u8::is_ascii);
        let rest = (0..=u8::MAX).filter(|byte| !READABLE.contains(byte));
        let (plain, odd): (Vec<_>, Vec<_>) = rest.partition(|byte| matches!(byte, b' '..=b'~'));
        let all = READABLE.iter().copied().chain(plain).chain(odd);
        let mut seen = HashSet::new();
        let class = |byte: u8| automata.iter().map(|dfa| dfa.byte_classes().get(byte)).collect::<Vec<_>>();
        all.filter(|byte| !ascii || byte.is_ascii()).filter(|byte| seen.insert(class(*byte))).collect()
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

struct Walk {
    /// The first says which texts there are at all.
    automata: Vec<Dfa>,
    alphabet: Vec<u8>,
    /// Ascending: where what is said of the length may change.
    lengths: Vec<u64>,
    is_literal: Option<usize>,
}

/// Where all automata stand, and how many characters were read; no more than the largest that matters.
type Place = (Box<[StateID]>, u64);

impl Walk {
    fn examples(&self) -> Result<Vec<String>, &'static str> {
        let start = |dfa: &Dfa| dfa.start_state_forward(&Input::new("").anchored(Anchored::Yes)).map_err(|_| TOO_LARGE);
        let start = self.automata.iter().map(start).collect::<Result<Box<[_]>, _>>()?;
        let nothing = (start.clone(), 0);
        let mut places = vec![(0, 0)];
        let mut known = HashSet::from([(start.clone(), 0)]);
        let mut waiting = VecDeque::from([(0, (start, 0))]);
        let mut found = HashMap::<_, ()>::new();
        let mut order = Vec::new();
        let mut steps = 0;
        while let Some((number, place)) = waiting.pop_front() {
            // The empty text is the last to show anything: it is the shortest, and says the least to a reader.
            if number > 0
                && let Some(way) = self.way(&place)
            {
                found.entry(way).or_insert_with(|| order.push(number));
            }
            for byte in &self.alphabet {
                steps += self.automata.len();
                let Some(next) = self.step(&place, *byte) else { continue };
                if known.insert(next.clone()) {
                    waiting.push_back((places.len(), next));
                    places.push((number, *byte));
                }
            }
            if steps > MOST_STEPS {
                return Err(TOO_MANY);
            }
        }
        if let Some(way) = self.way(&nothing) {
            found.entry(way).or_insert_with(|| order.push(0));
        }
        Ok(order.into_iter().filter_map(|number| text_to(&places, number)).collect())
    }

    /// How each test comes out for a text that ends here; none where no such text may be.
    fn way(&self, (states, length): &Place) -> Option<(Vec<bool>, usize)> {
        let ends = |(dfa, state): (&Dfa, &StateID)| dfa.is_match_state(dfa.next_eoi_state(*state));
        let ways = self.automata.iter().zip(states).map(ends).collect::<Vec<_>>();
        let literal = self.is_literal.and_then(|place| ways.get(place)).copied().unwrap_or_default();
        let there = ways.first().copied().unwrap_or_default() && !literal;
        there.then(|| (ways, self.lengths.partition_point(|bound| bound <= length)))
    }

    fn step(&self, (states, length): &Place, byte: u8) -> Option<Place> {
        let next = self.automata.iter().zip(states).map(|(dfa, state)| dfa.next_state(*state, byte));
        let states = next.collect::<Box<[_]>>();
        let dead = self.automata.first().zip(states.first()).is_none_or(|(dfa, state)| dfa.is_dead_state(*state));
        // Of the bytes of one character, all but the first look like this.
        let starts = byte & 0xc0 != 0x80;
        let most = self.lengths.last().copied().unwrap_or_default();
        (!dead).then(|| (states, (length + u64::from(starts)).min(most)))
    }
}

fn text_to(places: &[(usize, u8)], mut number: usize) -> Option<String> {
    let mut bytes = Vec::new();
    while number > 0 {
        let (before, byte) = places.get(number)?;
        bytes.push(*byte);
        number = *before;
    }
    bytes.reverse();
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn examples(patterns: &[&str]) -> Vec<String> {
        let mut texts = Texts::of_names();
        patterns.iter().for_each(|pattern| texts.add_pattern(&Pattern::of_text(pattern)));
        texts.examples().unwrap()
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
            let examples = texts.examples().unwrap();
            let ways = examples.iter().map(|example| way(example)).collect::<HashSet<_>>();
            for name in names.iter().filter(|name| !texts.literals().contains(*name)) {
                prop_assert!(ways.contains(&way(name)), "{name} under {patterns:?} and {regex}");
            }
            prop_assert!(examples.iter().all(|example| !texts.literals().contains(example)));
        }
    }
}
