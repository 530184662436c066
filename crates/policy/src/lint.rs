//! Finds what may be written but is hardly meant. Warnings only: none of it changes a decision.

use crate::catalogue::{Classes, Risk};
use crate::diagnostics::{Findings, quoted};
use crate::path::Path;
use crate::pattern::Pattern;
use crate::ruling::Ruling;
use crate::source::{Action, Cost, Document, Fallback, KeyedRule, RuleEntry, Spanned};
use crate::space::Space;
use crate::{Code, ONE, impossible};

pub(crate) fn lint(document: &Document, findings: &mut Findings) {
    hides_only(document, findings);
    hidden_keys(document, findings);
    shadow_allows(document, findings);
    let classes = !document.categories.is_empty() || !document.risks.is_empty();
    for (rules, others_list) in [(&document.tools, classes), (&document.resources, false), (&document.prompts, false)] {
        lists_nothing(rules, document.default, others_list, findings);
        rules.iter().for_each(|keyed| excepted_wholly(keyed, findings));
    }
    for (rules, what) in [(&document.resources, "a resource"), (&document.prompts, "a prompt")] {
        rules.iter().for_each(|keyed| no_tool(&keyed.rule, what, findings));
    }
    document.rules().for_each(|rule| limits(rule, findings));
    document.rules().for_each(|rule| conditions(rule, findings));
    document.rules().for_each(|rule| impossible(rule, findings));
    document.rules().for_each(|rule| approvals(rule, findings));
    document.rules().for_each(|rule| passes_uncounted(rule, findings));
    names(document, findings);
}

/// Errors, where there is no catalogue: a rule that finds no tool must not look like one that does.
pub(crate) fn unclassified(document: &Document, findings: &mut Findings) {
    let categories = document.categories.iter().map(|rules| rules.class.span.clone());
    let risks = document.risks.iter().map(|rules| rules.class.span.clone());
    let asks = |path: &Path| matches!(path, Path::Category | Path::Risk);
    let predicates = document.rules().flat_map(RuleEntry::predicates);
    let asking =
        predicates.filter(|predicate| predicate.condition.any_path(asks)).map(|predicate| predicate.span.clone());
    for here in categories.chain(risks).chain(asking) {
        findings
            .error(Code::NoCatalogue, here, "nothing says which tools have this category or risk")
            .label("needs a catalogue")
            .advise("put a `catalog.json` beside the policy, or name the tools under `tools`");
    }
}

fn approvals(rule: &RuleEntry, findings: &mut Findings) {
    let Some(approval) = &rule.approval else {
        return;
    };
    if approval.value.approvers.is_empty() {
        findings
            .warn(
                Code::NobodyApproves,
                approval.span.clone(),
                "this approval names nobody: anybody with the role `approver` may give it",
            )
            .label("no `approvers` in here")
            .advise("name them, if not everybody is meant: \"approvers\": [\"a-person-or-group\"]");
    }
}

fn passes_uncounted(rule: &RuleEntry, findings: &mut Findings) {
    let Some(here) = &rule.passes_uncounted else {
        return;
    };
    let (message, label, advice) = match rule.all_limits().next() {
        Some(_) => (
            "the limits of this rule do not hold while their store does not answer",
            "fails open",
            "leave it out, so that calls are denied until they can be counted",
        ),
        None => ("this rule has no limits that could not be counted", "means nothing here", "leave it out"),
    };
    findings.warn(Code::PassesUncounted, here.clone(), message).label(label).advise(advice);
}

fn hides_only(document: &Document, findings: &mut Findings) {
    let Some(first) = document.hide.first() else {
        return;
    };
    let classes = !document.categories.is_empty() || !document.risks.is_empty();
    let lists = classes || document.tools.iter().any(KeyedRule::lists);
    if document.default == Fallback::Deny && !lists {
        findings
            .warn(Code::HidesOnly, first.span.clone(), "this policy hides tools, but denies all others as well")
            .label("hidden, where all else is denied")
            .advise("list the tools to allow under `tools`, or write \"default\": \"allow\"");
    }
}

/// Lints that hold each against each are for documents that people write.
const MOST_PAIRS: usize = 1_000_000;

/// A rule in shadow lists its names, which the default would deny without it.
fn shadow_allows(document: &Document, findings: &mut Findings) {
    if document.default == Fallback::Allow || document.shadow {
        return;
    }
    let keyed = [&document.tools, &document.resources, &document.prompts].into_iter().flatten();
    for KeyedRule { pattern, rule } in keyed.filter(|keyed| keyed.lists() && keyed.rule.shadow) {
        if rule.action != Action::Allow {
            findings
                .warn(
                    Code::ShadowAllows,
                    pattern.span.clone(),
                    format!(
                        "in shadow, rule {} lets calls pass that would be denied without it",
                        quoted(pattern.value.as_str())
                    ),
                )
                .label("counts as a rule that allows")
                .advise("leave out `mode` to refuse them, or the rule to have them denied by default");
        }
    }
}

fn hidden_keys(document: &Document, findings: &mut Findings) {
    if document.tools.len().saturating_mul(document.hide.len()) > MOST_PAIRS {
        return;
    }
    for key in document.tools.iter().map(|keyed| &keyed.pattern) {
        if let Some(hide) = document.hide.iter().find(|hide| hide.value.covers(&key.value)) {
            findings
                .warn(
                    Code::NeverApplies,
                    key.span.clone(),
                    format!("rule {} can never apply", quoted(key.value.as_str())),
                )
                .label("all it matches is hidden")
                .also(hide.span.clone(), "by this")
                .advise("leave out one of them");
        }
    }
}

fn lists_nothing(rules: &[KeyedRule], default: Fallback, others_list: bool, findings: &mut Findings) {
    let alone = !others_list && !rules.iter().any(KeyedRule::lists);
    for KeyedRule { pattern, rule } in rules.iter().filter(|keyed| !keyed.lists()) {
        let idle =
            rule.action == Action::Allow && rule.all_limits().next().is_none() && rule.predicates().next().is_none();
        if default == Fallback::Deny && (alone || idle) {
            findings
                .warn(
                    Code::ListsNothing,
                    pattern.span.clone(),
                    "`*` adds to the rules of listed names, and lists none itself",
                )
                .label("allows nothing")
                .advise("list the names to allow, or write \"default\": \"allow\"");
        }
    }
}

fn excepted_wholly(keyed: &KeyedRule, findings: &mut Findings) {
    let KeyedRule { pattern, rule } = keyed;
    if let Some(except) = rule.except.iter().find(|except| except.value.covers(&pattern.value)) {
        findings
            .warn(
                Code::NeverApplies,
                pattern.span.clone(),
                format!("rule {} can never apply", quoted(pattern.value.as_str())),
            )
            .label("all it matches is excepted")
            .also(except.span.clone(), "by this")
            .advise("leave out the rule or the exception");
    }
}

fn limits(rule: &RuleEntry, findings: &mut Findings) {
    for limit in rule.all_limits() {
        let here = limit.span.clone();
        if matches!(rule.action, Action::Deny | Action::Hide) {
            findings
                .warn(Code::NeverApplies, here, "a limit of a rule that lets nothing through never applies")
                .label("never asked")
                .advise("leave it out, or change the rule's `action`");
        } else if limit.cost == Cost::default() && limit.max < ONE {
            findings
                .warn(Code::NeverPasses, here, "each call costs 1, so a `max` below 1 lets none through")
                .label("less than one call")
                .advise("write a `max` of 1 or more, or \"deny\" in place of the rule");
        } else if matches!(limit.cost, Cost::Fixed(cost) if limit.max < cost) {
            findings
                .warn(Code::NeverPasses, here, "each call costs more than `max`, so none gets through")
                .label("less than one call")
                .advise("write a `max` of `cost` or more, or \"deny\" in place of the rule");
        }
    }
}

fn conditions(rule: &RuleEntry, findings: &mut Findings) {
    for predicate in rule.predicates().filter(|_| matches!(rule.action, Action::Deny | Action::Hide)) {
        findings
            .warn(
                Code::NeverApplies,
                predicate.span.clone(),
                "a condition of a rule that lets nothing through never applies",
            )
            .label("never asked")
            .advise("leave it out, or change the rule's `action`");
    }
}

fn no_tool(rule: &RuleEntry, what: &str, findings: &mut Findings) {
    let asks = |path: &Path| matches!(path, Path::ToolName | Path::Category | Path::Risk);
    for predicate in rule.predicates().filter(|predicate| predicate.condition.any_path(asks)) {
        findings
            .warn(Code::Impossible, predicate.span.clone(), format!("{what} has no name, category or risk of a tool"))
            .label("never there")
            .advise("write the names that are meant as the key of a rule");
    }
}

fn impossible(rule: &RuleEntry, findings: &mut Findings) {
    for predicate in rule.predicates() {
        if let Some(why) = impossible::why(&predicate.condition) {
            findings.warn(Code::Impossible, predicate.span.clone(), why).label("never so").advise(
                "a `require` of it denies every call, and a `deny_if` of it none but what is of the wrong type",
            );
        }
    }
}

/// Tools of critical risk that a rule on a name allows without any question.
pub(crate) fn critical(document: &Document, classes: &Classes, compiled: &Space, findings: &mut Findings) {
    for (name, _) in classes.iter().filter(|(_, class)| class.risk == Risk::Critical) {
        let judgement = compiled.judge(name);
        let Ruling::Permitted(rule) = judgement.ruling else {
            continue;
        };
        let asks = judgement.asking.iter().any(|rule| !rule.checks.is_empty());
        let place = document.tools.iter().find(|keyed| keyed.pattern.value == rule.pattern);
        if let Some(keyed) = place.filter(|_| !asks) {
            findings
                .warn(
                    Code::AllowsCritical,
                    keyed.pattern.span.clone(),
                    format!("{} is of critical risk, and this allows every call of it", quoted(name)),
                )
                .label("no condition, no approval")
                .advise("write \"require_approval\", or a `require` on its arguments");
        }
    }
}

fn names(document: &Document, findings: &mut Findings) {
    let keyed = document.tools.iter().chain(&document.resources).chain(&document.prompts);
    keyed.for_each(|keyed| lists_all(&keyed.pattern, findings));
    let excepted = document.rules().flat_map(|rule| &rule.except);
    let named = document.tools.iter().chain(&document.prompts).map(|keyed| &keyed.pattern);
    for pattern in document.hide.iter().chain(excepted).chain(named) {
        not_a_glob(pattern, findings);
        non_ascii(pattern, findings);
    }
    // URIs may well contain brackets.
    document.resources.iter().for_each(|keyed| non_ascii(&keyed.pattern, findings));
}

fn non_ascii(pattern: &Spanned<Pattern>, findings: &mut Findings) {
    if let Some(c) = pattern.value.as_str().chars().find(|c| !c.is_ascii()) {
        let name = quoted(pattern.value.as_str());
        findings
            .warn(Code::NonAscii, pattern.span.clone(), format!("{name} is not plain ASCII"))
            .label(format!("has U+{:04X}", u32::from(c)))
            .advise("names are compared byte for byte; one that only looks the same is another name");
    }
}

/// `*` as a key lists nothing, so whoever writes `**` may think the same of it.
fn lists_all(pattern: &Spanned<Pattern>, findings: &mut Findings) {
    let text = pattern.value.as_str();
    if text.len() > 1 && text.bytes().all(|byte| byte == b'*') {
        findings
            .warn(Code::NotAGlob, pattern.span.clone(), format!("{} lists every name, as `*` does not", quoted(text)))
            .label("allows what its rule does not deny")
            .advise("write \"*\" to add to listed names only, or \"default\": \"allow\"");
    }
}

fn not_a_glob(pattern: &Spanned<Pattern>, findings: &mut Findings) {
    if let Some(c) = pattern.value.as_str().chars().find(|c| "[]{}\\".contains(*c)) {
        findings
            .warn(Code::NotAGlob, pattern.span.clone(), format!("`{c}` means nothing but itself in a pattern"))
            .label("matches this very character")
            .advise("only `*` and `?` are special; write one pattern for each alternative");
    }
}
