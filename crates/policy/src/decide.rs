//! Decides a call. `Permitted` is the proof that a policy allowed this very call: only `Policy::decide` makes one, or `decide_consented`
//! where a person consented.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::bill::Bill;
use crate::check::{Check, Effect, Facts};
use crate::owing::Owing;
use crate::ruling::{Mode, Rule, Ruling};
use crate::space::Judgement;
use crate::{Approval, Call, Owed, Policy, RulePointer, Subject};

/// What a policy says to a call.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a call; a box would take from the heap what is kept off it")]
pub enum Decision<'a> {
    Permit(Permitted<'a>),
    Deny(Denial),
}

/// Whether a person said yes to the call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    Missing,
    Given,
}

/// Proof that a policy allowed this very call, and what the call still owes. Nobody else can make one:
///
/// ```compile_fail,E0451
/// # fn forge<'a>(call: policy::Call<'a>, rule: &'a policy::RulePointer) -> policy::Permitted<'a> {
/// policy::Permitted { call, rule, owed: panic!(), shadow: None }
/// # }
/// ```
///
/// and one permit is one call:
///
/// ```compile_fail,E0599
/// # fn twice<'a>(permitted: policy::Permitted<'a>) -> [policy::Permitted<'a>; 2] {
/// [permitted.clone(), permitted]
/// # }
/// ```
#[derive(Debug)]
pub struct Permitted<'a> {
    call: Call<'a>,
    rule: &'a RulePointer,
    owed: Owing<'a>,
    shadow: Option<Denial>,
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} by {rule}", .code.as_str())]
pub struct Denial {
    pub code: DenyCode,
    pub rule: RulePointer,
    /// The operator's own words, for the agent to read.
    pub reason: Option<Arc<str>>,
    /// For `approval.required`: who may consent, and how. None where no rule says.
    pub approval: Option<Arc<Approval>>,
}

/// The stable name of a refusal; the same in answers, audit and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenyCode {
    /// A rule denies the name.
    Rule,
    /// A `require` does not hold, or a `deny_if` does.
    Condition,
    /// No rule lists the name, and the default is to deny.
    Default,
    /// To be answered as if the name did not exist.
    Hidden,
    /// What the call would add to a count cannot be read from its arguments, or is more than a limit ever allows.
    Cost,
    /// A person must consent first; nothing else refuses.
    ApprovalRequired,
}

impl Policy {
    // INVARIANT: no rule, no permit, unless the policy says `"default": "allow"`; and a deny wins over every allow.
    pub fn decide<'a>(&'a self, call: Call<'a>) -> Decision<'a> {
        self.decided(call, Consent::Missing)
    }

    /// The same of a call that a person consented to: no approval is asked for, and everything else holds as it does in [`Self::decide`].
    /// Whether there is such a consent, and whether it is for this very call, is the caller's to know.
    pub fn decide_consented<'a>(&'a self, call: Call<'a>) -> Decision<'a> {
        self.decided(call, Consent::Given)
    }

    fn decided<'a>(&'a self, call: Call<'a>, consent: Consent) -> Decision<'a> {
        let Judgement { ruling, strict, owed, asking } = self.judge(call.subject);
        let facts = self.facts(call);
        // INVARIANT: approval is asked for last: where it is all that is missing, nothing else refuses.
        let asks = |denial: &Denial| denial.code == DenyCode::ApprovalRequired;
        let consented = match refusal(ruling, &asking, Mode::Acting, &facts) {
            None => false,
            Some(denial) if consent == Consent::Given && asks(&denial) => true,
            Some(denial) => return Decision::Deny(denial),
        };
        let bill = Bill::new(owed, &facts);
        if let Some(denial) = bill.refused {
            return Decision::Deny(denial);
        }
        let shadow = strict.and_then(|strict| {
            // A consent that was needed is one also if nothing were in shadow.
            let refused = refusal(strict, &asking, Mode::Strict, &facts).filter(|denial| !(consented && asks(denial)));
            refused.or(bill.shadow)
        });
        let rule = match (ruling, &shadow) {
            (Ruling::Permitted(rule) | Ruling::NeedsApproval(rule), _) => &rule.pointer,
            (_, Some(_)) => &SHADOW,
            (_, None) => &DEFAULT_ALLOW,
        };
        Decision::Permit(Permitted { call, rule, owed: bill.owed, shadow })
    }

    /// Whether a list shows this: exactly when some call of it could be permitted, or approved by a person.
    pub fn lists(&self, subject: Subject<'_>) -> bool {
        match self.judge(subject).ruling {
            Ruling::Hidden | Ruling::Denied(_) | Ruling::DeniedByDefault => false,
            Ruling::NeedsApproval(_) | Ruling::Permitted(_) | Ruling::PermittedByDefault => true,
        }
    }
}

/// Why a call cannot pass, but for its limits. The order is that of the language: what the name decides, then
/// conditions, then approval.
fn refusal(ruling: Ruling<&Arc<Rule>>, asking: &[&Arc<Rule>], mode: Mode, facts: &Facts<'_>) -> Option<Denial> {
    match ruling {
        Ruling::Hidden => return Some(Denial::hidden()),
        Ruling::Denied(rule) => return Some(Denial::by(DenyCode::Rule, rule)),
        Ruling::DeniedByDefault => return Some(Denial::by_default()),
        Ruling::NeedsApproval(_) | Ruling::Permitted(_) | Ruling::PermittedByDefault => {}
    }
    let checks = || {
        let acting = asking.iter().filter(|rule| mode == Mode::Strict || !rule.shadow);
        acting.flat_map(|rule| rule.checks.iter().map(move |check| (rule, check)))
    };
    let denying = checks().find(|(_, check)| check.effect != Effect::ApproveIf && check.stops(facts));
    if let Some((_, Check { pointer, reason, .. })) = denying {
        return Some(Denial {
            code: DenyCode::Condition,
            rule: pointer.clone(),
            reason: reason.clone(),
            approval: None,
        });
    }
    // The rule's own words on approval, else those of the most particular rule that has any.
    let approval = |rule: &Rule| rule.approval.clone().or_else(|| asking.iter().find_map(|rule| rule.approval.clone()));
    if let Ruling::NeedsApproval(rule) = ruling {
        return Some(Denial { approval: approval(rule), ..Denial::by(DenyCode::ApprovalRequired, rule) });
    }
    let (rule, check) = checks().find(|(_, check)| check.effect == Effect::ApproveIf && check.stops(facts))?;
    let (pointer, reason) = (check.pointer.clone(), check.reason.clone());
    Some(Denial { code: DenyCode::ApprovalRequired, rule: pointer, reason, approval: approval(rule) })
}

static SHADOW: RulePointer = RulePointer::SHADOW;
static DEFAULT_ALLOW: RulePointer = RulePointer::DEFAULT_ALLOW;

impl<'a> Permitted<'a> {
    pub fn call(&self) -> &Call<'a> {
        &self.call
    }

    pub fn subject(&self) -> Subject<'a> {
        self.call.subject
    }

    pub fn arguments(&self) -> Option<&'a RawValue> {
        self.call.arguments
    }

    /// The rule that lists the name; the most particular one, if several do.
    pub fn rule(&self) -> &'a RulePointer {
        self.rule
    }

    /// What would have been refused, if the policy or the rule were not in shadow: worth a record, and nothing else.
    pub fn shadow(&self) -> Option<&Denial> {
        self.shadow.as_ref()
    }

    /// The counters this call feeds, by index, each at most once, and the limits that must hold.
    pub fn owed(&self) -> &[Owed] {
        &self.owed
    }
}

impl Denial {
    fn by(code: DenyCode, rule: &Rule) -> Self {
        Self { code, rule: rule.pointer.clone(), reason: rule.reason.clone(), approval: None }
    }

    fn by_default() -> Self {
        Self { code: DenyCode::Default, rule: RulePointer::DEFAULT_DENY, reason: None, approval: None }
    }

    /// What a hidden name is answered with. INVARIANT: the same for all of them, so that nothing can be told from it.
    pub fn hidden() -> Self {
        Self { code: DenyCode::Hidden, rule: RulePointer::HIDDEN, reason: None, approval: None }
    }
}

impl DenyCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "denied.rule",
            Self::Condition => "denied.condition",
            Self::Default => "denied.default",
            Self::Hidden => "hidden",
            Self::Cost => "limited",
            Self::ApprovalRequired => "approval.required",
        }
    }
}
