//! What two policies ask of a call, once its name is known: formulas over the same flags, so that what both ask alike is
//! seen to be alike, however it is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ask::{Ask, Part};
use super::witness::Verdict;
use crate::check::{Effect, Facts};
use crate::condition::{Asked, Condition, Stance};
use crate::path::Path;
use crate::ruling::Ruling;
use crate::test::Test;
use crate::{Call, Policy};

/// A condition in its plainest form: without `not`, nothing nested in its own kind, in one order, each arm once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Formula {
    Known(bool),
    /// Whether the flag of this number is up; or down.
    Flag(usize, bool),
    All(BTreeSet<Formula>),
    Any(BTreeSet<Formula>),
}

/// How one policy goes on with a call: refused if any of the first holds, else held for approval if any of the second
/// does, else refused if any of the third does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Course {
    pub(super) refusing: BTreeSet<Formula>,
    pub(super) holding: BTreeSet<Formula>,
    pub(super) too_dear: BTreeSet<Formula>,
}

/// The questions of two policies, numbered: equal ones share a number.
#[derive(Default)]
pub(super) struct Terms {
    numbers: HashMap<String, usize>,
    pub(super) parts: BTreeMap<Part, Vec<(usize, Ask)>>,
}

impl Terms {
    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// How this policy goes on with calls of this name. Where the name is one of many, tests on it that names were not
    /// sorted by are left open.
    pub(super) fn course(&mut self, policy: &Policy, call: Call<'_>, one_of_many: bool) -> Course {
        let judgement = policy.judge(call.subject);
        let facts = policy.facts(call);
        let mut course = Course { refusing: BTreeSet::new(), holding: BTreeSet::new(), too_dear: BTreeSet::new() };
        match judgement.ruling {
            Ruling::Hidden | Ruling::Denied(_) | Ruling::DeniedByDefault => {
                course.refusing.insert(Formula::Known(true));
                return course;
            }
            Ruling::NeedsApproval(_) => drop(course.holding.insert(Formula::Known(true))),
            Ruling::Permitted(_) | Ruling::PermittedByDefault => {}
        }
        for check in judgement.asking.iter().filter(|rule| !rule.shadow).flat_map(|rule| &rule.checks) {
            let stance = if check.effect == Effect::Require { Stance::Require } else { Stance::Beware };
            let holds = self.formula(&check.condition, stance, &facts, one_of_many);
            match check.effect {
                Effect::Require => holds.complement().arms(&mut course.refusing),
                Effect::DenyIf => holds.arms(&mut course.refusing),
                Effect::ApproveIf => holds.arms(&mut course.holding),
            }
        }
        for priced in judgement.owed.iter().flat_map(|owed| &owed.priced).filter(|priced| !priced.shadow) {
            let flag = self.flag(Ask::Cost(priced.clone()));
            course.too_dear.insert(Formula::Flag(flag, true));
        }
        course
    }

    fn formula(&mut self, condition: &Condition, stance: Stance, facts: &Facts<'_>, one_of_many: bool) -> Formula {
        match condition {
            Condition::All(conditions) => {
                let arms = conditions.iter().map(|arm| self.formula(arm, stance, facts, one_of_many));
                Formula::all(arms.collect())
            }
            Condition::Any(conditions) => {
                let arms = conditions.iter().map(|arm| self.formula(arm, stance, facts, one_of_many));
                Formula::any(arms.collect())
            }
            Condition::Test(asked) if is_known(asked, one_of_many) => Formula::Known(asked.holds(facts, stance)),
            Condition::Test(asked) => {
                let flag = self.flag(Ask::Condition(asked.as_ref().clone(), stance));
                Formula::Flag(flag, stance == Stance::Beware)
            }
        }
    }

    fn flag(&mut self, ask: Ask) -> usize {
        // The pointer of a cost is not what it asks.
        let text = match &ask {
            Ask::Condition(asked, stance) => format!("{asked:?} {stance:?}"),
            Ask::Cost(priced) => format!("{:?} {}", priced.path, priced.max),
        };
        let next = self.numbers.len();
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            let (part, ask) = ask.of_part();
            self.parts.entry(part).or_default().push((number, ask));
        }
        number
    }
}

/// Whether the name answers it.
fn is_known(asked: &Asked, one_of_many: bool) -> bool {
    match asked.path {
        Path::Category | Path::Risk => true,
        Path::ToolName => !one_of_many || !matches!(asked.test, Test::Within(_) | Test::HostIn(_)),
        Path::Args(_) | Path::AgentId | Path::Label(_) | Path::ServerId | Path::Time(..) => false,
    }
}

impl Formula {
    pub(super) fn all(arms: Vec<Self>) -> Self {
        Self::any(arms.into_iter().map(Self::complement).collect()).complement()
    }

    pub(super) fn any(arms: Vec<Self>) -> Self {
        let mut flat = BTreeSet::new();
        for arm in arms {
            match arm {
                Self::Known(false) => {}
                Self::Known(true) => return arm,
                Self::Any(arms) => flat.extend(arms),
                Self::Flag(..) | Self::All(_) => drop(flat.insert(arm)),
            }
        }
        match flat.pop_first() {
            None => Self::Known(false),
            Some(only) if flat.is_empty() => only,
            Some(first) => {
                flat.insert(first);
                Self::Any(flat)
            }
        }
    }

    pub(super) fn complement(self) -> Self {
        match self {
            Self::Known(holds) => Self::Known(!holds),
            Self::Flag(number, up) => Self::Flag(number, !up),
            Self::All(arms) => Self::Any(arms.into_iter().map(Self::complement).collect()),
            Self::Any(arms) => Self::All(arms.into_iter().map(Self::complement).collect()),
        }
    }

    /// Each way in which it may hold, on its own.
    fn arms(self, into: &mut BTreeSet<Self>) {
        match self {
            Self::Known(false) => {}
            Self::Any(arms) => into.extend(arms),
            Self::Known(true) | Self::Flag(..) | Self::All(_) => drop(into.insert(self)),
        }
    }

    /// What is left of it where some flags are known.
    pub(super) fn given(&self, flags: &[Option<bool>]) -> Self {
        match self {
            Self::Known(holds) => Self::Known(*holds),
            Self::Flag(number, up) => match flags.get(*number).copied().flatten() {
                Some(flag) => Self::Known(flag == *up),
                None => Self::Flag(*number, *up),
            },
            Self::All(arms) => Self::all(arms.iter().map(|arm| arm.given(flags)).collect()),
            Self::Any(arms) => Self::any(arms.iter().map(|arm| arm.given(flags)).collect()),
        }
    }

    pub(super) fn flags(&self, into: &mut BTreeSet<usize>) {
        match self {
            Self::Known(_) => {}
            Self::Flag(number, _) => drop(into.insert(*number)),
            Self::All(arms) | Self::Any(arms) => arms.iter().for_each(|arm| arm.flags(into)),
        }
    }
}

impl Course {
    /// What is left of it where some flags are known.
    pub(super) fn given(&self, flags: &[Option<bool>]) -> Self {
        let part = |formulas: &BTreeSet<Formula>| {
            let mut left = BTreeSet::new();
            for formula in formulas {
                formula.given(flags).arms(&mut left);
            }
            if left.contains(&Formula::Known(true)) { BTreeSet::from([Formula::Known(true)]) } else { left }
        };
        let (refusing, mut holding, mut too_dear) = (part(&self.refusing), part(&self.holding), part(&self.too_dear));
        let sure = |formulas: &BTreeSet<Formula>| formulas.contains(&Formula::Known(true));
        // What comes after something sure is never asked.
        if sure(&refusing) {
            holding.clear();
        }
        if sure(&refusing) || sure(&holding) {
            too_dear.clear();
        }
        Self { refusing, holding, too_dear }
    }

    pub(super) fn surely_refuses(&self) -> bool {
        self.refusing.contains(&Formula::Known(true))
    }

    /// Everything that may come of it. Of a course that was reduced by `given`.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for (formulas, verdict) in [
            (&self.refusing, Verdict::Refused),
            (&self.holding, Verdict::NeedsApproval),
            (&self.too_dear, Verdict::Refused),
        ] {
            if !formulas.is_empty() {
                verdicts.push(verdict);
            }
            if formulas.contains(&Formula::Known(true)) {
                return verdicts;
            }
        }
        verdicts.push(Verdict::Permitted);
        verdicts
    }

    pub(super) fn flags(&self) -> BTreeSet<usize> {
        let mut flags = BTreeSet::new();
        let all = self.refusing.iter().chain(&self.holding).chain(&self.too_dear);
        all.for_each(|formula| formula.flags(&mut flags));
        flags
    }

    /// The flags of what only one of two asks.
    pub(super) fn apart(&self, other: &Self) -> BTreeSet<usize> {
        let mut flags = BTreeSet::new();
        let pairs =
            [(&self.refusing, &other.refusing), (&self.holding, &other.holding), (&self.too_dear, &other.too_dear)];
        for (a, b) in pairs {
            a.symmetric_difference(b).for_each(|formula| formula.flags(&mut flags));
        }
        flags
    }
}
