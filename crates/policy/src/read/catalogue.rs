//! Reads a catalogue of tools: `{"version": "1", "server": …, "tools": {NAME: {"category", "risk", …}}}`.

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;

use super::object::{Keys, brace, expect_object, expect_string, member, members, one_of, wrong_type};
use super::rule::pattern;
use super::{syntax, version, version_is_there};
use crate::Code;
use crate::catalogue::{Category, Class, Classes, Risk};
use crate::diagnostics::{Findings, quoted};

pub(super) const CATALOGUE: Keys =
    Keys { of: "a catalogue", known: &["$schema", "description", "server", "tools", "version"] };

pub(super) const TOOL: Keys = Keys {
    of: "a tool of a catalogue",
    known: &["category", "confidence", "definition_hash", "evidence", "reason", "reviewed_by", "risk"],
};

pub(crate) fn catalogue(text: &str, findings: &mut Findings) -> Classes {
    let mut classes = Classes::new();
    let Some(root) = syntax::parse(text, findings) else {
        return classes;
    };
    version_is_there(&root, "a catalogue", findings);
    for (key, value) in members(&root, &CATALOGUE, findings) {
        match key {
            "version" => version(value, findings),
            "tools" => {
                let tools = expect_object(value, key, findings).map(|tools| tools.properties.as_slice());
                for tool in tools.unwrap_or_default() {
                    let name = pattern(tool.name.as_str(), tool.name.range(), findings);
                    let class = class(&tool.value, findings);
                    if let Some((name, class)) = name.zip(class) {
                        if name.value.is_glob() {
                            findings
                                .error(Code::BadPattern, name.span, "a catalogue classifies names, not patterns")
                                .label("a pattern")
                                .advise("write one entry for each tool");
                        } else {
                            classes.insert(name.value.as_str().into(), class);
                        }
                    }
                }
            }
            _ => drop(expect_string(value, key, findings)),
        }
    }
    classes
}

fn class(value: &Value<'_>, findings: &mut Findings) -> Option<Class> {
    let object = expect_object(value, "each of tools", findings)?;
    for key in ["category", "risk"] {
        if member(object, key).is_none() {
            findings
                .error(Code::MissingKey, brace(object), format!("a tool of a catalogue must have a {}", quoted(key)))
                .label(format!("no `{key}` in here"))
                .advise("write { \"category\": \"Read\", \"risk\": \"Low\" }");
        }
    }
    let (mut category, mut risk) = (None, None);
    for (key, value) in members(object, &TOOL, findings) {
        match key {
            "category" => category = one_of(value, key, &Category::ALL, findings),
            "risk" => risk = one_of(value, key, &Risk::ALL, findings),
            // How sure somebody was is for people to read, in words or as a number.
            "confidence" if value.as_number_lit().is_some() => {}
            "evidence" if value.as_array().is_some() => {}
            _ if value.as_string_lit().is_none() => wrong_type(value, key, "a string", findings),
            _ => {}
        }
    }
    Some(Class { category: category?, risk: risk? })
}
