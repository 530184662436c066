//! Says why a call is decided as it is: every step of the language in order, with the rules that matched and the values
//! that conditions saw. The decision itself is that of `decide`; this only tells its story.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::check::{Check, Effect, Facts};
use crate::condition::{Asked, Condition, Stance};
use crate::counter::Priced;
use crate::diagnostics::quoted;
use crate::path::Found;
use crate::ruling::{Rule, Ruling};
use crate::source::Action;
use crate::written;
use crate::{Call, Decision, Denial, Owed, Policy, RulePointer, Subject};

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

/// More elements of a list than this are not shown one by one.
const MOST_VALUES: usize = 8;

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
                seen = shown(&found);
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
            Step::leaf(limit.pointer.to_string(), format!("{most}; {adds}"))
        };
        limits.map(told).collect()
    }
}

fn amount(millionths: u64) -> String {
    crate::print::amount(millionths).line()
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

impl Check {
    fn told(&self, facts: &Facts<'_>, stops: bool, shadow: bool) -> Step {
        let (stance, answer) = match (self.effect, stops) {
            (Effect::Require, true) => (Stance::Require, "does not hold, so the call is denied"),
            (Effect::Require, false) => (Stance::Require, "holds, as it must"),
            (Effect::DenyIf, true) => (Stance::Beware, "holds, so the call is denied"),
            (Effect::ApproveIf, true) => (Stance::Beware, "holds, so a person must consent"),
            (Effect::DenyIf | Effect::ApproveIf, false) => (Stance::Beware, "does not hold"),
        };
        let mut answer = answer.to_owned();
        if stops {
            answer.extend(self.reason.as_deref().map(|reason| format!(": {}", quoted(reason))));
        }
        if shadow {
            answer.push_str(" (in shadow: only recorded)");
        }
        let because = self.condition.parts().iter().map(|part| part.told(facts, stance)).collect();
        Step::new(self.pointer.as_str(), answer, because)
    }
}

impl Condition {
    fn told(&self, facts: &Facts<'_>, stance: Stance) -> Step {
        let answer = if self.holds(facts, stance) { "yes" } else { "no" };
        let each = |parts: &[Self]| parts.iter().map(|part| part.told(facts, stance)).collect();
        match self {
            Self::All(parts) => Step::new("all of", answer.to_owned(), each(parts)),
            Self::Any(parts) => Step::new("any of", answer.to_owned(), each(parts)),
            Self::Test(asked) => asked.told(facts, stance, answer),
        }
    }
}

impl Asked {
    fn told(&self, facts: &Facts<'_>, stance: Stance, answer: &str) -> Step {
        let mut seen = Vec::new();
        let mut more = 0_usize;
        self.path.any(facts, |found| {
            if seen.len() < MOST_VALUES {
                let mut said = shown(&found);
                if self.is_wrong_for(&found) {
                    said.push_str(", which is of the wrong type");
                }
                seen.push((said, self.says(found, stance)));
            } else {
                more += 1;
            }
            false
        });
        let asked = written::sentence(self);
        let tail = |more: usize| format!("and {more} more");
        match seen.as_slice() {
            [] => Step::leaf(asked, format!("{answer}: the list is empty")),
            [(value, _)] => Step::leaf(asked, format!("{answer}: {value}")),
            several => {
                let told = |(value, yes): &(String, bool)| {
                    Step::leaf(value.clone(), if *yes { "yes" } else { "no" }.to_owned())
                };
                let mut because = several.iter().map(told).collect::<Vec<_>>();
                because.extend((more > 0).then(|| Step::leaf(tail(more), "not shown".to_owned())));
                Step::new(&asked, answer.to_owned(), because)
            }
        }
    }

    fn is_wrong_for(&self, found: &Found<'_>) -> bool {
        matches!(found, Found::Value(value) if self.test.ask(value).is_err())
    }
}

fn shown(found: &Found<'_>) -> String {
    use crate::literal::Value;
    match found {
        Found::Missing => "it is missing".to_owned(),
        Found::WrongType => "the way there leads into a value of the wrong type".to_owned(),
        Found::Value(Value::Null) => "it is null".to_owned(),
        Found::Value(Value::Bool(value)) => format!("it is {value}"),
        Found::Value(Value::Number(number)) => format!("it is {}", clipped(&number.to_string())),
        Found::Value(Value::String(text)) => {
            format!("it is {}", clipped(&serde_json::Value::from(&**text).to_string()))
        }
        Found::Value(Value::Array(json) | Value::Object(json)) => format!("it is {}", clipped(json.text())),
    }
}

/// On one line, and not too long.
fn clipped(text: &str) -> String {
    quoted(text).trim_matches('`').to_owned()
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

    fn to_json(&self) -> Value {
        let because = self.because.iter().map(Self::to_json).collect::<Value>();
        json!({ "asked": self.asked, "answer": self.answer, "because": because })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, before: &str, last: bool) -> fmt::Result {
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        writeln!(f, "{before}{branch}{}: {}", self.asked, self.answer)?;
        write_all(f, &self.because, &format!("{before}{below}"))
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, steps: &[Step], before: &str) -> fmt::Result {
    let last = steps.len().saturating_sub(1);
    steps.iter().enumerate().try_for_each(|(number, step)| step.write(f, before, number == last))
}

impl Explanation {
    /// `{"decision": {"code", "rule", "reason", "shadow": {"code", "rule"}}, "steps": [{"asked", "answer", "because": [steps]}]}`;
    /// `reason` and `shadow` are null where there is none.
    pub fn to_json(&self) -> Value {
        let Verdict { code, rule, reason, shadow } = &self.verdict;
        let shadow = shadow.as_ref().map(|(code, rule)| json!({ "code": code, "rule": rule.as_str() }));
        json!({
            "decision": { "code": code, "rule": rule.as_str(), "reason": reason.as_deref(), "shadow": shadow },
            "steps": self.steps.iter().map(Step::to_json).collect::<Value>(),
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { code, rule, reason, shadow } = &self.verdict;
        write!(f, "{code} by {rule}")?;
        if let Some(reason) = reason {
            write!(f, ": {reason}")?;
        }
        if let Some((code, rule)) = shadow {
            write!(f, "; without shadow it would be {code} by {rule}")?;
        }
        writeln!(f)?;
        write_all(f, &self.steps, "")
    }
}
