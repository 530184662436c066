//! Reads a document of cases. Times are resolved here, so that one that goes back is an error at its place.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::Ranged;
use serde_json::value::RawValue;

use super::object::{
    Keys, brace, expect_array, expect_object, expect_string, kind, member, members, one_of, opening, span, wrong_type,
};
use super::operand::all;
use super::{syntax, version, version_is_there, yaml};
use crate::cases::{Case, Cases, Expected, ExpectedApproval, Named, Outcome};
use crate::decimal::Decimal;
use crate::diagnostics::Findings;
use crate::source::Span;
use crate::written::quoted;
use crate::{Code, DenyCode};

const DOCUMENT: Keys = Keys { of: "a document of cases", known: &["$schema", "cases", "description", "version"] };

const CASE: Keys = Keys {
    of: "a case",
    known: &[
        "after",
        "agent",
        "arguments",
        "at",
        "expect",
        "labels",
        "name",
        "prompt",
        "resource",
        "server",
        "session",
        "times",
        "tool",
    ],
};

const EXPECT: Keys = Keys {
    of: "`expect`",
    known: &["approval", "code", "outcome", "owed", "reason", "remaining", "retry_after", "rule", "shadow"],
};

const APPROVAL: Keys = Keys { of: "`approval`", known: &["approvers", "quorum"] };

/// What a call that passes has as its code, in the record of the gateway.
const ALLOWED: &str = "allowed";

const MOST_TIMES: u32 = 1_000_000;

pub(crate) fn cases(text: &str, findings: &mut Findings) -> Cases {
    let mut clock = Clock::default();
    let root = if findings.is_yaml() { yaml::value(text, findings) } else { syntax::value(text, findings) };
    let list = match &root {
        Some(Value::Array(list)) => elements(list, text, &mut clock, findings),
        Some(Value::Object(document)) => within(document, text, &mut clock, findings),
        Some(other) => {
            findings
                .error(Code::WrongType, opening(other), "cases must be a list, or an object with `cases`")
                .label(kind(other))
                .advise(EXAMPLE);
            Vec::new()
        }
        None => Vec::new(),
    };
    Cases { start: clock.start.unwrap_or_else(Cases::new_year), list }
}

const EXAMPLE: &str = "write [{ \"tool\": \"get_issue\", \"expect\": { \"outcome\": \"permit\" } }]";

fn within(document: &Object<'_>, text: &str, clock: &mut Clock, findings: &mut Findings) -> Vec<Case> {
    version_is_there(document, "a document of cases", findings);
    if member(document, "cases").is_none() {
        findings.error(Code::MissingKey, brace(document), "there are no `cases`").label("not in here").advise(EXAMPLE);
    }
    let mut list = Vec::new();
    for (key, value) in members(document, &DOCUMENT, findings) {
        match key {
            "version" => version(value, findings),
            "cases" => {
                list = expect_array(value, key, findings).map_or_else(Vec::new, |l| elements(l, text, clock, findings))
            }
            _ => drop(expect_string(value, key, findings)),
        }
    }
    list
}

fn elements(list: &Array<'_>, text: &str, clock: &mut Clock, findings: &mut Findings) -> Vec<Case> {
    if list.elements.is_empty() {
        let here = list.range.start..list.range.start + 1;
        findings.error(Code::MissingKey, here, "the list of cases is empty").label("nothing in here").advise(EXAMPLE);
    }
    let mut cases = Vec::with_capacity(list.elements.len());
    let (mut line, mut counted) = (1, 0);
    for element in &list.elements {
        let start = element.range().start;
        line += text.get(counted..start).unwrap_or_default().matches('\n').count();
        counted = start;
        cases.extend(expect_object(element, "each of cases", findings).and_then(|c| case(c, line, clock, findings)));
    }
    cases
}

fn case(object: &Object<'_>, line: usize, clock: &mut Clock, findings: &mut Findings) -> Option<Case> {
    let text = |value, key, findings: &mut _| expect_string(value, key, findings).map(str::to_owned);
    let mut asked = Vec::new();
    let mut expected = None;
    let mut case = Case {
        name: None,
        line,
        asked: Named::Tool(String::new()),
        arguments: None,
        agent: None,
        labels: Vec::new(),
        session: None,
        server: None,
        at: Duration::ZERO,
        times: NonZeroU32::MIN,
        expected: Expected::default(),
    };
    for (key, value) in members(object, &CASE, findings) {
        match key {
            "tool" => asked.push(Named::Tool(text(value, key, findings)?)),
            "resource" => asked.push(Named::Resource(text(value, key, findings)?)),
            "prompt" => asked.push(Named::Prompt(text(value, key, findings)?)),
            "name" => case.name = text(value, key, findings),
            "arguments" => case.arguments = expect_object(value, key, findings).and_then(|_| json(value)),
            "agent" if matches!(value, Value::NullKeyword(_)) => {}
            "agent" => case.agent = text(value, key, findings),
            "labels" => case.labels = labels(value, findings),
            "session" => case.session = text(value, key, findings),
            "server" => case.server = text(value, key, findings),
            "at" => clock.at(value, findings),
            "after" if member(object, "at").is_some() => {
                findings
                    .error(Code::Conflict, opening(value), "`at` and `after` both say when; only one may be there")
                    .label("said twice");
            }
            "after" => clock.after(value, findings),
            "times" => case.times = times(value, findings).unwrap_or(case.times),
            "expect" => expected = Some(expect(value, findings)),
            _ => {}
        }
    }
    case.at = clock.elapsed;
    clock.is_running = true;
    if asked.len() != 1 {
        let label = if asked.is_empty() { "none of them in here" } else { "more than one of them in here" };
        findings
            .error(Code::MissingKey, brace(object), "a case must name one of `tool`, `resource` and `prompt`")
            .label(label)
            .advise("write one case for each call");
    }
    if expected.is_none() {
        findings
            .error(Code::MissingKey, brace(object), "a case must say what to `expect`")
            .label("no `expect` in here")
            .advise("write \"expect\": { \"outcome\": \"permit\" }");
    }
    let [asked] = <[Named; 1]>::try_from(asked).ok()?;
    Some(Case { asked, expected: expected?, ..case })
}

fn expect(value: &Value<'_>, findings: &mut Findings) -> Expected {
    let mut expected = Expected::default();
    let Some(object) = expect_object(value, "expect", findings) else { return expected };
    if object.properties.is_empty() {
        findings
            .error(Code::MissingKey, brace(object), "`expect` must name what is expected")
            .label("nothing in here")
            .advise("write { \"outcome\": \"permit\" }");
    }
    for (key, value) in members(object, &EXPECT, findings) {
        match key {
            "outcome" => expected.outcome = one_of(value, key, &Outcome::ALL, findings),
            "code" => expected.code = code(value, key, findings),
            "shadow" => expected.shadow = code(value, key, findings),
            "rule" => expected.rule = expect_string(value, key, findings).map(str::to_owned),
            "reason" => expected.reason = expect_string(value, key, findings).map(str::to_owned),
            "owed" => expected.owed = texts(value, key, findings),
            "retry_after" => expected.retry_after = duration(value, key, findings),
            "remaining" => {
                let number = value.as_number_lit().and_then(|number| Decimal::parse(number.value).scaled(6));
                if number.is_none() {
                    bad(value, "`remaining` must be a number of at most six digits after the point", "2", findings);
                }
                expected.remaining = number;
            }
            "approval" => expected.approval = approval(value, findings),
            _ => {}
        }
    }
    expected
}

fn approval(value: &Value<'_>, findings: &mut Findings) -> Option<ExpectedApproval> {
    let object = expect_object(value, "approval", findings)?;
    // Nothing would be compared, and a call that needs no approval would be as expected.
    if object.properties.is_empty() {
        findings
            .error(Code::MissingKey, brace(object), "`approval` must name what is expected of it")
            .label("nothing in here")
            .advise("write { \"quorum\": 1 }, or only \"outcome\": \"approve\"");
    }
    let mut expected = ExpectedApproval::default();
    for (key, value) in members(object, &APPROVAL, findings) {
        match key {
            "approvers" => expected.approvers = texts(value, key, findings),
            _ => expected.quorum = whole(value, "`quorum` must be a whole number above zero", findings),
        }
    }
    Some(expected)
}

fn code(value: &Value<'_>, key: &str, findings: &mut Findings) -> Option<&'static str> {
    let denied = DenyCode::ALL.map(|code| (code.as_str(), code.as_str()));
    let codes: Vec<_> = denied.into_iter().chain([(ALLOWED, ALLOWED)]).collect();
    one_of(value, key, &codes, findings)
}

fn texts(value: &Value<'_>, key: &str, findings: &mut Findings) -> Option<Vec<String>> {
    let of = format!("each of {key}");
    let elements = expect_array(value, key, findings)?.elements.iter();
    all(elements.map(|element| expect_string(element, &of, findings).map(str::to_owned)))
}

fn labels(value: &Value<'_>, findings: &mut Findings) -> Vec<(Box<str>, Box<str>)> {
    let Some(object) = expect_object(value, "labels", findings) else { return Vec::new() };
    let mut labels = Vec::with_capacity(object.properties.len());
    for property in &object.properties {
        if let Some(text) = expect_string(&property.value, "each of labels", findings) {
            labels.push((property.name.as_str().into(), text.into()));
        }
    }
    labels
}

fn times(value: &Value<'_>, findings: &mut Findings) -> Option<NonZeroU32> {
    let times = whole(value, "`times` must be a whole number above zero", findings)?;
    if times.get() > MOST_TIMES {
        bad(value, "`times` must be 1000000 or less", "1000000", findings);
    }
    Some(times)
}

fn whole(value: &Value<'_>, message: &str, findings: &mut Findings) -> Option<NonZeroU32> {
    let number = value.as_number_lit().and_then(|number| number.value.parse().ok());
    if number.is_none() {
        bad(value, message, "2", findings);
    }
    number
}

fn bad(value: &Value<'_>, message: &str, example: &str, findings: &mut Findings) {
    findings.error(Code::BadValue, opening(value), message).label(kind(value)).advise(format!("write {example}"));
}

/// The clock of the calls: stands still but for what the cases say.
#[derive(Default)]
struct Clock {
    start: Option<SystemTime>,
    elapsed: Duration,
    /// The start may be chosen by the first case only.
    is_running: bool,
}

impl Clock {
    fn at(&mut self, value: &Value<'_>, findings: &mut Findings) {
        let here = span(value.range());
        let moment = value.as_string_lit().and_then(|text| humantime::parse_rfc3339(&text.value).ok());
        let Some(moment) = moment else {
            if let Some(offset) = duration(value, "at", findings) {
                self.go(offset, here, findings);
            }
            return;
        };
        if !self.is_running {
            self.start = Some(moment);
        } else if let Ok(offset) = moment.duration_since(self.start.unwrap_or_else(Cases::new_year)) {
            self.go(offset, here, findings);
        } else {
            back(here, findings);
        }
    }

    fn after(&mut self, value: &Value<'_>, findings: &mut Findings) {
        if let Some(time) = duration(value, "after", findings) {
            self.go(self.elapsed.saturating_add(time), span(value.range()), findings);
        }
    }

    fn go(&mut self, to: Duration, here: Span, findings: &mut Findings) {
        // A century of nanoseconds, which is as far as limits look.
        let is_far = to.as_secs() > 100 * 366 * 86_400;
        if to < self.elapsed {
            back(here, findings);
        } else if is_far {
            findings.error(Code::BadTime, here, "that is more than a century after the start").label("too far ahead");
        } else {
            self.elapsed = to;
        }
    }
}

fn back(here: Span, findings: &mut Findings) {
    findings
        .error(Code::BadTime, here, "time never goes back")
        .label("before the case above it")
        .advise("put the cases in the order of their times");
}

/// Seconds, or a text such as `1m 30s`.
fn duration(value: &Value<'_>, key: &str, findings: &mut Findings) -> Option<Duration> {
    let read = match value {
        Value::NumberLit(number) => Decimal::parse(number.value).scaled(9).map(Duration::from_nanos),
        Value::StringLit(text) => humantime::parse_duration(&text.value).ok(),
        Value::BooleanLit(_) | Value::Object(_) | Value::Array(_) | Value::NullKeyword(_) => {
            wrong_type(value, key, "a duration such as \"90s\"", findings);
            return None;
        }
    };
    if read.is_none() {
        let or = if key == "at" { " or a time such as \"2026-11-23T09:00:00Z\"" } else { "" };
        findings
            .error(Code::BadTime, span(value.range()), format!("`{key}` must be a duration such as \"90s\"{or}"))
            .label("not a time")
            .advise("write seconds, or a text such as \"2m\" or \"1h 30m\"; dates are UTC and end in Z");
    }
    read
}

/// The value as JSON text, without comments, numbers as they are written.
fn json(value: &Value<'_>) -> Option<Box<RawValue>> {
    let mut text = String::new();
    write(value, &mut text);
    RawValue::from_string(text).ok()
}

fn write(value: &Value<'_>, to: &mut String) {
    match value {
        Value::NullKeyword(_) => to.push_str("null"),
        Value::BooleanLit(boolean) => to.push_str(if boolean.value { "true" } else { "false" }),
        Value::NumberLit(number) => to.push_str(number.value),
        Value::StringLit(text) => to.push_str(&quoted(&text.value)),
        Value::Array(array) => {
            to.push('[');
            for (number, element) in array.elements.iter().enumerate() {
                to.push_str(if number == 0 { "" } else { "," });
                write(element, to);
            }
            to.push(']');
        }
        Value::Object(object) => {
            to.push('{');
            for (number, property) in object.properties.iter().enumerate() {
                to.push_str(if number == 0 { "" } else { "," });
                to.push_str(&quoted(property.name.as_str()));
                to.push(':');
                write(&property.value, to);
            }
            to.push('}');
        }
    }
}
