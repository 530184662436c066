//! Where a condition looks: a path through the arguments, or a fact about who calls what, where and when.

use std::borrow::Cow;

use crate::catalogue::Class;
use crate::check::Facts;
use crate::decimal::Decimal;
use crate::json::{Json, Kind};
use crate::literal::Value;
use crate::moment::{self, Zone};
use crate::{Call, Subject};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Args(Vec<Step>),
    AgentId,
    Label(Box<str>),
    ServerId,
    ToolName,
    Category,
    Risk,
    Time(Part, Zone),
}

/// What a condition may ask of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Date,
    Hour,
    Weekday,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(Box<str>),
    /// `[*]`
    Each,
}

/// What stands where a path leads.
#[derive(Clone, Debug)]
pub(crate) enum Found<'c> {
    Value(Value<'c>),
    Missing,
    /// A step into what is no object, or no list; or a string that is no text.
    WrongType,
}

impl Path {
    /// Shows everything that the path leads to, in order, until `look` has seen enough and says so.
    pub(crate) fn any(&self, facts: &Facts<'_>, mut look: impl FnMut(Found<'_>) -> bool) -> bool {
        let text = |text| Found::Value(Value::String(Cow::Borrowed(text)));
        let call = &facts.call;
        let context = &call.context;
        let found = match self {
            Self::Args(steps) => {
                return match call.arguments {
                    Some(arguments) => walk(Json::new(arguments.get()), steps, &mut look),
                    None => look(Found::Missing),
                };
            }
            Self::AgentId => context.agent.map_or(Found::Missing, text),
            Self::Label(key) => {
                let label = context.labels.iter().find(|(label, _)| **label == **key);
                label.map_or(Found::Missing, |(_, value)| text(value))
            }
            Self::ServerId => text(context.server),
            Self::ToolName => tool(call).map_or(Found::Missing, text),
            Self::Category => class(facts).map_or(Found::Missing, |class| text(class.category.as_str())),
            Self::Risk => class(facts).map_or(Found::Missing, |class| text(class.risk.as_str())),
            Self::Time(Part::Hour, zone) => return number(moment::hour(context.time, zone), look),
            Self::Time(Part::Weekday, zone) => return number(moment::weekday(context.time, zone), look),
            Self::Time(Part::Date, zone) => Found::Value(Value::String(moment::date(context.time, zone).into())),
        };
        look(found)
    }
}

fn tool<'c>(call: &Call<'c>) -> Option<&'c str> {
    match call.subject {
        Subject::Tool(name) => Some(name),
        Subject::Resource(_) | Subject::Prompt(_) => None,
    }
}

fn class(facts: &Facts<'_>) -> Option<Class> {
    tool(&facts.call).and_then(|name| facts.classes.get(name)).copied()
}

fn number(number: i64, mut look: impl FnMut(Found<'_>) -> bool) -> bool {
    let digits = number.to_string();
    look(Found::Value(Value::Number(Decimal::parse(&digits))))
}

/// As deep as the path has `[*]`, whatever the depth of the arguments.
fn walk<'c>(json: Json<'c>, steps: &[Step], look: &mut dyn FnMut(Found<'c>) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return look(Value::of(json).map_or(Found::WrongType, Found::Value));
    };
    match (step, json.kind()) {
        (Step::Key(key), Kind::Object) => match json.member(key) {
            Some(value) => walk(value, rest, look),
            None => look(Found::Missing),
        },
        (Step::Each, Kind::Array) => json.elements().any(|element| walk(element, rest, look)),
        _ => look(Found::WrongType),
    }
}
