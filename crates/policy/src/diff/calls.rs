//! Compares what becomes of calls, name by name; and asks both policies about every difference before it is told.

use super::names::{self, Kind, NameClass};
use super::search::{Known, Search};
use super::terms::Terms;
use super::witness::{Verdict, Witness};
use super::{Diff, Direction, Unknown, What, owed};
use crate::written::quoted;
use crate::{Call, Context, Policy};

pub(super) fn compare(old: &Policy, new: &Policy, diff: &mut Diff) {
    let mut known = Known::default();
    for kind in Kind::ALL {
        let (classes, open) = names::classes(kind, [old, new]);
        for names in &classes {
            class(names, [old, new], &mut known, diff);
        }
        if let Some(reason) = open {
            for (old, new) in [(Verdict::Refused, Verdict::Permitted), (Verdict::Permitted, Verdict::Refused)] {
                let (direction, reasons) = (Direction::of(old, new), vec![reason.to_owned()]);
                diff.unknown.push(Unknown { direction, names: None, kind, old, new, reasons });
            }
        }
    }
}

fn class(names: &NameClass, policies: [&Policy; 2], known: &mut Known, diff: &mut Diff) {
    let [old, new] = policies;
    let time = super::moments::moment(0);
    let call = Call {
        subject: names.subject(),
        arguments: None,
        context: Context { agent: None, labels: &[], server: "", time },
    };
    let mut terms = Terms::default();
    let before = terms.course(old, call, !names.is_exact());
    let after = terms.course(new, call, !names.is_exact());
    let mut search = Search::new(&terms, quoted(names.example()), known, (&before, &after));
    search.run(&before, &after);
    let (found, mut open) = (search.found, search.open);
    for (pair, parts) in found {
        let witness = Witness::new(names, &parts);
        let (old, new) = (witness.ask(old), witness.ask(new));
        if (old.verdict, new.verdict) == pair {
            let (direction, names) = (Direction::of(old.verdict, new.verdict), names.clone());
            diff.add(direction, What::Calls { names, old, new, witness: Box::new(witness) });
        } else {
            // INVARIANT: nothing is told that the engine does not confirm. Never seen; a fault of this crate if it is.
            open.entry(pair).or_default().insert("a call was found, but is not confirmed".to_owned());
        }
    }
    for ((old, new), reasons) in open {
        let (direction, reasons) = (Direction::of(old, new), reasons.into_iter().collect());
        let (names, kind) = (Some(names.clone()), names.kind());
        diff.unknown.push(Unknown { direction, names, kind, old, new, reasons });
    }
    if !before.surely_refuses() && !after.surely_refuses() {
        let changes = owed::compare(names, policies);
        diff.unknown.extend(owed::unsure(names, policies, &changes));
        changes.into_iter().for_each(|(direction, what)| diff.add(direction, what));
    }
}
