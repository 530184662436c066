//! Objects: their members are independent of each other, so every combination of what members can show can be.

use super::values::{Cell, Gathered, MOST, Place, fresh};
use crate::literal::Literal;
use crate::written::quoted;

/// Larger objects are not made.
const LARGEST: u64 = 5_000;

pub(super) fn add(place: &Place, cells: &mut Gathered<'_>) {
    cells.add(Some("{}".to_owned()));
    let mut members = Vec::new();
    for (key, below) in &place.keys {
        let found = below.cells(true, false);
        if let Some(reason) = found.open {
            cells.open(reason);
        }
        members.push((&**key, found.list));
    }
    let bounds = place.lengths();
    if bounds.iter().any(|bound| *bound > LARGEST) {
        cells.open("a very large object");
    }
    // A member that nobody asks about tells an object from one that is written out.
    let written_out = place.literals().any(|literal| matches!(literal, Literal::Object(_)));
    let word = fresh(&place.keys.keys().map(|key| &**key).collect::<String>());
    let many = members.iter().fold(1_usize, |product, (_, list)| product.saturating_mul(list.len()));
    if many > MOST {
        cells.open("too many ways for members to meet in an object");
    }
    for number in 0..many.min(MOST) {
        let object = combination(&members, number);
        let size = object.len() as u64;
        let sizes = bounds.iter().flat_map(|bound| [bound.saturating_sub(1), *bound, bound.saturating_add(1)]);
        let more = written_out.then_some(size + 1);
        for wanted in
            std::iter::once(size).chain(more).chain(sizes.filter(|wanted| (size..=LARGEST + 1).contains(wanted)))
        {
            let extra = (size..wanted).map(|number| format!("\"{word}{number}\":0"));
            let all = object.iter().cloned().chain(extra).collect::<Vec<_>>();
            cells.add(Some(format!("{{{}}}", all.join(","))));
        }
    }
}

/// The members of one combination; a number stands for each.
fn combination(members: &[(&str, Vec<Cell>)], mut number: usize) -> Vec<String> {
    let mut object = Vec::new();
    for (key, list) in members {
        let cell = list.get(number % list.len().max(1));
        number /= list.len().max(1);
        if let Some(value) = cell.and_then(|cell| cell.value.as_ref()) {
            object.push(format!("{}:{value}", quoted(key)));
        }
    }
    object
}
