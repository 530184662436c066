//! Reads predicates and their conditions. `not` is resolved here, so that nobody after it need think of it.

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;

use super::object::{Keys, brace, expect_array, expect_object, expect_string, member, members, opening, span};
use super::{operand, path};
use crate::Code;
use crate::condition::{Asked, Condition};
use crate::diagnostics::Findings;
use crate::source::{Place, PredicateEntry};

pub(super) const PREDICATE: Keys = Keys { of: "a predicate", known: &["conditions", "on_deny"] };

pub(super) const CONDITION: Keys = Keys { of: "a condition", known: &["all", "any", "not", "op", "path", "value"] };

pub(super) const NESTING: [&str; 3] = ["all", "any", "not"];

const ADVICE: &str = "write { \"path\": \"args.amount\", \"op\": \"lte\", \"value\": 100 }";

pub(super) fn predicates(value: &Value<'_>, key: &'static str, findings: &mut Findings) -> Vec<PredicateEntry> {
    let Some(array) = expect_array(value, key, findings) else {
        return Vec::new();
    };
    let mut predicates = Vec::with_capacity(array.elements.len());
    for (number, element) in array.elements.iter().enumerate() {
        if let Some(object) = expect_object(element, &format!("each of {key}"), findings) {
            predicates.extend(predicate(object, Place::InList(key, number), findings));
        }
    }
    predicates
}

fn predicate(object: &Object<'_>, place: Place, findings: &mut Findings) -> Option<PredicateEntry> {
    if member(object, "conditions").is_none() {
        missing(object, "a predicate", "conditions", findings)
            .advise(format!("write {{ \"conditions\": [{}] }}", ADVICE.trim_start_matches("write ")));
    }
    let mut condition = None;
    let mut on_deny = None;
    for (key, value) in members(object, &PREDICATE, findings) {
        match key {
            "conditions" => condition = conditions(value, key, findings).map(Condition::All),
            "on_deny" => on_deny = expect_string(value, key, findings).map(str::to_owned),
            _ => {}
        }
    }
    Some(PredicateEntry { span: brace(object), place, condition: condition?, on_deny })
}

fn conditions(value: &Value<'_>, key: &str, findings: &mut Findings) -> Option<Vec<Condition>> {
    let array = expect_array(value, key, findings)?;
    operand::all(array.elements.iter().map(|element| condition(element, &format!("each of {key}"), findings)))
}

pub(super) fn condition(value: &Value<'_>, key: &str, findings: &mut Findings) -> Option<Condition> {
    let object = expect_object(value, key, findings)?;
    let members = members(object, &CONDITION, findings);
    let mut nesting = members.iter().filter(|(key, _)| NESTING.contains(key));
    match (nesting.next(), members.len()) {
        (Some((key, value)), 1) => nested(key, value, findings),
        (Some((key, value)), _) => {
            findings
                .error(Code::Conflict, opening(value), format!("`{key}` must stand alone in its condition"))
                .label("not alone")
                .advise("write each as a condition of its own: [{ \"any\": […] }, { \"path\": … }]");
            None
        }
        (None, _) => asked(object, findings),
    }
}

fn nested(key: &str, value: &Value<'_>, findings: &mut Findings) -> Option<Condition> {
    match key {
        "all" => conditions(value, key, findings).map(Condition::All),
        "any" => conditions(value, key, findings).map(Condition::Any),
        _ => condition(value, key, findings).map(Condition::negated),
    }
}

fn asked(object: &Object<'_>, findings: &mut Findings) -> Option<Condition> {
    let part = |key: &str, findings: &mut Findings| {
        let found = member(object, key);
        if found.is_none() {
            missing(object, "a condition", key, findings).advise(ADVICE);
        }
        found
    };
    let [path, op, value] = ["path", "op", "value"].map(|key| part(key, findings));
    let path = path.and_then(|path| {
        let text = expect_string(path, "path", findings)?;
        path::path(text, span(path.range()), findings)
    });
    let test = op.zip(value).and_then(|(op, value)| operand::test(op, value, findings));
    let (test, negated) = test?;
    Some(Condition::Test(Box::new(Asked { path: path?, test, negated })))
}

pub(super) fn missing<'f>(
    object: &Object<'_>,
    of: &str,
    key: &str,
    findings: &'f mut Findings,
) -> &'f mut crate::diagnostics::Finding {
    let finding = findings.error(Code::MissingKey, brace(object), format!("{of} must have `{key}`"));
    finding.label(format!("no `{key}` in here"))
}
