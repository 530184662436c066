//! The schema of predicates, conditions and their paths.

use serde_json::{Value, json};

use super::super::condition::{CONDITION, NESTING, PREDICATE};
use super::super::operand::{OPS, Op, TYPES};
use super::super::path::{FACTS, MOST_STEPS, TIMES};
use super::words::plain;
use super::{add, described, object, one_of, reference, string};
use crate::test::Relation;

/// A step to a member of an object: a plain name after a dot, or an odd one in brackets.
const KEY: &str = concat!(
    r#"(?:\.[^.\[\]"'*()\\\u0000-\u0020\u007f-\u00a0]+"#,
    r#"|\[[ \t\n\r]*"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"\])"#
);

/// More than the names of the IANA database, which are too many to list.
const ZONE: &str = "[A-Za-z0-9/_+-]+";

pub(super) fn predicate() -> Value {
    let predicate = object(&PREDICATE, &["conditions"], |key| match key {
        "conditions" => conditions("Conditions that must all hold. An empty list holds always."),
        "on_deny" => string("Why, in words for the agent that is denied."),
        _ => Value::Bool(true),
    });
    described(predicate, "Conditions that hold together, and what is said when they decide.")
}

pub(super) fn condition() -> Value {
    let mut condition = object(&CONDITION, &[], |key| match key {
        "all" => conditions("Holds when all of these do. Stands alone in its condition."),
        "any" => conditions("Holds when one of these does. Stands alone in its condition."),
        "not" => described(reference("condition"), "Holds when this one does not. Stands alone in its condition."),
        "path" => reference("path"),
        "op" => described(one_of(&OPS, operator), "What is asked of the value there."),
        "value" => json!({ "description": "What the operator compares with." }),
        _ => Value::Bool(true),
    });
    let nests = NESTING.map(|key| json!({ "required": [key] }));
    add(&mut condition, "if", json!({ "anyOf": nests }));
    add(&mut condition, "then", json!({ "maxProperties": 1 }));
    add(&mut condition, "else", json!({ "required": ["path", "op", "value"] }));
    add(&mut condition, "allOf", values());
    add(&mut condition, "examples", json!([{ "path": "args.amount", "op": "lte", "value": 100 }]));
    condition
}

fn conditions(about: &str) -> Value {
    json!({ "description": about, "type": "array", "items": reference("condition") })
}

pub(super) fn path() -> Value {
    let facts = FACTS.map(|(fact, _)| fact.replace('.', r"\.")).join("|");
    let times = TIMES.map(|(part, _)| part).join("|");
    let pattern = format!(
        r#"^(?:args(?:{KEY}|\[\*\]){{1,{MOST_STEPS}}}|agent\.labels{KEY}|{facts}|time(?:\("{ZONE}"\))?\.(?:{times}))$"#
    );
    let mut examples = vec!["args.amount", "args.items[*].price", "args[\"odd.key\"]", "agent.labels.team"];
    examples.extend(FACTS.map(|(fact, _)| fact));
    examples.extend(["time.hour", "time.weekday", "time.date", "time(\"Europe/Zurich\").hour"]);
    json!({
        "description": "Where the value stands: in the arguments (`[*]` is every element), or what is known of the call.",
        "type": "string", "pattern": pattern, "examples": examples,
    })
}

/// A path to one argument.
pub(super) fn argument() -> String {
    format!("^args{KEY}{{1,{MOST_STEPS}}}$")
}

/// What `value` must be, for each operator that does not take any.
fn values() -> Value {
    let of = |(word, op): &(&str, Op)| {
        let value = value(*op)?;
        let asked = json!({ "properties": { "op": { "const": word } }, "required": ["op"] });
        Some(json!({ "if": asked, "then": { "properties": { "value": value } } }))
    };
    OPS.iter().filter_map(of).collect()
}

fn value(op: Op) -> Option<Value> {
    let folder = json!({ "type": "string", "minLength": 1 });
    Some(match op {
        Op::Equals { .. } | Op::Contains => return None,
        Op::OneOf { .. } => json!({ "type": "array" }),
        Op::Compare(_) => json!({ "type": "number" }),
        Op::Length(_) => json!({ "type": "integer", "minimum": 0 }),
        Op::Exists => json!({ "type": "boolean" }),
        Op::StartsWith | Op::EndsWith | Op::Glob | Op::Regex => json!({ "type": "string" }),
        Op::Within => json!({ "anyOf": [folder, { "type": "array", "items": folder }] }),
        Op::HostIn => json!({
            "type": "array", "items": { "type": "string", "pattern": r"^(?:\*\.)?[^*/?#@\u0000-\u0020]+$" },
            "examples": [["example.com", "*.example.com"]],
        }),
        Op::Type => plain(&TYPES, "A type of JSON; `integer` goes by value, so 1.0 is one."),
    })
}

fn operator(op: Op) -> &'static str {
    match op {
        Op::Equals { negated: false } => "Equal as JSON values; numbers by value, exactly.",
        Op::Equals { negated: true } => "Not equal as JSON values.",
        Op::OneOf { negated: false } => "Equal to one of the list.",
        Op::OneOf { negated: true } => "Equal to none of the list.",
        Op::Compare(Relation::Less) => "A number below this one.",
        Op::Compare(Relation::AtMost) => "A number, this one at most.",
        Op::Compare(Relation::More) => "A number above this one.",
        Op::Compare(Relation::AtLeast) => "A number, this one at least.",
        Op::Length(Relation::Less) => "Shorter: a string in characters, or a list or object by its members.",
        Op::Length(Relation::AtMost) => "This long at most: a string in characters, or a list or object.",
        Op::Length(Relation::More) => "Longer: a string in characters, or a list or object.",
        Op::Length(Relation::AtLeast) => "This long at least: a string in characters, or a list or object.",
        Op::Exists => "The path is there (null counts), or with `false`: is not.",
        Op::Contains => "A part of the string, or an element of the list.",
        Op::StartsWith => "The string starts with this.",
        Op::EndsWith => "The string ends with this.",
        Op::Glob => "The string matches: `*` is any run of characters, `?` one.",
        Op::Regex => "The whole string matches, in linear time: no look-around, no back-references.",
        Op::Within => "A file path that stays inside the folder, once `.`, `..` and escapes are resolved.",
        Op::HostIn => "The URL's host is listed; `*.example.com` is every name below it.",
        Op::Type => "A value of that type.",
    }
}
