//! Looks for calls of one name that two policies treat differently: part by part of the call, only where the two still
//! differ, only for differences that were not found yet. What is not found was looked for everywhere, or stays open.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::ask::{Ask, Part};
use super::moments;
use super::terms::{Course, Terms};
use super::values::{Cell, Cells, Place};
use super::witness::Verdict;

/// Steps that one name may take, and all names together.
pub(super) const MOST_STEPS: usize = 50_000;
const MOST_STEPS_OF_ALL: usize = 1_000_000;
const EXHAUSTED: &str = "too many combinations of arguments";

/// What was, and what is now.
pub(super) type Pair = (Verdict, Verdict);

/// For some parts of a call, what stands there; JSON, or seconds for a time.
pub(super) type Parts = BTreeMap<Part, Option<String>>;

/// What was found before, so that it need not be found again.
#[derive(Default)]
pub(super) struct Known {
    cells: HashMap<String, Rc<Cells>>,
    steps: usize,
}

pub(super) struct Search<'a> {
    terms: &'a Terms,
    /// The name that all this is about, as JSON.
    name: String,
    known: &'a mut Known,
    /// The parts in the order in which they are tried.
    order: Vec<Part>,
    flags: Vec<Option<bool>>,
    chosen: Parts,
    steps: usize,
    /// What was looked into before, and whether guessing: the same again would show nothing new.
    seen: HashSet<(bool, Course, Course)>,
    /// Some flags are guessed, for this reason: what follows from them may be, but no call shows it.
    guessed: Option<String>,
    pub(super) found: BTreeMap<Pair, Parts>,
    /// Differences that there may be, and why that is not known.
    pub(super) open: BTreeMap<Pair, BTreeSet<String>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(terms: &'a Terms, name: String, known: &'a mut Known, (old, new): (&Course, &Course)) -> Self {
        let apart = old.apart(new);
        let mut order = terms.parts.keys().filter(|part| **part != Part::Arguments).cloned().collect::<Vec<_>>();
        // What only one of the two asks comes first: the rest then often is the same for both.
        let common = |part: &Part| {
            let asks = terms.parts.get(part).map(Vec::as_slice).unwrap_or_default();
            !asks.iter().any(|(flag, _)| apart.contains(flag))
        };
        order.sort_by_key(common);
        let (flags, found, open) = (vec![None; terms.count()], BTreeMap::new(), BTreeMap::new());
        Self {
            terms,
            name,
            known,
            order,
            flags,
            chosen: Parts::new(),
            steps: 0,
            seen: HashSet::new(),
            guessed: None,
            found,
            open,
        }
    }

    pub(super) fn run(&mut self, old: &Course, new: &Course) {
        // With arguments; what is asked of them as a whole is then the same for all.
        self.set_all(|part| *part == Part::Arguments, Some("{}"));
        self.descend(old, new);
        if self.terms.parts.contains_key(&Part::Arguments) {
            self.set_all(|part| matches!(part, Part::Arguments | Part::Argument(_)), None);
            self.chosen.insert(Part::Arguments, None);
            self.descend(old, new);
        }
        self.open.retain(|pair, _| !self.found.contains_key(pair));
    }

    fn set_all(&mut self, which: impl Fn(&Part) -> bool, value: Option<&str>) {
        for (_, asks) in self.terms.parts.iter().filter(|(part, _)| which(part)) {
            for (number, ask) in asks {
                if let Some(flag) = self.flags.get_mut(*number) {
                    *flag = Some(ask.flags_value(value));
                }
            }
        }
    }

    fn descend(&mut self, old: &Course, new: &Course) {
        let (old, new) = (old.given(&self.flags), new.given(&self.flags));
        let pairs = self.wanted(&old, &new);
        if pairs.is_empty() || !self.seen.insert((self.guessed.is_some(), old.clone(), new.clone())) {
            return;
        }
        self.steps += 1;
        self.known.steps += 1;
        if self.is_exhausted() {
            return self.leave_open(&pairs, EXHAUSTED);
        }
        let flags = old.flags().union(&new.flags()).copied().collect::<BTreeSet<_>>();
        let Some((part, asks)) = self.next(&flags) else {
            // Nothing is left to ask, so there is one pair.
            match self.guessed.clone() {
                Some(reason) => self.leave_open(&pairs, &reason),
                None => self.found.extend(pairs.into_iter().map(|pair| (pair, self.chosen.clone()))),
            }
            return;
        };
        let cells = self.cells(&part, asks);
        for cell in &cells.list {
            for ((number, _), flag) in asks.iter().zip(&cell.flags) {
                if let Some(place) = self.flags.get_mut(*number) {
                    *place = Some(*flag);
                }
            }
            self.chosen.insert(part.clone(), cell.value.clone());
            self.descend(&old, &new);
        }
        self.chosen.remove(&part);
        for (number, _) in asks {
            if let Some(place) = self.flags.get_mut(*number) {
                *place = None;
            }
        }
        if let Some(reason) = cells.open {
            let numbers =
                asks.iter().map(|(number, _)| *number).filter(|number| flags.contains(number)).collect::<Vec<_>>();
            let before = self.guessed.clone();
            self.guessed.get_or_insert_with(|| format!("{}: {reason}", described(&part)));
            self.guess(&old, &new, &numbers);
            self.guessed = before;
        }
    }

    /// Takes every flag for possible both ways, where not all ways are known: what cannot be even then cannot be at all.
    fn guess(&mut self, old: &Course, new: &Course, numbers: &[usize]) {
        let Some((number, rest)) = numbers.split_first() else {
            return self.descend(old, new);
        };
        for flag in [false, true] {
            if let Some(place) = self.flags.get_mut(*number) {
                *place = Some(flag);
            }
            let (old, new) = (old.given(&self.flags), new.given(&self.flags));
            if !self.wanted(&old, &new).is_empty() {
                self.steps += 1;
                self.known.steps += 1;
                if self.is_exhausted() {
                    let pairs = self.wanted(&old, &new);
                    self.leave_open(&pairs, EXHAUSTED);
                } else {
                    self.guess(&old, &new, rest);
                }
            }
        }
        for number in numbers {
            if let Some(place) = self.flags.get_mut(*number) {
                *place = None;
            }
        }
    }

    fn is_exhausted(&self) -> bool {
        self.steps > MOST_STEPS || self.known.steps > MOST_STEPS_OF_ALL
    }

    /// The differences that are still possible, and new.
    fn wanted(&self, old: &Course, new: &Course) -> Vec<Pair> {
        if old == new {
            return Vec::new();
        }
        let (old, new) = (old.verdicts(), new.verdicts());
        let all = old.iter().flat_map(|old| new.iter().map(move |new| (*old, *new)));
        // What is open already need not be guessed again; but it may still be found.
        let known =
            |pair: &Pair| self.found.contains_key(pair) || self.guessed.is_some() && self.open.contains_key(pair);
        let mut pairs = all.filter(|pair| pair.0 != pair.1 && !known(pair)).collect::<Vec<_>>();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// The next part that any of these flags asks about.
    fn next(&self, flags: &BTreeSet<usize>) -> Option<(Part, &'a [(usize, Ask)])> {
        self.order.iter().find_map(|part| {
            let asks = self.terms.parts.get(part)?;
            asks.iter().any(|(number, _)| flags.contains(number)).then(|| (part.clone(), asks.as_slice()))
        })
    }

    fn cells(&mut self, part: &Part, asks: &[(usize, Ask)]) -> Rc<Cells> {
        let asks = asks.iter().map(|(_, ask)| ask.clone()).collect::<Vec<_>>();
        let name = if *part == Part::Name { self.name.as_str() } else { "" };
        let key = format!("{part:?} {name} {asks:?}");
        if let Some(cells) = self.known.cells.get(&key) {
            return Rc::clone(cells);
        }
        let cells = Rc::new(match part {
            Part::Argument(_) => Place::new(asks).cells(true, false),
            Part::Agent | Part::Label(_) => Place::new(asks).cells(true, true),
            Part::Server => Place::new(asks).cells(false, true),
            Part::Time => moments::cells(&asks),
            Part::Name | Part::Arguments => {
                let flags = asks.iter().map(|ask| ask.flags_value(Some(&self.name))).collect();
                let list = vec![Cell { value: Some(self.name.clone()), flags }];
                Cells { list, open: Some("other names may fare otherwise") }
            }
        });
        self.known.cells.insert(key, Rc::clone(&cells));
        cells
    }

    fn leave_open(&mut self, pairs: &[Pair], reason: &str) {
        for pair in pairs {
            self.open.entry(*pair).or_default().insert(reason.to_owned());
        }
    }
}

fn described(part: &Part) -> String {
    match part {
        Part::Argument(key) => format!("args.{key}"),
        Part::Arguments => "args".to_owned(),
        Part::Agent => "agent.id".to_owned(),
        Part::Label(key) => format!("agent.labels.{key}"),
        Part::Server => "server.id".to_owned(),
        Part::Time => "time".to_owned(),
        Part::Name => "tool.name".to_owned(),
    }
}
