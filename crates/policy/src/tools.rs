//! Holds a policy against the tools that a server really has: names, arguments, and which of them a call may leave out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::check::Effect;
use crate::condition::{Asked, Condition};
use crate::diagnostics::{Findings, quoted};
use crate::path::{Path, Step};
use crate::pattern::Pattern;
use crate::source::{Cost, Document, RuleEntry, Span, Spanned};
use crate::test::Test;
use crate::{Code, Finding, read};

/// What a server answers to `tools/list`: the names of its tools, with the JSON Schema of each one's arguments.
#[derive(Clone, Debug)]
pub struct ToolList(BTreeMap<String, Value>);

/// A text that is no list of tools.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToolList {
    #[error("not JSON: {0}")]
    Syntax(String),
    #[error("expected what a server answers to `tools/list`: {{\"tools\": [{{\"name\": …, \"inputSchema\": …}}]}}")]
    Shape,
}

impl ToolList {
    /// Reads the result of `tools/list`, also within its JSON-RPC response, or its bare list.
    pub fn parse(text: &str) -> Result<Self, NoToolList> {
        let value: Value = serde_json::from_str(text).map_err(|error| NoToolList::Syntax(error.to_string()))?;
        let list = ["/result/tools", "/tools", ""].iter().find_map(|place| value.pointer(place)?.as_array());
        let tool = |tool: &Value| {
            let name = tool.get("name")?.as_str()?.to_owned();
            Some((name, tool.get("inputSchema").cloned().unwrap_or_default()))
        };
        list.and_then(|list| list.iter().map(tool).collect::<Option<_>>()).map(Self).ok_or(NoToolList::Shape)
    }

    /// What a policy says of tools and arguments that are not there. Warnings only; none where the text is no policy.
    pub fn lint(&self, name: &str, text: &str) -> Vec<Finding> {
        let mut findings = Findings::new(name, text);
        let document = read::document(text, &mut findings);
        let Ok(_) = findings.unless_errors() else {
            return Vec::new();
        };
        let mut findings = Findings::new(name, text);
        self.names(&document, &mut findings);
        for keyed in &document.tools {
            self.arguments(&keyed.pattern.value, &keyed.rule, &mut findings);
        }
        if let Some(rule) = &document.all_tools {
            self.arguments(&Pattern::everything(), &rule.value, &mut findings);
        }
        findings.into_warnings()
    }

    fn names(&self, document: &Document, findings: &mut Findings) {
        let keys = document.tools.iter().filter(|keyed| keyed.lists()).map(|keyed| &keyed.pattern);
        let excepted = document.tools.iter().flat_map(|keyed| &keyed.rule.except);
        for pattern in keys.chain(&document.hide).chain(excepted) {
            if !self.0.keys().any(|name| pattern.value.matches(name)) {
                self.unknown(pattern, findings);
            }
        }
    }

    fn unknown(&self, pattern: &Spanned<Pattern>, findings: &mut Findings) {
        let written = quoted(pattern.value.as_str());
        if pattern.value.is_glob() {
            let message = format!("the server has no tool that {written} matches");
            findings
                .warn(Code::UnknownTool, pattern.span.clone(), message)
                .label("matches nothing")
                .advise("leave it out, or list the server's tools anew");
        } else {
            let known = self.0.keys().map(String::as_str).collect::<Vec<_>>();
            findings
                .warn(Code::UnknownTool, pattern.span.clone(), format!("the server has no tool {written}"))
                .label("no such tool")
                .advise(read::did_you_mean(pattern.value.as_str(), &known));
        }
    }

    fn arguments(&self, pattern: &Pattern, rule: &RuleEntry, findings: &mut Findings) {
        let applies =
            |name: &str| pattern.matches(name) && !rule.except.iter().any(|except| except.value.matches(name));
        let schemas = self.0.iter().filter(|(name, _)| applies(name)).map(|(_, schema)| schema).collect::<Vec<_>>();
        if schemas.is_empty() {
            return;
        }
        let all =
            [(Effect::Require, &rule.require), (Effect::DenyIf, &rule.deny_if), (Effect::ApproveIf, &rule.approve_if)];
        for (effect, predicate) in all.into_iter().flat_map(|(effect, list)| list.iter().map(move |of| (effect, of))) {
            let mut asked = Vec::new();
            gather(&predicate.condition, &mut asked);
            for asked in asked {
                if let Path::Args(steps) = &asked.path {
                    argument(asked, steps, effect, &schemas, &predicate.span, findings);
                }
            }
        }
        for recorded in &rule.record {
            if let Path::Args(steps) = &recorded.value
                && schemas.iter().all(|schema| look(schema, steps) == Seen::Unknown)
            {
                no_argument(&crate::written::path(&recorded.value), steps, &schemas, recorded.span.clone(), findings);
            }
        }
        for limit in rule.all_limits() {
            if let Cost::At(path @ Path::Args(steps)) = &limit.cost
                && schemas.iter().all(|schema| look(schema, steps) == Seen::Unknown)
            {
                no_argument(&crate::written::path(path), steps, &schemas, limit.span.clone(), findings);
            }
        }
    }
}

fn gather<'c>(condition: &'c Condition, all: &mut Vec<&'c Asked>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| gather(part, all)),
        Condition::Test(asked) => all.push(asked),
    }
}

fn argument(asked: &Asked, steps: &[Step], effect: Effect, schemas: &[&Value], here: &Span, findings: &mut Findings) {
    let path = crate::written::path(&asked.path);
    let seen = || schemas.iter().map(|schema| look(schema, steps));
    if seen().all(|seen| seen == Seen::Unknown) {
        return no_argument(&path, steps, schemas, here.clone(), findings);
    }
    suits(asked, steps, &path, schemas, here, findings);
    let holds_when_missing = asked.negated || matches!(asked.test, Test::Exists);
    if effect != Effect::Require && !holds_when_missing && seen().any(|seen| seen == Seen::Optional) {
        findings
            .warn(Code::OptionalArgument, here.clone(), format!("a call may leave `{path}` out, and then this does not hold"))
            .label("passes without it")
            .advise(format!("add {{ \"path\": \"{path}\", \"op\": \"exists\", \"value\": false }} as another predicate, if that must not pass"));
    }
}

/// Whether what the tool takes there can be asked so.
fn suits(asked: &Asked, steps: &[Step], path: &str, schemas: &[&Value], here: &Span, findings: &mut Findings) {
    let Some(wanted) = asked.test.types() else {
        return;
    };
    let types = schemas.iter().map(|schema| types(schema, steps)).collect::<Option<Vec<_>>>();
    let taken = types.into_iter().flatten().flatten().collect::<Vec<_>>();
    if !taken.is_empty() && !taken.iter().any(|taken| wanted.contains(taken)) {
        findings
            .warn(
                Code::Impossible,
                here.clone(),
                format!("the tool takes {} at `{path}`, and this asks of {}", taken.join(" or "), wanted.join(" or ")),
            )
            .label("of the wrong type")
            .advise("a `require` of it denies every call, and so does a `deny_if`");
    }
}

/// None where the schema does not say.
fn types<'s>(schema: &'s Value, steps: &[Step]) -> Option<Vec<&'s str>> {
    let Some((step, rest)) = steps.split_first() else {
        let types = schema.get("type")?;
        return match types.as_str() {
            Some(one) => Some(vec![one]),
            None => types.as_array()?.iter().map(Value::as_str).collect(),
        };
    };
    let below = match step {
        Step::Each => schema.get("items"),
        Step::Key(key) => properties(schema)?.get(&**key),
    };
    types(below?, rest)
}

fn no_argument(path: &str, steps: &[Step], schemas: &[&Value], here: Span, findings: &mut Findings) {
    let known = schemas.iter().filter_map(|schema| properties(schema)).flat_map(Map::keys).map(String::as_str);
    let known = known.collect::<Vec<_>>();
    let advice = match steps.first() {
        Some(Step::Key(first)) if !known.contains(&&**first) => read::did_you_mean(first, &known),
        Some(_) | None => "look at the tool's input schema".to_owned(),
    };
    findings
        .warn(Code::UnknownArgument, here, format!("the tool has no argument `{path}`"))
        .label("asks about nothing")
        .advise(advice);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Required,
    Optional,
    /// The schema says which arguments there are, and this is none of them.
    Unknown,
    /// The schema does not say.
    Unclear,
}

fn look(schema: &Value, steps: &[Step]) -> Seen {
    let Some((step, rest)) = steps.split_first() else {
        return Seen::Required;
    };
    let below = match step {
        Step::Each => schema.get("items"),
        Step::Key(key) => match properties(schema) {
            None => None,
            Some(known) => match known.get(&**key) {
                None => return if schema.get("patternProperties").is_some() { Seen::Unclear } else { Seen::Unknown },
                Some(below) => {
                    let required = schema.get("required").and_then(Value::as_array);
                    let required = required.is_some_and(|keys| keys.iter().any(|name| name == &**key));
                    return match look(below, rest) {
                        Seen::Required if !required => Seen::Optional,
                        seen @ (Seen::Required | Seen::Optional | Seen::Unknown | Seen::Unclear) => seen,
                    };
                }
            },
        },
    };
    below.map_or(Seen::Unclear, |below| look(below, rest))
}

/// None where something else than `properties` may say what there is.
fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    let elsewhere = ["$ref", "anyOf", "oneOf", "allOf", "if"].iter().any(|key| schema.get(key).is_some());
    schema.get("properties").filter(|_| !elsewhere)?.as_object()
}
