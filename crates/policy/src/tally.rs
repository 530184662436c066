//! Gathers the limits of a document into counters, and says which counters the limits of a rule touch.

use std::collections::BTreeMap;

use crate::counter::Priced;
use crate::source::{Cost, LimitEntry};
use crate::{Counter, CounterName, Limit, Owed, Per, RulePointer};

/// A limit as it stands in the document.
pub(crate) struct Written<'d> {
    pub(crate) entry: &'d LimitEntry,
    pub(crate) pointer: RulePointer,
    pub(crate) shadow: bool,
    pub(crate) passes_uncounted: bool,
}

/// By name, then by whose count it is; the limits of each by pointer. `owed` relies on this order.
pub(crate) fn counters<'d>(limits: impl Iterator<Item = Written<'d>>) -> Vec<Counter> {
    let mut groups = BTreeMap::<(CounterName, Per), BTreeMap<RulePointer, Limit>>::new();
    for limit in limits {
        let key = (limit.counter_name(), limit.entry.per);
        let Written { entry: &LimitEntry { max, window, algorithm, .. }, pointer, passes_uncounted, .. } = limit;
        let meant = Limit { max, window, algorithm, pointer: pointer.clone(), passes_uncounted };
        groups.entry(key).or_default().insert(pointer, meant);
    }
    let counter =
        |((name, per), limits): (_, BTreeMap<_, _>)| Counter { name, per, limits: limits.into_values().collect() };
    groups.into_iter().map(counter).collect()
}

/// Every counter of each name that these limits use, since a named counter is one count whoever feeds it.
pub(crate) fn owed<'d>(counters: &[Counter], limits: impl Iterator<Item = Written<'d>>) -> Box<[Owed]> {
    let mut owed = BTreeMap::<usize, Owed>::new();
    for limit in limits {
        let name = limit.counter_name();
        let first = counters.partition_point(|counter| counter.name < name);
        let sharing = counters.iter().enumerate().skip(first).take_while(|(_, counter)| counter.name == name);
        for (index, counter) in sharing {
            let own = counter.limits.binary_search_by(|other| other.pointer.cmp(&limit.pointer)).ok();
            let this = limit.owes(index, own);
            owed.entry(index).and_modify(|sum| sum.add(&this)).or_insert(this);
        }
    }
    owed.into_values().collect()
}

impl Written<'_> {
    /// `own` is its place among the counter's limits; none where only the name is shared.
    fn owes(&self, counter: usize, own: Option<usize>) -> Owed {
        let listed = |shadow| own.filter(|_| self.shadow == shadow).into_iter().collect();
        let (cost, priced) = match &self.entry.cost {
            Cost::Fixed(cost) => (*cost, None),
            Cost::At(path) => {
                let (max, pointer) = (self.entry.max, self.pointer.clone());
                (0, Some(Priced { path: path.clone(), max, pointer, shadow: self.shadow }))
            }
        };
        Owed { counter, enforced: listed(false), shadowed: listed(true), cost, priced: priced.into_iter().collect() }
    }

    fn counter_name(&self) -> CounterName {
        CounterName::new(self.entry.counter.as_deref().unwrap_or(self.pointer.as_str()))
    }
}
