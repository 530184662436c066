//! Walks several automata at once, character by character, the shortest text first: so every way in which they can come
//! out together is met, and what is not met cannot be.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};

pub(super) type Dfa = dense::DFA<Vec<u32>>;

/// Why not all ways are known.
pub(super) const TOO_LARGE: &str = "a pattern is too large to be compared, or looks around itself";
pub(super) const TOO_MANY: &str = "the patterns meet in too many ways";

/// Steps of single automata that one walk may take.
const MOST_STEPS: usize = 10_000_000;

/// The readable first: of all bytes that no automaton tells apart, the first in here stands for all.
pub(super) const READABLE: &[u8] = b"xyzabcdefghijklmnopqrstuvw0123456789_-./: XYZABCDEFGHIJKLMNOPQRSTUVW";

/// The automata that a text has not ruled out, by number, and where they stand.
type States = Box<[(usize, StateID)]>;

/// Which automata take a text, and in which stretch of lengths it is.
type Way = (Vec<usize>, usize);

pub(super) struct Walk<'w> {
    /// The first says which texts there are at all.
    automata: &'w [Dfa],
    /// Ascending: where what is said of the length may change.
    lengths: &'w [u64],
    alphabet: Vec<u8>,
    /// Characters that are told apart although no automaton does.
    special: BTreeSet<char>,
    nodes: Vec<Node>,
    numbers: HashMap<States, usize>,
    steps: usize,
}

/// Where the automata stand between two characters.
struct Node {
    states: States,
    /// None where no text may end.
    taken: Option<Vec<usize>>,
    edges: Option<Rc<[Edge]>>,
}

/// One character for all that lead to the same node.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Edge {
    to: usize,
    by: char,
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        automata: &'w [Dfa],
        lengths: &'w [u64],
        ascii: bool,
        special: BTreeSet<char>,
    ) -> Result<Self, &'static str> {
        let start = |dfa: &Dfa| dfa.start_state_forward(&Input::new("").anchored(Anchored::Yes)).map_err(|_| TOO_LARGE);
        let starts = automata.iter().map(start).collect::<Result<Vec<_>, _>>()?;
        let alphabet = alphabet(automata, ascii, &special);
        let (nodes, numbers) = (Vec::new(), HashMap::new());
        let mut walk = Self { automata, lengths, alphabet, special, nodes, numbers, steps: 0 };
        walk.number(starts.into_iter().enumerate().collect());
        Ok(walk)
    }

    /// A text for each way, and why there may be more. Of the empty text only what no other shows: it says the least to a
    /// reader.
    pub(super) fn examples(&mut self) -> (Vec<(Way, String)>, Option<&'static str>) {
        let mut places = vec![(0, ' ')];
        let mut known = HashSet::from([(0, 0)]);
        let mut waiting = VecDeque::from([(0, (0, 0))]);
        let (mut seen, mut examples, mut open) = (HashSet::new(), Vec::new(), None);
        while let Some((place, (node, length))) = waiting.pop_front() {
            let way = self.way(node, length);
            examples.extend(way.filter(|way| place > 0 && seen.insert(way.clone())).map(|way| (way, place)));
            let edges = match self.edges(node) {
                Ok(edges) => edges,
                Err(reason) => {
                    open = Some(reason);
                    break;
                }
            };
            for edge in edges.iter() {
                let next = (edge.to, self.longer(length));
                if known.insert(next) {
                    waiting.push_back((places.len(), next));
                    places.push((place, edge.by));
                }
            }
        }
        examples.extend(self.way(0, 0).filter(|way| !seen.contains(way)).map(|way| (way, 0)));
        (examples.into_iter().map(|(way, place)| (way, text_to(&places, place))).collect(), open)
    }

    /// A text that comes out this way, and is not among these; their characters must be special.
    pub(super) fn another(&mut self, wanted: &Way, others: &BTreeSet<&str>) -> Result<Option<String>, &'static str> {
        let mut places = vec![(0, ' ')];
        let start = (0, 0, Some(String::new()));
        let mut known = HashSet::from([start.clone()]);
        let mut waiting = VecDeque::from([(0, start)]);
        while let Some((place, (node, length, begun))) = waiting.pop_front() {
            let is_other = begun.as_ref().is_some_and(|text| others.contains(text.as_str()));
            if !is_other && self.way(node, length).as_ref() == Some(wanted) {
                return Ok(Some(text_to(&places, place)));
            }
            for edge in self.edges(node)?.iter() {
                // What no longer begins like any of them is told apart by its node alone.
                let begun = begun
                    .as_ref()
                    .map(|text| format!("{text}{}", edge.by))
                    .filter(|text| others.range(text.as_str()..).next().is_some_and(|other| other.starts_with(text)));
                let next = (edge.to, self.longer(length), begun);
                if known.insert(next.clone()) {
                    waiting.push_back((places.len(), next));
                    places.push((place, edge.by));
                }
            }
        }
        Ok(None)
    }

    /// How a text comes out; none where it is no text that there can be.
    pub(super) fn way_of(&mut self, text: &str) -> Option<Way> {
        let mut states = self.nodes.first()?.states.clone();
        for byte in text.bytes() {
            states = self.step(&states, byte)?;
        }
        let length = text.chars().fold(0, |length, _| self.longer(length));
        Some((self.taken(&states)?, self.stretch(length)))
    }

    fn way(&self, node: usize, length: u64) -> Option<Way> {
        let taken = self.nodes.get(node)?.taken.clone()?;
        Some((taken, self.stretch(length)))
    }

    fn stretch(&self, length: u64) -> usize {
        self.lengths.partition_point(|bound| *bound <= length)
    }

    /// Beyond the last length that matters, all are the same.
    fn longer(&self, length: u64) -> u64 {
        (length + 1).min(self.lengths.last().copied().unwrap_or_default())
    }

    fn taken(&self, states: &States) -> Option<Vec<usize>> {
        let takes = |number: usize, state: StateID| {
            self.automata.get(number).is_some_and(|dfa| dfa.is_match_state(dfa.next_eoi_state(state)))
        };
        let taken = states.iter().filter(|(number, state)| takes(*number, *state)).map(|(number, _)| *number);
        let taken = taken.collect::<Vec<_>>();
        (taken.first() == Some(&0)).then_some(taken)
    }

    fn number(&mut self, states: States) -> usize {
        if let Some(number) = self.numbers.get(&states) {
            return *number;
        }
        let number = self.nodes.len();
        self.numbers.insert(states.clone(), number);
        self.nodes.push(Node { taken: self.taken(&states), states, edges: None });
        number
    }

    fn edges(&mut self, node: usize) -> Result<Rc<[Edge]>, &'static str> {
        let Some(Node { states, edges, .. }) = self.nodes.get(node) else {
            return Ok(Rc::from([]));
        };
        if let Some(edges) = edges {
            self.steps += edges.len();
            return if self.steps > MOST_STEPS { Err(TOO_MANY) } else { Ok(Rc::clone(edges)) };
        }
        let edges = Rc::<[Edge]>::from(self.look_ahead(states.clone())?);
        if let Some(node) = self.nodes.get_mut(node) {
            node.edges = Some(Rc::clone(&edges));
        }
        Ok(edges)
    }

    fn look_ahead(&mut self, states: States) -> Result<Vec<Edge>, &'static str> {
        let (mut edges, mut known) = (Vec::new(), HashSet::new());
        let mut waiting = VecDeque::from([(states.clone(), Vec::new())]);
        while let Some((states, bytes)) = waiting.pop_front() {
            for byte in self.alphabet.clone() {
                let Some(next) = self.step(&states, byte) else { continue };
                let bytes = [&*bytes, &[byte]].concat();
                if let Some(by) = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
                    // Special ones come below, each for itself.
                    if !self.special.contains(&by) && known.insert((next.clone(), None)) {
                        edges.push(Edge { to: self.number(next), by });
                    }
                } else {
                    // A way through the same states must not be lost because a special character took it first.
                    let begun = self.special.iter().any(|c| c.encode_utf8(&mut [0; 4]).as_bytes().starts_with(&bytes));
                    if known.insert((next.clone(), Some(if begun { bytes.clone() } else { Vec::new() }))) {
                        waiting.push_back((next, bytes));
                    }
                }
            }
            if self.steps > MOST_STEPS {
                return Err(TOO_MANY);
            }
        }
        for by in self.special.clone() {
            let all = |walk: &mut Self| {
                let mut at = states.clone();
                for byte in by.encode_utf8(&mut [0; 4]).bytes() {
                    at = walk.step(&at, byte)?;
                }
                Some(at)
            };
            if let Some(next) = all(self) {
                edges.push(Edge { to: self.number(next), by });
            }
        }
        Ok(edges)
    }

    /// None where there is no such text.
    fn step(&mut self, states: &States, byte: u8) -> Option<States> {
        self.steps += states.len();
        let next = states.iter().filter_map(|(number, state)| {
            let dfa = self.automata.get(*number)?;
            let next = dfa.next_state(*state, byte);
            (!dfa.is_dead_state(next)).then_some((*number, next))
        });
        let next = next.collect::<States>();
        next.first().is_some_and(|(number, _)| *number == 0).then_some(next)
    }
}

fn alphabet(automata: &[Dfa], ascii: bool, special: &BTreeSet<char>) -> Vec<u8> {
    let special = special.iter().collect::<String>();
    let special = special.bytes().collect::<HashSet<_>>();
    let rest = (0..=u8::MAX).filter(|byte| !READABLE.contains(byte));
    let (plain, odd): (Vec<_>, Vec<_>) = rest.partition(|byte| matches!(byte, b' '..=b'~'));
    let all = READABLE.iter().copied().chain(plain).chain(odd);
    let mut seen = HashSet::new();
    let class = |byte: u8| {
        let classes = automata.iter().map(|dfa| dfa.byte_classes().get(byte)).collect::<Vec<_>>();
        (classes, special.get(&byte).copied())
    };
    all.filter(|byte| !ascii || byte.is_ascii()).filter(|byte| seen.insert(class(*byte))).collect()
}

fn text_to(places: &[(usize, char)], mut number: usize) -> String {
    let mut text = Vec::new();
    while let Some((before, by)) = places.get(number).filter(|_| number > 0) {
        text.push(*by);
        number = *before;
    }
    text.into_iter().rev().collect()
}
