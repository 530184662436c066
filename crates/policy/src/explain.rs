//! Says why a call is decided as it is: every step of the language in order, with the rules that matched and the values
//! that conditions saw. The decision itself is that of `decide`; this only tells its story.

mod show;
mod told;

use std::sync::Arc;

use crate::check::{Effect, Facts};
use crate::counter::Priced;
use crate::diagnostics::quoted;
use crate::ruling::{Rule, Ruling};
use crate::source::Action;
use crate::written;
use crate::{Call, Decision, Denial, Owed, Policy, RulePointer, Subject, amount};

/// The story of one decision. Shows as a tree; [`Explanation::to_json`] has the same structure.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub verdict: Verdict,
    /// In the order of the language: `matching`, `hidden`, `denied`, `listed`, `conditions`, `approval`, `limits`. The last
    /// one is the one that decided, but for `limits`, whose counts are not known here.
    pub steps: Vec<Step>,
}

/// What was decided, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `permit`, or the code of the refusal: `denied.rule`, `hidden`, `approval.required` …
    pub code: &'static str,
    pub rule: RulePointer,
    pub reason: Option<Arc<str>>,
    /// The code and rule that would have refused the call, if nothing were in shadow.
    pub shadow: Option<(&'static str, RulePointer)>,
}

/// One question, its answer, and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub asked: String,
    pub answer: String,
    pub because: Vec<Step>,
}

impl Policy {
    /// Why `decide` says what it says to this call.
    pub fn explain(&self, call: Call<'_>) -> Explanation {
        let verdict = Verdict::of(&self.decide(call));
        let steps = Story { policy: self, facts: self.facts(call), matching: self.matching(call.subject) }.steps();
        Explanation { verdict, steps }
    }
}

struct Story<'p> {
    policy: &'p Policy,
    facts: Facts<'p>,
    matching: Vec<&'p Arc<Rule>>,
}

impl Story<'_> {
    fn steps(&self) -> Vec<Step> {
        let ruling = self.policy.judge(self.facts.call.subject).ruling;
        let mut steps = vec![self.rules()];
        let hidden = matches!(ruling, Ruling::Hidden);
        steps.push(self.by_action("hidden", Action::Hide, hidden, "nothing that matches hides it"));
        if hidden {
            return steps;
        }
        let denied = matches!(ruling, Ruling::Denied(_));
        steps.push(self.by_action("denied", Action::Deny, denied, "nothing that matches denies it"));
        if denied {
            return steps;
        }
        steps.push(self.listed(ruling));
        if matches!(ruling, Ruling::DeniedByDefault) {
            return steps;
        }
        let (conditions, refused) = self.conditions();
        steps.push(conditions);
        if refused {
            return steps;
        }
        let (approval, needed) = self.approval(ruling);
        steps.push(approval);
        if !needed {
            steps.push(self.limits());
        }
        steps
    }

    fn rules(&self) -> Step {
        let because = self.matching.iter().map(|rule| {
            let mut answer = vec![word(rule.action).to_owned()];
            answer.extend(rule.shadow.then(|| "in shadow, so it acts as allow".to_owned()));
            answer.extend((!rule.lists && rule.action == Action::Allow).then(|| "lists nothing".to_owned()));
            if let Some(except) = rule.except.iter().find(|except| except.matches(name(self.facts.call.subject))) {
                answer = vec![format!("does not apply: excepted by {}", quoted(except.as_str()))];
            }
            Step::leaf(rule.shown(), answer.join(", "))
        });
        Step::new("matching", counted(self.applying().count(), "rule"), because.collect())
    }

    fn applying(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.matching.iter().copied().filter(|rule| rule.matches(name(self.facts.call.subject)))
    }

    fn by_action(&self, asked: &str, action: Action, yes: bool, otherwise: &str) -> Step {
        let rules = self.applying().filter(|rule| rule.action == action);
        let because = rules.map(|rule| {
            let answer = if rule.shadow { "in shadow".to_owned() } else { reason(rule.reason.as_deref()) };
            Step::leaf(rule.shown(), answer)
        });
        Step::new(asked, if yes { "yes" } else { "no" }.to_owned(), because.collect()).or_because(otherwise)
    }

    fn listed(&self, ruling: Ruling<&Arc<Rule>>) -> Step {
        let listing = self.applying().filter(|rule| rule.lists);
        let because = listing.map(|rule| Step::leaf(rule.shown(), "lists it".to_owned())).collect::<Vec<_>>();
        let answer = match ruling {
            Ruling::DeniedByDefault => "no, and the default is to deny",
            Ruling::PermittedByDefault => "no, and the default is to allow",
            Ruling::Hidden | Ruling::Denied(_) | Ruling::NeedsApproval(_) | Ruling::Permitted(_)
                if because.is_empty() =>
            {
                "no, and the default is to allow"
            }
            Ruling::Hidden | Ruling::Denied(_) | Ruling::NeedsApproval(_) | Ruling::Permitted(_) => "yes",
        };
        Step::new("listed", answer.to_owned(), because)
    }

    fn conditions(&self) -> (Step, bool) {
        let wanted = |effect: Effect| effect != Effect::ApproveIf;
        let (because, refused) = self.checks(wanted);
        let answer = match (because.is_empty(), refused) {
            (true, _) => "none",
            (_, true) => "the call is denied",
            (_, false) => "all as they must be",
        };
        (Step::new("conditions", answer.to_owned(), because), refused)
    }

    fn approval(&self, ruling: Ruling<&Arc<Rule>>) -> (Step, bool) {
        let (checks, asked) = self.checks(|effect| effect == Effect::ApproveIf);
        let rules = self.applying().filter(|rule| rule.action == Action::RequireApproval);
        let mut because = rules
            .map(|rule| {
                Step::leaf(
                    rule.shown(),
                    if rule.shadow { "in shadow".to_owned() } else { reason(rule.reason.as_deref()) },
                )
            })
            .collect::<Vec<_>>();
        because.extend(checks);
        let needed = asked || matches!(ruling, Ruling::NeedsApproval(_));
        let answer = if needed { "a person must consent" } else { "not needed" };
        (Step::new("approval", answer.to_owned(), because), needed)
    }

    /// Each predicate of this kind, and whether any that acts stops the call.
    fn checks(&self, wanted: impl Fn(Effect) -> bool) -> (Vec<Step>, bool) {
        let checks = self.applying().flat_map(|rule| rule.checks.iter().map(move |check| (rule, check)));
        let (mut steps, mut stopped) = (Vec::new(), false);
        for (rule, check) in checks.filter(|(_, check)| wanted(check.effect)) {
            let stops = check.stops(&self.facts);
            stopped |= stops && !rule.shadow;
            steps.push(check.told(&self.facts, stops, rule.shadow));
        }
        (steps, stopped)
    }

    fn limits(&self) -> Step {
        let Decision::Permit(permitted) = self.policy.decide(self.facts.call) else {
            let judgement = self.policy.judge(self.facts.call.subject);
            let because = judgement.owed.iter().flat_map(|owed| self.too_dear(owed)).collect();
            return Step::new("limits", "the cost cannot be read, or is above a limit".to_owned(), because);
        };
        let because = permitted.owed().iter().flat_map(|owed| self.owed(owed)).collect::<Vec<_>>();
        let answer = match because.len() {
            0 => "none".to_owned(),
            1 => "one must have room; what is counted is not known here".to_owned(),
            several => format!("all {several} must have room; what is counted is not known here"),
        };
        Step::new("limits", answer, because)
    }

    /// The limits that refuse what the call costs, with what was seen.
    fn too_dear(&self, owed: &Owed) -> Vec<Step> {
        let refusing = owed.priced.iter().filter(|priced| !priced.shadow && priced.cost(&self.facts).is_none());
        let told = |priced: &Priced| {
            let mut seen = String::new();
            priced.path.any(&self.facts, |found| {
                seen = told::shown(&found);
                true
            });
            let path = written::path(&priced.path);
            Step::leaf(
                priced.pointer.to_string(),
                format!(
                    "{path} must be from 0 to {}, of at most six digits after the point: {seen}",
                    amount(priced.max)
                ),
            )
        };
        refusing.map(told).collect()
    }

    fn owed(&self, owed: &Owed) -> Vec<Step> {
        let Some(counter) = self.policy.counters().get(owed.counter) else {
            return Vec::new();
        };
        let limits = counter.limits.iter().enumerate().filter(|(number, _)| owed.enforced.contains(number));
        let told = |(_, limit): (usize, &crate::Limit)| {
            let most = format!("at most {} in {}", amount(limit.max), window(limit.window));
            let adds =
                format!("this call adds {} to `{}` per {}", amount(owed.cost), counter.name, counter.per.as_str());
            let open =
                if limit.passes_uncounted { "; it passes uncounted while the store does not answer" } else { "" };
            Step::leaf(limit.pointer.to_string(), format!("{most}; {adds}{open}"))
        };
        limits.map(told).collect()
    }
}

fn window(window: std::time::Duration) -> String {
    crate::print::window(window).line().trim_matches('"').to_owned()
}

fn name(subject: Subject<'_>) -> &str {
    match subject {
        Subject::Tool(name) | Subject::Resource(name) | Subject::Prompt(name) => name,
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::RequireApproval => "require_approval",
        Action::Hide => "hide",
    }
}

fn reason(reason: Option<&str>) -> String {
    reason.map_or_else(|| "without a reason".to_owned(), quoted)
}

fn counted(number: usize, noun: &str) -> String {
    match number {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        several => format!("{several} {noun}s"),
    }
}

impl Rule {
    fn shown(&self) -> String {
        match self.pointer.as_str() {
            "(hidden)" => format!("hide {}", quoted(self.pattern.as_str())),
            pointer => pointer.to_owned(),
        }
    }
}

impl Verdict {
    fn of(decision: &Decision<'_>) -> Self {
        match decision {
            Decision::Permit(permitted) => Self {
                code: "permit",
                rule: permitted.rule().clone(),
                reason: None,
                shadow: permitted.shadow().map(|denial| (denial.code.as_str(), denial.rule.clone())),
            },
            Decision::Deny(Denial { code, rule, reason, .. }) => {
                Self { code: code.as_str(), rule: rule.clone(), reason: reason.clone(), shadow: None }
            }
        }
    }
}

impl Step {
    fn new(asked: &str, answer: String, because: Vec<Self>) -> Self {
        Self { asked: asked.to_owned(), answer, because }
    }

    fn leaf(asked: String, answer: String) -> Self {
        Self { asked, answer, because: Vec::new() }
    }

    fn or_because(mut self, otherwise: &str) -> Self {
        if self.because.is_empty() && self.answer == "no" {
            self.answer = format!("no: {otherwise}");
        }
        self
    }
}
