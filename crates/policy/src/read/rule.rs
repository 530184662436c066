//! Reads a rule: an object, or one of the short strings.

use jsonc_parser::ast::Value;
use jsonc_parser::common::{Range, Ranged};

use super::approval::approval;
use super::condition::predicates;
use super::dialect;
use super::limit::{limits, rate_limits};
use super::object::{Keys, expect_array, expect_string, kind, members, one_of, opening, span};
use super::path::path;
use crate::diagnostics::{Findings, quoted};
use crate::path::Path;
use crate::pattern::Pattern;
use crate::source::{Action, RuleEntry, Spanned};
use crate::{Code, Recorded};

pub(super) const RULE: Keys = Keys {
    of: "a rule",
    known: &[
        "action",
        "approval",
        "approve_if",
        "deny_if",
        "except",
        "limits",
        "mode",
        "on_store_failure",
        "rate_limit",
        "reason",
        "record",
        "require",
        "rules",
    ],
};

pub(super) const ACTIONS: [(&str, Action); 4] = [
    ("allow", Action::Allow),
    ("deny", Action::Deny),
    ("require_approval", Action::RequireApproval),
    ("hide", Action::Hide),
];

/// Whether calls pass while their limits cannot be counted.
pub(super) const STORE_FAILURES: [(&str, bool); 2] = [("deny", false), ("allow", true)];

/// `name` is the key that it stands under.
pub(super) fn rule(value: &Value<'_>, name: &str, findings: &mut Findings) -> RuleEntry {
    let mut rule = RuleEntry::default();
    let object = match value {
        Value::Object(object) => object,
        Value::StringLit(_) => {
            rule.action = one_of(value, "action", &ACTIONS, findings).unwrap_or_default();
            return rule;
        }
        Value::NumberLit(_) | Value::BooleanLit(_) | Value::Array(_) | Value::NullKeyword(_) => {
            findings
                .error(Code::WrongType, opening(value), "a rule must be an object or a string")
                .label(kind(value))
                .advise("write {} or \"allow\" to allow, \"deny\" to deny");
            return rule;
        }
    };
    let mut rules = None;
    for (key, value) in members(object, &RULE, findings) {
        match key {
            "rules" => rules = Some(value),
            "action" => rule.action = one_of(value, key, &ACTIONS, findings).unwrap_or_default(),
            "reason" => rule.reason = expect_string(value, key, findings).map(str::to_owned),
            "require" => rule.require = predicates(value, "require", findings),
            "deny_if" => rule.deny_if = predicates(value, "deny_if", findings),
            "approve_if" => rule.approve_if = predicates(value, "approve_if", findings),
            "approval" => rule.approval = approval(value, findings),
            "mode" => rule.shadow = one_of(value, key, &[("shadow", true)], findings).unwrap_or_default(),
            "on_store_failure" => {
                let passes = one_of(value, key, &STORE_FAILURES, findings).unwrap_or_default();
                rule.passes_uncounted = passes.then(|| span(value.range()));
            }
            "except" => rule.except = patterns(value, key, findings),
            "rate_limit" => rule.rate_limit = rate_limits(value, findings),
            "limits" => rule.limits = limits(value, findings),
            "record" => rule.record = recorded(value, key, findings),
            _ => {}
        }
    }
    // Last, since they add to what the other keys say.
    if let Some(rules) = rules {
        dialect::rules(rules, name, &mut rule, findings);
    }
    rule
}

fn recorded(value: &Value<'_>, key: &str, findings: &mut Findings) -> Vec<Spanned<Path>> {
    let Some(array) = expect_array(value, key, findings) else {
        return Vec::new();
    };
    let mut paths = Vec::with_capacity(array.elements.len());
    for element in &array.elements {
        let Some(text) = expect_string(element, &format!("each path of {key}"), findings) else { continue };
        let here = span(element.range());
        let Some(found) = path(text, here.clone(), findings) else { continue };
        if Recorded::of(&found).is_none() {
            findings
                .error(Code::BadPath, here, format!("{} is not one argument", quoted(text)))
                .label("cannot be recorded")
                .advise("write `args.` and a name; a list is recorded whole, and who calls is on record anyway");
            continue;
        }
        paths.push(Spanned { value: found, span: here });
    }
    paths
}

pub(super) fn patterns(value: &Value<'_>, key: &str, findings: &mut Findings) -> Vec<Spanned<Pattern>> {
    let Some(array) = expect_array(value, key, findings) else {
        return Vec::new();
    };
    let mut patterns = Vec::with_capacity(array.elements.len());
    for element in &array.elements {
        if let Some(text) = expect_string(element, &format!("each pattern of {key}"), findings) {
            patterns.extend(pattern(text, element.range(), findings));
        }
    }
    patterns
}

pub(super) fn pattern(text: &str, range: Range, findings: &mut Findings) -> Option<Spanned<Pattern>> {
    match Pattern::parse(text) {
        Ok(pattern) => Some(Spanned { value: pattern, span: span(range) }),
        Err(error) => {
            findings
                .error(Code::BadPattern, span(range), error.to_string())
                .label(format!("{} matches no name", quoted(text)))
                .advise("write a name, or a glob with `*` for any run and `?` for one character");
            None
        }
    }
}
