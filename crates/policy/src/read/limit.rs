//! Reads limits: `limits` in full, `rate_limit` in its short forms.

use std::time::Duration;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;

use super::number::{BadNumber, BadWindow, millionths, window_advice, window_of_number, window_of_text};
use super::object::{Keys, brace, expect_array, expect_string, member, members, one_of, opening, span, wrong_type};
use super::path::path;
use crate::diagnostics::{Findings, quoted};
use crate::path::{Path, Step};
use crate::source::{Cost, LimitEntry, Place, Span};
use crate::{Algorithm, Code, Per};

pub(super) const LIMIT: Keys =
    Keys { of: "a limit", known: &["algorithm", "cost", "counter", "max", "per", "scope", "window"] };

pub(super) const RATE_LIMIT: Keys = Keys { of: "`rate_limit`", known: &["max", "window"] };

pub(super) const PER: [(&str, Per); 5] = [
    ("agent", Per::Agent),
    ("grant", Per::Agent),
    ("session", Per::Session),
    ("server", Per::Server),
    ("gateway", Per::Gateway),
];

pub(super) const ALGORITHMS: [(&str, Algorithm); 2] = [("window", Algorithm::Window), ("smooth", Algorithm::Smooth)];

pub(super) fn limits(value: &Value<'_>, findings: &mut Findings) -> Vec<LimitEntry> {
    let Some(array) = expect_array(value, "limits", findings) else {
        return Vec::new();
    };
    let mut limits = Vec::with_capacity(array.elements.len());
    for (number, element) in array.elements.iter().enumerate() {
        match element {
            Value::Object(object) => limits.extend(limit(object, Place::InList("limits", number), &LIMIT, findings)),
            Value::StringLit(_)
            | Value::NumberLit(_)
            | Value::BooleanLit(_)
            | Value::Array(_)
            | Value::NullKeyword(_) => {
                wrong_type(element, "each of limits", "an object", findings);
            }
        }
    }
    limits
}

pub(super) fn rate_limits(value: &Value<'_>, findings: &mut Findings) -> Vec<LimitEntry> {
    let Value::Array(array) = value else {
        return rate_limit(value, Place::Alone("rate_limit"), findings).into_iter().collect();
    };
    let mut limits = Vec::with_capacity(array.elements.len());
    for (number, element) in array.elements.iter().enumerate() {
        limits.extend(rate_limit(element, Place::InList("rate_limit", number), findings));
    }
    limits
}

pub(super) fn rate_limit(value: &Value<'_>, place: Place, findings: &mut Findings) -> Option<LimitEntry> {
    match value {
        Value::Object(object) => limit(object, place, &RATE_LIMIT, findings),
        Value::StringLit(text) => rate(value, &text.value, place, findings),
        Value::NumberLit(_) | Value::BooleanLit(_) | Value::Array(_) | Value::NullKeyword(_) => {
            wrong_type(
                value,
                "rate_limit",
                "an object such as { \"max\": 10, \"window\": \"1m\" } or a string such as \"10/minute\"",
                findings,
            );
            None
        }
    }
}

/// `"10/minute"`
fn rate(value: &Value<'_>, text: &str, place: Place, findings: &mut Findings) -> Option<LimitEntry> {
    let here = span(value.range());
    let Some((max, window)) = text.split_once('/') else {
        findings
            .error(Code::BadRate, here, "a rate must be a number, a slash and a window, such as \"10/minute\"")
            .label("not a rate")
            .advise("write \"10/minute\", or { \"max\": 10, \"window\": \"1m\" }");
        return None;
    };
    let digits = !max.is_empty() && max.bytes().all(|byte| byte.is_ascii_digit());
    let max = if digits { millionths(max) } else { Err(BadNumber::NotANumber) };
    let max = max.map_err(|bad| bad_max(bad, here.clone(), findings)).ok();
    let window = window_of_text(window).map_err(|bad| bad_window(&bad, "window", window, here.clone(), findings)).ok();
    Some(LimitEntry {
        span: here,
        place,
        max: max?,
        window: window?,
        cost: Cost::default(),
        counter: None,
        per: Per::default(),
        algorithm: Algorithm::default(),
    })
}

fn limit(object: &Object<'_>, place: Place, keys: &Keys, findings: &mut Findings) -> Option<LimitEntry> {
    for key in ["max", "window"] {
        if member(object, key).is_none() {
            findings
                .error(Code::MissingKey, brace(object), format!("{} must have a `{key}`", keys.of))
                .label(format!("no `{key}` in here"))
                .advise("write { \"max\": 10, \"window\": \"1m\" }");
        }
    }
    let mut max = None;
    let mut window = None;
    let mut cost = Cost::default();
    let mut counter = None;
    let mut per = None;
    let mut algorithm = Algorithm::default();
    for (key, value) in members(object, keys, findings) {
        match key {
            "max" => max = millionths_at(value, key, findings),
            "window" => window = read_window(value, key, findings),
            "cost" => cost = read_cost(value, key, findings).unwrap_or_default(),
            "counter" => counter = read_counter(value, findings),
            "per" | "scope" if per.is_some() => {
                findings
                    .error(
                        Code::Conflict,
                        opening(value),
                        "`per` and `scope` say the same thing; only one may be there",
                    )
                    .label("said twice")
                    .advise("leave out `scope`");
            }
            "per" | "scope" => per = Some(one_of(value, key, &PER, findings).unwrap_or_default()),
            "algorithm" => algorithm = one_of(value, key, &ALGORITHMS, findings).unwrap_or_default(),
            _ => {}
        }
    }
    Some(LimitEntry {
        span: brace(object),
        place,
        max: max?,
        window: window?,
        cost,
        counter,
        per: per.unwrap_or_default(),
        algorithm,
    })
}

/// A number above zero.
pub(super) fn millionths_at(value: &Value<'_>, key: &str, findings: &mut Findings) -> Option<u64> {
    let Value::NumberLit(number) = value else {
        wrong_type(value, key, "a number", findings);
        return None;
    };
    millionths(number.value).map_err(|bad| bad_max(bad, span(number.range), findings)).ok()
}

/// A constant, or where in the arguments the amount stands.
pub(super) fn read_cost(value: &Value<'_>, key: &str, findings: &mut Findings) -> Option<Cost> {
    match value {
        Value::NumberLit(number) => {
            let cost = millionths(number.value);
            if cost.is_err() {
                findings
                    .error(
                        Code::BadCost,
                        span(value.range()),
                        format!("{} must be above zero, of at most six digits after the point", quoted(key)),
                    )
                    .label("not an amount")
                    .advise("write a number such as 5, or where it stands, such as \"args.budget_usd\"");
            }
            cost.ok().map(Cost::Fixed)
        }
        Value::StringLit(text) => {
            let path = path(&text.value, span(value.range()), findings)?;
            if matches!(&path, Path::Args(steps) if !steps.contains(&Step::Each)) {
                return Some(Cost::At(path));
            }
            findings
                .error(Code::BadCost, span(value.range()), format!("{} cannot be {}", quoted(key), quoted(&text.value)))
                .label("not one argument")
                .advise("write one path such as \"args.budget_usd\"");
            None
        }
        Value::BooleanLit(_) | Value::Object(_) | Value::Array(_) | Value::NullKeyword(_) => {
            wrong_type(value, key, "a number, or a path such as \"args.budget_usd\"", findings);
            None
        }
    }
}

/// The value of `key`: a limit's window, or any other span of time.
pub(super) fn read_window(value: &Value<'_>, key: &str, findings: &mut Findings) -> Option<Duration> {
    let (written, read) = match value {
        Value::NumberLit(number) => (number.value, window_of_number(number.value)),
        Value::StringLit(text) => (&*text.value, window_of_text(&text.value)),
        Value::BooleanLit(_) | Value::Object(_) | Value::Array(_) | Value::NullKeyword(_) => {
            wrong_type(value, key, "a duration such as \"30s\", \"5m\", \"1h\" or \"1d\"", findings);
            return None;
        }
    };
    read.map_err(|bad| bad_window(&bad, key, written, span(value.range()), findings)).ok()
}

/// Names that start with `/` are those of limits without a name, which no other limit may share.
pub(super) fn read_counter(value: &Value<'_>, findings: &mut Findings) -> Option<String> {
    let name = expect_string(value, "counter", findings)?;
    if name.is_empty() || name.starts_with('/') || name.len() > 128 || name.chars().any(char::is_control) {
        findings
            .error(Code::BadCounter, span(value.range()), format!("a counter cannot be named {}", quoted(name)))
            .label("not a name for a counter")
            .advise("write 1 to 128 bytes without control characters that do not start with `/`");
    }
    Some(name.to_owned())
}

fn bad_max(bad: BadNumber, here: Span, findings: &mut Findings) {
    let (label, advice) = match bad {
        BadNumber::NotANumber => ("not a number", "write a whole number before the slash, such as \"10/minute\""),
        BadNumber::NotPositive => ("not above zero", "to let no call through, write \"deny\" in place of the rule"),
        BadNumber::TooFine => ("more than six digits after the point", "round it to six digits after the point"),
        BadNumber::TooLarge => ("too large to count", "leave the limit out where no number is too many"),
    };
    findings
        .error(Code::BadMax, here, "`max` must be a number above zero, of at most six digits after the point")
        .label(label)
        .advise(advice);
}

fn bad_window(bad: &BadWindow, key: &str, written: &str, here: Span, findings: &mut Findings) {
    let label = match bad {
        BadWindow::NotADuration => "not a duration",
        BadWindow::Zero => "no time at all",
        BadWindow::TooLong => "longer than 366 days",
    };
    findings
        .error(Code::BadWindow, here, format!("`{key}` must be a duration such as \"30s\", \"5m\", \"1h\" or \"1d\""))
        .label(label)
        .advise(window_advice(bad, written));
}
