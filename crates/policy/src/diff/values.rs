//! Finds one value for every way in which the questions to one part of a call can come out together. Where that is not
//! sure to be every way, it says why.

use std::collections::{BTreeMap, HashSet};

use super::ask::Ask;
use super::lists;
use super::numbers::Numbers;
use super::objects;
use super::places;
use super::texts::Texts;
use crate::literal::Literal;
use crate::path::Step;
use crate::test::Test;
use crate::written::quoted;

/// More ways than this are not told apart at one place.
pub(super) const MOST: usize = 4_096;

/// Half a surrogate pair: a string that is no text, and so of the wrong type for every question.
pub(super) const NO_TEXT: &str = r#""\ud800""#;

/// One way in which the questions come out, and a value that shows it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// JSON; none where nothing is there.
    pub(super) value: Option<String>,
    pub(super) flags: Vec<bool>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    pub(super) list: Vec<Cell>,
    /// Why there may be others.
    pub(super) open: Option<&'static str>,
}

/// A place in the arguments: what is asked of it, and of what is in it.
pub(super) struct Place {
    /// All questions to it and below, seen from here.
    pub(super) asks: Vec<Ask>,
    pub(super) keys: BTreeMap<Box<str>, Place>,
    /// Of a list, any element.
    pub(super) each: Option<Box<Place>>,
}

impl Place {
    pub(super) fn new(asks: Vec<Ask>) -> Self {
        let mut keys = BTreeMap::<Box<str>, Vec<Ask>>::new();
        let mut each = Vec::new();
        for ask in &asks {
            match ask.steps().first() {
                Some(Step::Key(key)) => keys.entry(key.clone()).or_default().push(ask.clone().below()),
                Some(Step::Each) => each.push(ask.clone().below()),
                None => {}
            }
        }
        // What is in a value that is asked for as a whole must be told apart, too.
        for literal in asks.iter().filter(|ask| ask.steps().is_empty()).flat_map(Ask::literals) {
            if let Literal::Object(members) = literal {
                for (key, member) in members {
                    keys.entry(key.clone()).or_default().push(Ask::whether(member));
                }
            }
        }
        for ask in asks.iter().filter(|ask| ask.steps().is_empty()) {
            if let Some(Test::Contains(part)) = ask.test() {
                each.push(Ask::whether(part));
            }
        }
        let keys = keys.into_iter().map(|(key, asks)| (key, Self::new(asks))).collect();
        let each = (!each.is_empty()).then(|| Box::new(Self::new(each)));
        Self { asks, keys, each }
    }

    /// The questions to this very place.
    pub(super) fn own(&self) -> impl Iterator<Item = &Ask> {
        self.asks.iter().filter(|ask| ask.steps().is_empty())
    }

    pub(super) fn literals(&self) -> impl Iterator<Item = &Literal> {
        self.own().flat_map(Ask::literals)
    }

    pub(super) fn lengths(&self) -> Vec<u64> {
        let length = |ask: &Ask| if let Some(Test::Length(_, bound)) = ask.test() { Some(*bound) } else { None };
        self.own().filter_map(length).collect()
    }

    /// What may stand here; text alone, where nothing else can.
    pub(super) fn cells(&self, may_be_missing: bool, only_text: bool) -> Cells {
        let mut cells = Gathered::new(&self.asks);
        if only_text {
            self.texts(&mut cells);
        } else {
            self.literals().for_each(|literal| cells.add(Some(written(literal))));
            self.numbers(&mut cells);
            self.texts(&mut cells);
            ["true", "false", "null"].into_iter().for_each(|word| cells.add(Some(word.to_owned())));
            cells.next_sort();
            lists::add(self, &mut cells);
            cells.next_sort();
            objects::add(self, &mut cells);
            cells.next_sort();
            if may_be_missing {
                cells.add(None);
            }
            cells.add(Some(NO_TEXT.to_owned()));
        }
        if may_be_missing {
            cells.add(None);
        }
        cells.cells
    }

    fn numbers(&self, cells: &mut Gathered<'_>) {
        let mut numbers = Numbers::default();
        for ask in self.own() {
            match (ask, ask.test()) {
                (Ask::Cost(priced), _) => numbers.add_cost(priced.max),
                (_, Some(Test::Compare(_, bound))) => numbers.add(bound),
                (_, Some(Test::Type(_))) => numbers.whole = true,
                _ => {}
            }
        }
        for literal in self.literals() {
            if let Literal::Number(number) = literal {
                numbers.add(number);
            }
        }
        let (examples, enough) = numbers.examples();
        examples.into_iter().for_each(|number| cells.add(Some(number)));
        if !enough {
            cells.open("numbers with enormous exponents");
        }
    }

    fn texts(&self, cells: &mut Gathered<'_>) {
        let mut texts = Texts::default();
        let tests = self.own().filter_map(Ask::test).collect::<Vec<_>>();
        let others = tests.iter().filter(|test| !texts.add(test)).collect::<Vec<_>>();
        let word = fresh(&format!("{tests:?}"));
        let any = |wanted: fn(&Test) -> bool| others.iter().any(|test| wanted(test));
        let (folders, hosts) =
            (any(|test| matches!(test, Test::Within(_))), any(|test| matches!(test, Test::HostIn(_))));
        // Each alone is known in full, apart from texts that are written out: folders and hosts lie inside each other like
        // boxes, and one path or URL in each box, with a name that is nowhere else, shows all there is.
        if folders && hosts || !others.is_empty() && texts.has_expressions() {
            others.iter().for_each(|test| places::add_forms(test, &mut texts));
            cells.open("a path or URL is asked about in several ways at once");
        }
        texts.literals().iter().for_each(|text| cells.add(Some(quoted(text))));
        places::examples(&others, &word).iter().for_each(|text| cells.add(Some(quoted(text))));
        let (examples, open) = texts.examples();
        examples.iter().for_each(|text| cells.add(Some(quoted(text))));
        if let Some(reason) = open {
            cells.open(reason);
        }
    }
}

/// A word that stands nowhere in there.
pub(super) fn fresh(text: &str) -> String {
    let mut word = "x".to_owned();
    while text.contains(&word) {
        word.push('x');
    }
    word
}

/// Values by how the questions to them come out, each way once.
pub(super) struct Gathered<'a> {
    asks: &'a [Ask],
    seen: HashSet<Vec<bool>>,
    cells: Cells,
    /// How many more of one sort of values may be kept.
    room: usize,
}

impl<'a> Gathered<'a> {
    fn new(asks: &'a [Ask]) -> Self {
        Self { asks, seen: HashSet::new(), cells: Cells::default(), room: MOST }
    }

    pub(super) fn add(&mut self, value: Option<String>) {
        let flags = self.asks.iter().map(|ask| ask.flags_value(value.as_deref())).collect::<Vec<_>>();
        if self.seen.contains(&flags) {
            return;
        }
        if self.room == 0 {
            return self.open("too many ways to tell values apart");
        }
        self.room -= 1;
        self.seen.insert(flags.clone());
        self.cells.list.push(Cell { value, flags });
    }

    /// What comes now is of another sort: much of one must not keep out all of the next.
    pub(super) fn next_sort(&mut self) {
        self.room = MOST;
    }

    pub(super) fn open(&mut self, reason: &'static str) {
        self.cells.open.get_or_insert(reason);
    }
}

/// As JSON.
pub(super) fn written(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Bool(value) => value.to_string(),
        Literal::Number(number) => super::numbers::text(number),
        Literal::String(text) => quoted(text),
        Literal::Array(elements) => format!("[{}]", elements.iter().map(written).collect::<Vec<_>>().join(",")),
        Literal::Object(members) => {
            let member = |(key, value): &(Box<str>, Literal)| format!("{}:{}", quoted(key), written(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        }
    }
}
