//! Writes a document in the language's own form, whatever dialect it came in: the same decisions, in its native keys.

use std::time::Duration;

use crate::catalogue::{Category, Risk};
use crate::diagnostics::Findings;
use crate::source::{Action, Classified, Cost, Document, Fallback, KeyedRule, LimitEntry, Place, PredicateEntry};
use crate::source::{ReverseEntry, RuleEntry, Spanned};
use crate::written::{Tree, condition, path, text};
use crate::{Algorithm, Approval, ONE, Per, PolicyErrors, amount, read};

/// The document as JSON with the language's own keys: dialects lowered, short forms written out. Comments are not kept.
/// Says everything that is wrong with it, if anything is. `name` as for `Policy::parse`.
pub fn native(name: &str, text: &str) -> Result<String, PolicyErrors> {
    let mut findings = Findings::new(name, text);
    let document = read::document(text, &mut findings);
    findings.unless_errors()?;
    Ok(format!("{}\n", whole(&document)))
}

fn whole(document: &Document) -> Tree {
    let default = match document.default {
        Fallback::Allow => "allow",
        Fallback::Deny => "deny",
    };
    let mut members = vec![("version".to_owned(), text("1"))];
    members.extend(document.description.as_deref().map(|words| member("description", text(words))));
    members.push(member("default", text(default)));
    members.extend(document.shadow.then(|| member("mode", text("shadow"))));
    if !document.hide.is_empty() {
        members.push(member("hide", Tree::List(document.hide.iter().map(|hide| text(hide.value.as_str())).collect())));
    }
    members.extend(document.all_tools.as_ref().map(|entry| member("all_tools", rule(&entry.value))));
    members.extend(classes("categories", &document.categories, Category::as_str));
    members.extend(classes("risks", &document.risks, Risk::as_str));
    members.extend(rules("tools", &document.tools));
    members.extend(rules("resources", &document.resources));
    members.extend(rules("prompts", &document.prompts));
    members.extend(reverse(document.reverse));
    Tree::Map(members)
}

fn member(key: &str, value: Tree) -> (String, Tree) {
    (key.to_owned(), value)
}

fn rules(key: &str, rules: &[KeyedRule]) -> Option<(String, Tree)> {
    let rules = rules.iter().map(|keyed| member(keyed.pattern.value.as_str(), rule(&keyed.rule))).collect::<Vec<_>>();
    (!rules.is_empty()).then(|| member(key, Tree::Map(rules)))
}

fn classes<T: Copy>(key: &str, rules: &[Classified<T>], word: fn(T) -> &'static str) -> Option<(String, Tree)> {
    let rules = rules.iter().map(|of| member(word(of.class.value), rule(&of.rule))).collect::<Vec<_>>();
    (!rules.is_empty()).then(|| member(key, Tree::Map(rules)))
}

fn reverse(entry: ReverseEntry) -> Option<(String, Tree)> {
    let asks = [("sampling", entry.sampling), ("elicitation", entry.elicitation), ("roots", entry.roots)].into_iter();
    let allowed = asks.filter(|(_, allowed)| *allowed).map(|(key, _)| member(key, text("allow"))).collect::<Vec<_>>();
    (!allowed.is_empty()).then(|| member("reverse", Tree::Map(allowed)))
}

fn rule(entry: &RuleEntry) -> Tree {
    let mut members = Vec::new();
    let action = match entry.action {
        Action::Allow => None,
        Action::Deny => Some("deny"),
        Action::RequireApproval => Some("require_approval"),
        Action::Hide => Some("hide"),
    };
    members.extend(action.map(|action| member("action", text(action))));
    members.extend(entry.reason.as_deref().map(|reason| member("reason", text(reason))));
    members.extend(entry.shadow.then(|| member("mode", text("shadow"))));
    if !entry.except.is_empty() {
        let except = entry.except.iter().map(|except| text(except.value.as_str())).collect();
        members.push(member("except", Tree::List(except)));
    }
    for (key, entries) in [("require", &entry.require), ("deny_if", &entry.deny_if), ("approve_if", &entry.approve_if)]
    {
        if !entries.is_empty() {
            members.push(member(key, Tree::List(entries.iter().map(predicate).collect())));
        }
    }
    if !entry.record.is_empty() {
        members.push(member("record", Tree::List(entry.record.iter().map(|of| text(&path(&of.value))).collect())));
    }
    members.extend(entry.approval.as_ref().map(|entry| member("approval", approval(entry))));
    members.extend(entry.passes_uncounted.as_ref().map(|_| member("on_store_failure", text("allow"))));
    members.extend(rate_limit(&entry.rate_limit));
    if !entry.limits.is_empty() {
        members.push(member("limits", Tree::List(entry.limits.iter().map(limit).collect())));
    }
    Tree::Map(members)
}

fn predicate(entry: &PredicateEntry) -> Tree {
    let mut members = vec![member("conditions", Tree::List(entry.condition.parts().iter().map(condition).collect()))];
    members.extend(entry.on_deny.as_deref().map(|words| member("on_deny", text(words))));
    Tree::Map(members)
}

fn approval(entry: &Spanned<Approval>) -> Tree {
    let Approval { approvers, quorum, self_approval, timeout, hold } = &entry.value;
    let usual = Approval::default();
    let mut members = Vec::new();
    if !approvers.is_empty() {
        members.push(member("approvers", Tree::List(approvers.iter().map(|name| text(name)).collect())));
    }
    members.extend((*quorum != usual.quorum).then(|| member("quorum", Tree::Text(quorum.to_string()))));
    members.extend(self_approval.then(|| member("self_approval", Tree::Text("true".to_owned()))));
    members.extend((*timeout != usual.timeout).then(|| member("timeout", window(*timeout))));
    members.extend((*hold != usual.hold).then(|| member("hold", window(*hold))));
    Tree::Map(members)
}

fn rate_limit(entries: &[LimitEntry]) -> Option<(String, Tree)> {
    match entries {
        [] => None,
        [one] if matches!(one.place, Place::Alone(_)) => Some(member("rate_limit", limit(one))),
        several => Some(member("rate_limit", Tree::List(several.iter().map(limit).collect()))),
    }
}

fn limit(entry: &LimitEntry) -> Tree {
    let mut members = vec![member("max", Tree::Text(amount(entry.max))), member("window", window(entry.window))];
    members.extend(entry.counter.as_deref().map(|name| member("counter", text(name))));
    members.extend((entry.per != Per::Agent).then(|| member("per", text(entry.per.as_str()))));
    match &entry.cost {
        Cost::Fixed(ONE) => {}
        Cost::Fixed(cost) => members.push(member("cost", Tree::Text(amount(*cost)))),
        Cost::At(at) => members.push(member("cost", text(&path(at)))),
    }
    members.extend((entry.algorithm == Algorithm::Smooth).then(|| member("algorithm", text("smooth"))));
    Tree::Map(members)
}

pub(crate) fn window(window: Duration) -> Tree {
    let seconds = window.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let (unit, letter) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "s"));
    text(&format!("{}{letter}", seconds / unit))
}
