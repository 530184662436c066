//! The shape of one example, for each method.

use serde_json::{Map, Value};

use super::DataFault;
use crate::model::MethodKind;

const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

type Members = Map<String, Value>;

pub(super) fn faults(example: &Members, method: &MethodKind) -> Vec<DataFault> {
    let mut rules = Rules(Vec::new());
    match method {
        MethodKind::Supervised => {
            let messages = rules.messages(example, "messages", "messages");
            rules.has_answer(messages, "messages");
            rules.optional(example, "", "tools", "a list", Value::is_array);
            rules.optional(example, "", "parallel_tool_calls", "true or false", Value::is_boolean);
        }
        MethodKind::Dpo => rules.preference(example),
        MethodKind::Reinforcement => {
            let messages = rules.messages(example, "messages", "messages");
            if messages.and_then(<[Value]>::last).is_some_and(|last| role(last) != Some("user")) {
                rules.0.push(DataFault::LastNotUser);
            }
        }
        MethodKind::Unknown(_) => {}
    }
    rules.0
}

fn role(message: &Value) -> Option<&str> {
    message.get("role")?.as_str()
}

/// Collects what is wrong.
struct Rules(Vec<DataFault>);

impl Rules {
    fn preference(&mut self, example: &Members) {
        match example.get("input").map(Value::as_object) {
            Some(Some(input)) => {
                self.messages(input, "messages", "input.messages");
                self.optional(input, "input.", "tools", "a list", Value::is_array);
                self.optional(input, "input.", "parallel_tool_calls", "true or false", Value::is_boolean);
            }
            Some(None) => self.kind("input".to_owned(), "an object"),
            None => self.0.push(DataFault::Missing("input".to_owned())),
        }
        for name in ["preferred_output", "non_preferred_output"] {
            let messages = self.messages(example, name, name);
            self.has_answer(messages, name);
        }
    }

    /// The messages of a list, each looked at.
    fn messages<'a>(&mut self, members: &'a Members, name: &str, place: &str) -> Option<&'a [Value]> {
        let messages = match members.get(name) {
            Some(Value::Array(messages)) => messages,
            Some(_) => {
                self.kind(place.to_owned(), "a list");
                return None;
            }
            None => {
                self.0.push(DataFault::Missing(place.to_owned()));
                return None;
            }
        };
        if messages.is_empty() {
            self.0.push(DataFault::Empty(place.to_owned()));
            return None;
        }
        for (index, message) in messages.iter().enumerate() {
            self.message(message, &format!("{place}[{index}]"));
        }
        Some(messages)
    }

    fn message(&mut self, message: &Value, place: &str) {
        let Some(members) = message.as_object() else { return self.kind(place.to_owned(), "an object") };
        match members.get("role") {
            Some(Value::String(role)) if ROLES.contains(&role.as_str()) => {}
            Some(_) => self.kind(format!("{place}.role"), "a role"),
            None => self.0.push(DataFault::Missing(format!("{place}.role"))),
        }
        let is_answer = role(message) == Some("assistant");
        let calls =
            ["tool_calls", "function_call"].iter().any(|name| members.get(*name).is_some_and(|it| !it.is_null()));
        match members.get("content") {
            Some(Value::String(_) | Value::Array(_)) => {}
            // An answer that calls a tool need not say anything.
            None | Some(Value::Null) if is_answer && calls => {}
            None | Some(Value::Null) => self.0.push(DataFault::Missing(format!("{place}.content"))),
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
                self.kind(format!("{place}.content"), "a text or a list");
            }
        }
        match members.get("weight") {
            None => {}
            Some(_) if !is_answer => {
                self.kind(format!("{place}.weight"), "lawful: only the assistant's messages have weight")
            }
            Some(weight) if matches!(weight.as_f64(), Some(0.0 | 1.0)) => {}
            Some(_) => self.kind(format!("{place}.weight"), "0 or 1"),
        }
    }

    fn has_answer(&mut self, messages: Option<&[Value]>, place: &str) {
        if messages.is_some_and(|messages| !messages.iter().any(|message| role(message) == Some("assistant"))) {
            self.0.push(DataFault::NoAnswer(place.to_owned()));
        }
    }

    fn optional(&mut self, members: &Members, at: &str, name: &str, expected: &'static str, is: fn(&Value) -> bool) {
        if members.get(name).is_some_and(|value| !is(value)) {
            self.kind(format!("{at}{name}"), expected);
        }
    }

    fn kind(&mut self, place: String, expected: &'static str) {
        self.0.push(DataFault::Kind { place, expected });
    }
}
