//! Finds conditions that no call can meet: bounds that exclude each other, words that a path never says, operators that
//! its type never suits. Says so only where it is sure.

use std::borrow::Cow;

use crate::catalogue::{Category, Risk};
use crate::condition::{Asked, Condition};
use crate::decimal::Decimal;
use crate::literal::{Literal, Value};
use crate::path::{Part, Path, Step};
use crate::test::{Relation, Test, Type};

const MOST_TESTS: usize = 1_000;

/// Why the conditions, all together, can never hold; none where they may.
pub(crate) fn why(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Any(parts) if parts.is_empty() => Some("an empty `any` never holds".to_owned()),
        Condition::Any(parts) => {
            let reasons = parts.iter().map(why).collect::<Option<Vec<_>>>()?;
            reasons.into_iter().next()
        }
        Condition::All(_) | Condition::Test(_) => {
            let parts = condition.parts();
            // More than anybody writes: each is held against each.
            let tests = parts.iter().filter_map(asked).take(MOST_TESTS).collect::<Vec<_>>();
            let alone = parts.iter().filter(|part| asked(part).is_none()).find_map(nested);
            alone.or_else(|| tests.iter().find_map(|test| together(test, &tests)))
        }
    }
}

/// `why` of what is not one test.
fn nested(condition: &Condition) -> Option<String> {
    match condition {
        Condition::All(_) | Condition::Any(_) => why(condition),
        Condition::Test(_) => None,
    }
}

fn asked(condition: &Condition) -> Option<&Asked> {
    match condition {
        Condition::Test(asked) => Some(asked),
        Condition::All(_) | Condition::Any(_) => None,
    }
}

/// Looks at all tests on the path of `first`.
fn together(first: &Asked, tests: &[&Asked]) -> Option<String> {
    let path = crate::written::path(&first.path);
    let same = tests.iter().copied().filter(|test| test.path == first.path).collect::<Vec<_>>();
    if let Some(values) = values(&first.path) {
        let meets = |value: &Literal| same.iter().all(|test| holds(test, value));
        return (!values.iter().any(meets)).then(|| format!("`{path}` is never so: {}", domain(&first.path)));
    }
    if is_text(&first.path)
        && let Some(why) = same.iter().find_map(|test| no_text(test))
    {
        return Some(format!("`{path}` is never {why}"));
    }
    if matches!(&first.path, Path::Args(steps) if steps.contains(&Step::Each)) {
        return None; // In `deny_if`, one element may meet one test, and another the next.
    }
    let literals = same.iter().filter(|test| !test.negated).find_map(|test| listed(&test.test));
    match literals {
        Some([]) => Some(format!("`{path}` is never in an empty list")),
        Some(values) => {
            let meets = |value: &Literal| same.iter().all(|test| holds(test, value));
            (!values.iter().any(meets)).then(|| format!("no value of `{path}` meets all of this"))
        }
        None => bounds(&same).then(|| format!("no number is within these bounds of `{path}`")),
    }
}

/// Whether the path leads to a string, or to nothing.
fn is_text(path: &Path) -> bool {
    matches!(
        path,
        Path::AgentId | Path::Label(_) | Path::ServerId | Path::ToolName | Path::Category | Path::Risk | Path::Time(..)
    )
}

/// Why no string meets the test, or what it names is no day.
fn no_text(asked: &Asked) -> Option<String> {
    let is_date = matches!(asked.path, Path::Time(Part::Date, _));
    let listed = listed(&asked.test).unwrap_or_default();
    let text = |literal: &Literal| matches!(literal, Literal::String(text) if !is_date || is_a_date(text));
    let odd = listed.iter().find(|literal| !text(literal)).filter(|_| is_date);
    if let Some(odd) = odd {
        // One word too many in a list of days is a day on which nothing happens.
        return Some(format!("{}: a day is written as \"2026-11-23\"", crate::written::literal(odd).line()));
    }
    let never = match &asked.test {
        Test::Compare(..) => true,
        Test::Type(wanted) => (*wanted == Type::String) == asked.negated,
        Test::Equals(_) | Test::OneOf(_) => !asked.negated && !listed.is_empty() && !listed.iter().any(text),
        Test::Exists
        | Test::Contains(_)
        | Test::StartsWith(_)
        | Test::EndsWith(_)
        | Test::Glob(_)
        | Test::Regex(_)
        | Test::Within(_)
        | Test::HostIn(_)
        | Test::Length(..) => false,
    };
    never.then(|| format!("so: {}", domain(&asked.path)))
}

/// `2026-11-23`. Which months are short is left to the calendar.
fn is_a_date(text: &str) -> bool {
    let parts = text.split('-').collect::<Vec<_>>();
    let number =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok()).flatten();
    let [year, month, day] = parts.as_slice() else { return false };
    let in_year = |part: &str, most| part.len() == 2 && number(part).is_some_and(|number| (1..=most).contains(&number));
    year.len() >= 4 && number(year).is_some() && in_year(month, 12) && in_year(day, 31)
}

/// The values that it must be one of.
fn listed(test: &Test) -> Option<&[Literal]> {
    if let Test::Equals(value) = test {
        return Some(std::slice::from_ref(value));
    }
    if let Test::OneOf(values) = test { Some(values) } else { None }
}

/// All that the path ever says, where that is known.
fn values(path: &Path) -> Option<Vec<Literal>> {
    let words = |words: &[&str]| words.iter().map(|word| Literal::String((*word).into())).collect();
    let numbers = |from: u8, to: u8| {
        (from..=to).filter_map(|number| Decimal::parse(&number.to_string()).to_owned()).map(Literal::Number).collect()
    };
    match path {
        Path::Category => Some(words(&Category::ALL.map(|(word, _)| word))),
        Path::Risk => Some(words(&Risk::ALL.map(|(word, _)| word))),
        Path::Time(Part::Hour, _) => Some(numbers(0, 23)),
        Path::Time(Part::Weekday, _) => Some(numbers(1, 7)),
        Path::Args(_)
        | Path::AgentId
        | Path::Label(_)
        | Path::ServerId
        | Path::ToolName
        | Path::Time(Part::Date, _) => None,
    }
}

fn domain(path: &Path) -> &'static str {
    match path {
        Path::Category => "it is Read, Write, Execute, Destructive or Financial",
        Path::Risk => "it is Low, Medium, High or Critical",
        Path::Time(Part::Hour, _) => "it is a number from 0 to 23",
        Path::Time(Part::Weekday, _) => "it is a number from 1, Monday, to 7",
        Path::Time(Part::Date, _) => "it is a string, such as \"2026-11-23\"",
        Path::Args(_) | Path::AgentId | Path::Label(_) | Path::ServerId | Path::ToolName => "it is a string",
    }
}

/// Containers are taken to meet any test: this is for what is surely never met.
fn holds(asked: &Asked, literal: &Literal) -> bool {
    let value = match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Number(number) => {
            let text = number.to_string();
            return says(asked, &Value::Number(Decimal::parse(&text)));
        }
        Literal::String(text) => Value::String(Cow::Borrowed(text)),
        Literal::Array(_) | Literal::Object(_) => return true,
    };
    says(asked, &value)
}

fn says(asked: &Asked, value: &Value<'_>) -> bool {
    asked.test.ask(value).is_ok_and(|yes| yes != asked.negated)
}

/// Whether the comparisons leave no number.
fn bounds(tests: &[&Asked]) -> bool {
    let compared = || {
        tests.iter().filter_map(|asked| {
            if let Test::Compare(relation, bound) = &asked.test { Some((*relation, bound)) } else { None }
        })
    };
    compared().any(|(low, from)| {
        compared().any(|(high, to)| match (low, high) {
            (Relation::More, Relation::Less | Relation::AtMost) | (Relation::AtLeast, Relation::Less) => {
                from.compare(to).is_ge()
            }
            (Relation::AtLeast, Relation::AtMost) => from.compare(to).is_gt(),
            _ => false,
        })
    })
}
