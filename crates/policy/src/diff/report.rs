//! A comparison for people: by names, each difference with a call that shows it.

use std::fmt;

use super::ask::hour_of;
use super::json::{asked, mode};
use super::{Change, Diff, Direction, LimitTerms, NameClass, Outcome, Unknown, What, Witness};
use crate::written::quoted;
use crate::{Algorithm, Approval, ONE, amount};

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "no difference");
        }
        let mut last = String::new();
        let mut under = |f: &mut fmt::Formatter<'_>, heading: String| {
            if heading == last {
                return Ok(());
            }
            writeln!(f, "{heading}")?;
            last = heading;
            Ok(())
        };
        // What is unknown of a name belongs to what is known of it.
        for change in &self.changes {
            under(f, heading(change))?;
            write!(f, "{change}")?;
            let last_of_its_names = !self
                .changes
                .iter()
                .skip_while(|other| !std::ptr::eq(*other, change))
                .skip(1)
                .any(|other| heading(other) == heading(change));
            if let (What::Calls { names, .. }, true) = (&change.what, last_of_its_names) {
                for unknown in self.unknown.iter().filter(|unknown| unknown.names.as_ref() == Some(names)) {
                    write!(f, "{unknown}")?;
                }
            }
        }
        let is_told = |unknown: &&Unknown| {
            let told = |change: &Change| matches!(&change.what, What::Calls { names, .. } if unknown.names.as_ref() == Some(names));
            !self.changes.iter().any(told)
        };
        for unknown in self.unknown.iter().filter(is_told) {
            let all = || format!("any {} that is not named here", unknown.kind.as_str());
            under(f, unknown.names.as_ref().map_or_else(all, ToString::to_string))?;
            write!(f, "{unknown}")?;
        }
        Ok(())
    }
}

fn heading(change: &Change) -> String {
    match &change.what {
        What::Calls { names, .. } => names.to_string(),
        What::Limit { names, .. } | What::Approval { names, .. } => {
            names.iter().map(NameClass::to_string).collect::<Vec<_>>().join("; ")
        }
        What::Reverse { .. } => "what servers may ask".to_owned(),
        What::Mode { .. } => "the whole policy".to_owned(),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.direction {
            Direction::Widened => '+',
            Direction::Narrowed => '-',
            Direction::Altered => '~',
        };
        write!(f, "  {sign} {}: ", self.direction.as_str())?;
        match &self.what {
            What::Calls { old, new, witness, .. } => {
                writeln!(f, "{old} -> {new}")?;
                writeln!(f, "    for example: {witness}")
            }
            What::Limit { old, new, .. } => {
                let limit =
                    |limit: &Option<Box<LimitTerms>>| limit.as_ref().map_or("no limit".to_owned(), ToString::to_string);
                writeln!(f, "{} -> {}", limit(old), limit(new))
            }
            What::Approval { old, new, .. } => {
                let all = |all: &[Approval]| all.iter().map(approval).collect::<Vec<_>>().join(", or ");
                writeln!(f, "{} -> {}", all(old), all(new))
            }
            What::Reverse { ask, new } => {
                let word = |allowed: bool| if allowed { "allow" } else { "deny" };
                writeln!(f, "{}: {} -> {}", asked(*ask), word(!new), word(*new))
            }
            What::Mode { shadow } => writeln!(f, "mode {} -> {}", mode(!shadow), mode(*shadow)),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new, reasons) = (self.old.as_str(), self.new.as_str(), self.reasons.join("; "));
        writeln!(
            f,
            "  ? unknown whether {}: {old} -> {new}: no such call was found, and none is ruled out: {reasons}",
            self.direction.as_str()
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.as_str(), self.rule)
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"name\":{}", quoted(self.name()))?;
        if let Some(arguments) = self.arguments() {
            write!(f, ",\"arguments\":{arguments}")?;
        }
        f.write_str("}")?;
        let labels = self.labels().iter().map(|(key, label)| format!("agent.labels.{key} {}", quoted(label)));
        let agent = self.agent().map(|agent| format!("agent.id {}", quoted(agent)));
        let server = self.server().map(|server| format!("server.id {}", quoted(server)));
        let time = self.time().map(|time| format!("time {}", hour_of(time)));
        let context = agent.into_iter().chain(labels).chain(server).chain(time).collect::<Vec<_>>();
        if context.is_empty() { Ok(()) } else { write!(f, " with {}", context.join(", ")) }
    }
}

impl fmt::Display for LimitTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (max, window) = (amount(self.max), self.window.as_secs());
        write!(f, "at most {max} in {window}s per {} on {}", self.per.as_str(), self.counter)?;
        if self.algorithm == Algorithm::Smooth {
            f.write_str(", smooth")?;
        }
        if self.passes_uncounted {
            f.write_str(", uncounted while the store does not answer")?;
        }
        match (self.cost, self.is_priced) {
            (ONE, false) => Ok(()),
            (cost, false) => write!(f, ", a call costs {}", amount(cost)),
            (_, true) => f.write_str(", a call costs what its arguments say"),
        }
    }
}

fn approval(approval: &Approval) -> String {
    let who = if approval.approvers.is_empty() { "anybody".to_owned() } else { approval.approvers.join(", ") };
    let own = if approval.self_approval { " and even who asks" } else { "" };
    let (quorum, timeout, hold) = (approval.quorum, approval.timeout.as_secs(), approval.hold.as_secs());
    format!("approval by {quorum} of {who}{own}, within {timeout}s, held {hold}s")
}
