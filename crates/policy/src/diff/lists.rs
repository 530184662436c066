//! Lists: what is asked of any element adds up, so what a list can show is what some elements show together.

use std::collections::{HashSet, VecDeque};

use super::values::{Cells, Gathered, MOST, NO_TEXT, Place, fresh, written};
use crate::literal::Literal;
use crate::written::quoted;

/// Longer lists are not made.
const LONGEST: u64 = 5_000;

pub(super) fn add(place: &Place, cells: &mut Gathered<'_>) {
    cells.add(Some("[]".to_owned()));
    let literals = place.literals().filter(|literal| matches!(literal, Literal::Array(_)));
    let literals = literals.map(written).collect::<HashSet<_>>();
    let elements = match &place.each {
        Some(each) => each.cells(false, false),
        None => Cells::default(),
    };
    if let Some(reason) = elements.open {
        cells.open(reason);
    }
    // Which list equals one that is written out, and what else it shows, is not told apart in full.
    if place.each.is_some() && literals.iter().any(|literal| literal != "[]") {
        cells.open("a list is asked for as a whole, and by its elements");
    }
    let bounds = place.lengths();
    if bounds.iter().any(|bound| *bound > LONGEST) {
        cells.open("a very long list");
    }
    let plain = quoted(&fresh(&literals.iter().map(String::as_str).collect::<String>()));
    let lists = if place.each.is_some() { together(&elements, cells) } else { vec![vec![plain]] };
    for list in lists {
        let shortest = list.len() as u64;
        let lengths = bounds.iter().flat_map(|bound| [bound.saturating_sub(1), *bound, bound.saturating_add(1)]);
        // What is written out may be just this list; one longer is not.
        let longer = (!literals.is_empty()).then_some(shortest + 1);
        for length in std::iter::once(shortest)
            .chain(longer)
            .chain(lengths.filter(|length| (shortest..=LONGEST + 1).contains(length)))
        {
            // The same element again shows nothing new but the length.
            let more = list.first().into_iter().cycle().take((length - shortest) as usize);
            let list = list.iter().chain(more).map(String::as_str).collect::<Vec<_>>();
            cells.add(Some(format!("[{}]", list.join(","))));
        }
    }
}

/// More elements than this hardly meet in every way.
const CROWD: usize = 10;

/// For everything that some elements show together, the fewest that do.
fn together(elements: &Cells, cells: &mut Gathered<'_>) -> Vec<Vec<String>> {
    let values = elements.list.iter().filter_map(|cell| cell.value.clone()).collect::<Vec<_>>();
    // Should there be too many to go through: all at once, and all but one, tell the most.
    let but_one = |left_out: usize| {
        let others =
            values.iter().enumerate().filter(|(number, value)| *number != left_out && value.as_str() != NO_TEXT);
        others.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let crowded = values.len() > CROWD;
    let mut lists = if crowded { (0..=values.len()).map(but_one).collect() } else { Vec::new() };
    let mut seen = HashSet::new();
    let mut waiting = VecDeque::from([(Vec::new(), Vec::new())]);
    while let Some((shown, list)) = waiting.pop_front() {
        for cell in &elements.list {
            let Some(value) = &cell.value else { continue };
            let sum = if shown.is_empty() {
                cell.flags.clone()
            } else {
                cell.flags.iter().zip(&shown).map(|(a, b)| *a || *b).collect::<Vec<_>>()
            };
            // Half a character answers every question of an element, but is no element that a list is asked for.
            let is_odd = value == NO_TEXT || list.iter().any(|one| one == NO_TEXT);
            if seen.insert((is_odd, sum.clone())) {
                let longer = list.iter().chain([value]).cloned().collect::<Vec<_>>();
                lists.push(longer.clone());
                waiting.push_back((sum, longer));
            }
            if lists.len() > MOST {
                cells.open("too many ways for elements to meet in a list");
                return lists;
            }
        }
    }
    lists
}
