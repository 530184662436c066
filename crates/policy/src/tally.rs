//! Gathers the limits of a document into counters, and says which counters the limits of a rule touch.

use std::collections::BTreeMap;

use crate::source::LimitEntry;
use crate::{Counter, CounterName, Limit, Owed, Per, RulePointer};

/// A limit as it stands in the document.
pub(crate) struct Written<'d> {
    pub(crate) entry: &'d LimitEntry,
    pub(crate) pointer: RulePointer,
}

/// By name, then by whose count it is; the limits of each by pointer. `owed` relies on this order.
pub(crate) fn counters<'d>(limits: impl Iterator<Item = Written<'d>>) -> Vec<Counter> {
    let mut groups = BTreeMap::<(CounterName, Per), BTreeMap<RulePointer, Limit>>::new();
    for limit in limits {
        let key = (limit.counter_name(), limit.entry.per);
        let Written { entry: &LimitEntry { max, window, algorithm, .. }, pointer } = limit;
        let meant = Limit { max, window, algorithm, pointer: pointer.clone() };
        groups.entry(key).or_default().insert(pointer, meant);
    }
    let counter =
        |((name, per), limits): (_, BTreeMap<_, _>)| Counter { name, per, limits: limits.into_values().collect() };
    groups.into_iter().map(counter).collect()
}

/// Every counter of each name that these limits use, since a named counter is one count whoever feeds it.
pub(crate) fn owed<'d>(counters: &[Counter], limits: impl Iterator<Item = Written<'d>>) -> Box<[Owed]> {
    let mut owed = BTreeMap::<usize, Vec<usize>>::new();
    for limit in limits {
        let name = limit.counter_name();
        let first = counters.partition_point(|counter| counter.name < name);
        let sharing = counters.iter().enumerate().skip(first).take_while(|(_, counter)| counter.name == name);
        for (index, counter) in sharing {
            let own = counter.limits.binary_search_by(|other| other.pointer.cmp(&limit.pointer));
            owed.entry(index).or_default().extend(own.ok());
        }
    }
    let sorted = owed.into_iter().map(|(counter, mut enforced)| {
        enforced.sort_unstable();
        Owed { counter, enforced: enforced.into() }
    });
    sorted.collect()
}

impl Written<'_> {
    fn counter_name(&self) -> CounterName {
        CounterName::new(self.entry.counter.as_deref().unwrap_or(self.pointer.as_str()))
    }
}
