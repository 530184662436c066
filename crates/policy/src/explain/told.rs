//! What conditions saw, told value by value.

use super::Step;
use crate::check::{Check, Effect, Facts};
use crate::condition::{Asked, Condition, Stance};
use crate::diagnostics::quoted;
use crate::literal::Value;
use crate::path::Found;
use crate::written;

/// More elements of a list than this are not shown one by one.
const MOST_VALUES: usize = 8;

impl Check {
    pub(super) fn told(&self, facts: &Facts<'_>, stops: bool, shadow: bool) -> Step {
        let (stance, answer) = match (self.effect, stops) {
            (Effect::Require, true) => (Stance::Require, "does not hold, so the call is denied"),
            (Effect::Require, false) => (Stance::Require, "holds, as it must"),
            (Effect::DenyIf, true) => (Stance::Beware, "holds, so the call is denied"),
            (Effect::ApproveIf, true) => (Stance::Beware, "holds, so a person must consent"),
            (Effect::DenyIf | Effect::ApproveIf, false) => (Stance::Beware, "does not hold"),
        };
        let mut answer = answer.to_owned();
        if stops {
            answer.extend(self.reason.as_deref().map(|reason| format!(": {}", quoted(reason))));
        }
        if shadow {
            answer.push_str(" (in shadow: only recorded)");
        }
        let because = self.condition.parts().iter().map(|part| part.told(facts, stance)).collect();
        Step::new(self.pointer.as_str(), answer, because)
    }
}

impl Condition {
    fn told(&self, facts: &Facts<'_>, stance: Stance) -> Step {
        let answer = if self.holds(facts, stance) { "yes" } else { "no" };
        let each = |parts: &[Self]| parts.iter().map(|part| part.told(facts, stance)).collect();
        match self {
            Self::All(parts) => Step::new("all of", answer.to_owned(), each(parts)),
            Self::Any(parts) => Step::new("any of", answer.to_owned(), each(parts)),
            Self::Test(asked) => asked.told(facts, stance, answer),
        }
    }
}

impl Asked {
    fn told(&self, facts: &Facts<'_>, stance: Stance, answer: &str) -> Step {
        let mut seen = Vec::new();
        let mut more = 0_usize;
        self.path.any(facts, |found| {
            if seen.len() < MOST_VALUES {
                let mut said = shown(&found);
                if self.is_wrong_for(&found) {
                    said.push_str(", which is of the wrong type");
                }
                seen.push((said, self.says(found, stance)));
            } else {
                more += 1;
            }
            false
        });
        let asked = written::sentence(self);
        let tail = |more: usize| format!("and {more} more");
        match seen.as_slice() {
            [] => Step::leaf(asked, format!("{answer}: the list is empty")),
            [(value, _)] => Step::leaf(asked, format!("{answer}: {value}")),
            several => {
                let told = |(value, yes): &(String, bool)| {
                    Step::leaf(value.clone(), if *yes { "yes" } else { "no" }.to_owned())
                };
                let mut because = several.iter().map(told).collect::<Vec<_>>();
                because.extend((more > 0).then(|| Step::leaf(tail(more), "not shown".to_owned())));
                Step::new(&asked, answer.to_owned(), because)
            }
        }
    }

    fn is_wrong_for(&self, found: &Found<'_>) -> bool {
        matches!(found, Found::Value(value) if self.test.ask(value).is_err())
    }
}

pub(super) fn shown(found: &Found<'_>) -> String {
    match found {
        Found::Missing => "it is missing".to_owned(),
        Found::WrongType => "the way there leads into a value of the wrong type".to_owned(),
        Found::Value(Value::Null) => "it is null".to_owned(),
        Found::Value(Value::Bool(value)) => format!("it is {value}"),
        Found::Value(Value::Number(number)) => format!("it is {}", clipped(&number.to_string())),
        Found::Value(Value::String(text)) => {
            format!("it is {}", clipped(&serde_json::Value::from(&**text).to_string()))
        }
        Found::Value(Value::Array(json) | Value::Object(json)) => format!("it is {}", clipped(json.text())),
    }
}

/// On one line, and not too long.
fn clipped(text: &str) -> String {
    quoted(text).trim_matches('`').to_owned()
}
