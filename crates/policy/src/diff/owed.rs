//! Compares what a permitted call owes: its limits and its approvals. These are compared as they stand, without a call.

use std::collections::BTreeMap;
use std::time::Duration;

use super::names::{Kind, NameClass};
use super::witness::Verdict;
use super::{Direction, Unknown, What};
use crate::check::Effect;
use crate::path::Path;
use crate::ruling::{Rule, Ruling};
use crate::space::Judgement;
use crate::{Algorithm, Approval, CounterName, Owed, Per, Policy, RulePointer, Subject};

/// A limit as it bears on some names, with what a call of them costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitTerms {
    /// Of a limit without a name, the rule that it stands on.
    pub counter: CounterName,
    pub per: Per,
    /// In millionths, like the cost.
    pub max: u64,
    pub window: Duration,
    pub algorithm: Algorithm,
    pub cost: u64,
    /// Whether the arguments say more of the cost.
    pub is_priced: bool,
    /// Calls pass, uncounted, while the store of the counts does not answer.
    pub passes_uncounted: bool,
    pub pointer: RulePointer,
    priced: Vec<Path>,
}

/// What changes for names that either policy may permit.
pub(super) fn compare(names: &NameClass, [old, new]: [&Policy; 2]) -> Vec<(Direction, What)> {
    let mut changes = limits(names, [old, new].map(|policy| terms(policy, names.subject())));
    changes.extend(approvals(names, [old, new].map(|policy| policy.judge(names.subject()).approvals())));
    changes
}

/// A limit that no new one implies lets more through; a new one that no old one implied lets less through.
fn limits(names: &NameClass, [old, new]: [Vec<LimitTerms>; 2]) -> Vec<(Direction, What)> {
    let (mut before, mut after) = (old.clone(), new.clone());
    before.retain(|limit| !new.iter().any(|other| other.implies(limit)));
    after.retain(|limit| !old.iter().any(|other| other.implies(limit)));
    let names = vec![names.clone()];
    let what = |old: Option<&LimitTerms>, new: Option<&LimitTerms>| {
        let [old, new] = [old, new].map(|limit| limit.cloned().map(Box::new));
        What::Limit { names: names.clone(), old, new }
    };
    let weaker = before.iter().map(|limit| (Direction::Widened, what(Some(limit), limit.nearest(&new))));
    let stricter = after.iter().map(|limit| (Direction::Narrowed, what(limit.nearest(&old), Some(limit))));
    weaker.chain(stricter).collect()
}

/// Whether other rules may limit the same count.
fn is_named(counter: &CounterName) -> bool {
    !counter.as_str().starts_with('/')
}

/// What may change without a call that shows it: in calls of these names, for other calls, or for those who consent.
pub(super) fn unsure(names: &NameClass, policies: [&Policy; 2], told: &[(Direction, What)]) -> Vec<Unknown> {
    let mut unsure = Vec::new();
    let mut add = |direction, [old, new]: [Verdict; 2], reason: &str| {
        let (names, kind, reasons) = (Some(names.clone()), names.kind(), vec![reason.to_owned()]);
        unsure.push(Unknown { direction, names, kind, old, new, reasons });
    };
    let [before, after] = policies.map(|policy| feeds(policy, names.subject()));
    let less = |fed: &BTreeMap<CounterName, Feed>, by: &BTreeMap<CounterName, Feed>, direction| {
        let mut less = fed.iter().filter(|(name, feed)| {
            let is_less = by.get(*name).is_none_or(|other| other.1 != feed.1 || other.0 < feed.0);
            is_less && !is_told(name, direction, told) && policies.iter().all(|policy| is_enforced(policy, name))
        });
        less.next().is_some()
    };
    let other = "a count that limits other calls is fed otherwise";
    if less(&before, &after, Direction::Widened) {
        add(Direction::Widened, [Verdict::Refused, Verdict::Permitted], other);
    }
    if less(&after, &before, Direction::Narrowed) {
        add(Direction::Narrowed, [Verdict::Permitted, Verdict::Refused], other);
    }
    let [old, new] = policies.map(|policy| policy.judge(names.subject()));
    let several = |judgement: &Judgement<'_>| judgement.approvals().len() > 1;
    if several(&old) && old.approvals() == new.approvals() && old.asking_approval() != new.asking_approval() {
        for direction in [Direction::Widened, Direction::Narrowed] {
            add(direction, [Verdict::NeedsApproval; 2], "other calls may be for others to approve");
        }
    }
    unsure
}

/// The cost that is written down, and where the arguments say more of it.
type Feed = (u64, Vec<Path>);

/// The counts with a name that calls of this subject add to, whether or not a limit on them is in force for these.
fn feeds(policy: &Policy, subject: Subject<'_>) -> BTreeMap<CounterName, Feed> {
    let mut feeds = BTreeMap::new();
    for owed in policy.judge(subject).owed.iter() {
        let name = policy.counters().get(owed.counter).map(|counter| &counter.name);
        if let Some(name) = name.filter(|name| is_named(name)) {
            let mut priced = owed.priced.iter().map(|priced| priced.path.clone()).collect::<Vec<_>>();
            priced.dedup();
            feeds.insert(name.clone(), (owed.cost, priced));
        }
    }
    feeds
}

fn is_told(counter: &CounterName, direction: Direction, told: &[(Direction, What)]) -> bool {
    let is_of = |limit: &LimitTerms| limit.counter == *counter;
    told.iter().filter(|(told, _)| *told == direction).any(
        |(_, what)| matches!(what, What::Limit { old, new, .. } if old.iter().chain(new).any(|limit| is_of(limit))),
    )
}

/// Whether a limit on this count is in force for any name.
fn is_enforced(policy: &Policy, counter: &CounterName) -> bool {
    let is_this = |owed: &Owed| policy.counters().get(owed.counter).is_some_and(|other| other.name == *counter);
    let mut rules = Kind::ALL.into_iter().flat_map(|kind| kind.space(policy).rules());
    rules.any(|rule| rule.owed.iter().any(|owed| !owed.enforced.is_empty() && is_this(owed)))
}

fn terms(policy: &Policy, subject: Subject<'_>) -> Vec<LimitTerms> {
    let mut terms = Vec::new();
    for owed in policy.judge(subject).owed.iter() {
        let Some(counter) = policy.counters().get(owed.counter) else { continue };
        let limits = owed.enforced.iter().filter_map(|limit| counter.limits.get(*limit));
        for limit in limits {
            let mut priced = owed.priced.iter().map(|priced| priced.path.clone()).collect::<Vec<_>>();
            priced.dedup();
            terms.push(LimitTerms {
                counter: named(&counter.name),
                per: counter.per,
                max: limit.max,
                window: limit.window,
                algorithm: limit.algorithm,
                cost: owed.cost,
                is_priced: !priced.is_empty(),
                passes_uncounted: limit.passes_uncounted,
                pointer: limit.pointer.clone(),
                priced,
            });
        }
    }
    terms
}

/// Of a limit without a name, the rule: its place in there says nothing, for all names of the rule share the count. `*` is
/// another word for `all_tools`.
fn named(name: &CounterName) -> CounterName {
    let parts = name.as_str().split('/').collect::<Vec<_>>();
    match parts.as_slice() {
        ["", "all_tools", ..] | ["", "tools", "*", ..] => CounterName::new("/all_tools"),
        ["", space, rule, ..] => CounterName::new(&format!("/{space}/{rule}")),
        _ => name.clone(),
    }
}

impl LimitTerms {
    /// Whether whatever passes this limit passes the other. May miss some cases, never claims one wrongly.
    fn implies(&self, other: &Self) -> bool {
        let counts =
            self.per == other.per || self.per == Per::Gateway || (self.per, other.per) == (Per::Agent, Per::Session);
        // In what both count: as if a call had the cost of both. Costs that the arguments say are the same for both. A count
        // with a name may be fed by other tools, at other costs, so there nothing can be made up for by a smaller cost.
        let is_shared = is_named(&self.counter);
        let [cost, others_cost] =
            [self.cost, other.cost].map(|cost| u128::from(if is_shared { 1 } else { cost.max(1) }));
        let (own, others) = (u128::from(self.max) * others_cost, u128::from(other.max) * cost);
        let (window, longer) = (self.window.as_nanos().max(1), other.window.as_nanos());
        let spans = longer.div_ceil(window);
        let fits = match (self.algorithm, other.algorithm) {
            (Algorithm::Window, Algorithm::Window | Algorithm::Smooth) => own.saturating_mul(spans) <= others,
            // What flows in during a span comes on top of the burst.
            (Algorithm::Smooth, Algorithm::Window) => own.saturating_mul(spans + 1) <= others,
            (Algorithm::Smooth, Algorithm::Smooth) => {
                own <= others && own.saturating_mul(longer) <= others.saturating_mul(window)
            }
        };
        // A priced call may cost anything up to the maximum, but no more: so a smaller maximum also refuses more calls.
        let same_prices = self.priced == other.priced && (self.priced.is_empty() || self.cost == other.cost);
        let feeds_enough = !is_shared || self.cost >= other.cost;
        let holds_as_well = !self.passes_uncounted || other.passes_uncounted;
        self.counter == other.counter && holds_as_well && counts && same_prices && feeds_enough && fits
    }

    /// The limit that most likely is this one, as the other policy has it.
    fn nearest<'l>(&self, others: &'l [Self]) -> Option<&'l Self> {
        let unlike = |other: &&Self| (other.per != self.per, other.window != self.window, other.max.abs_diff(self.max));
        others.iter().filter(|other| other.counter == self.counter).min_by_key(unlike)
    }
}

fn approvals(names: &NameClass, [old, new]: [Vec<Approval>; 2]) -> Vec<(Direction, What)> {
    if old.is_empty() || new.is_empty() || old == new {
        return Vec::new();
    }
    let none_as_strict =
        |of: &[Approval], among: &[Approval]| of.iter().any(|one| !among.iter().any(|other| is_as_strict(one, other)));
    let mut directions = Vec::new();
    directions.extend(none_as_strict(&new, &old).then_some(Direction::Widened));
    directions.extend(none_as_strict(&old, &new).then_some(Direction::Narrowed));
    if directions.is_empty() {
        directions.push(Direction::Altered);
    }
    let what = || What::Approval { names: vec![names.clone()], old: old.clone(), new: new.clone() };
    directions.into_iter().map(|direction| (direction, what())).collect()
}

/// Whether nobody can approve under the one who could not under the other. Of how long anyone waits it says nothing.
fn is_as_strict(one: &Approval, other: &Approval) -> bool {
    let anybody = other.approvers.is_empty();
    let fewer = !one.approvers.is_empty() && one.approvers.iter().all(|name| other.approvers.contains(name));
    one.quorum >= other.quorum && (!one.self_approval || other.self_approval) && (anybody || fewer)
}

impl Judgement<'_> {
    /// Which conditions ask for an approval by whom, in the order in which they are asked.
    fn asking_approval(&self) -> Vec<String> {
        let asking = self.asking.iter().filter(|rule| !rule.shadow);
        let checks = asking.flat_map(|rule| rule.checks.iter().map(move |check| (&rule.approval, check)));
        let holding = checks.filter(|(_, check)| check.effect == Effect::ApproveIf);
        holding.map(|(approval, check)| format!("{approval:?} {:?}", check.condition)).collect()
    }

    /// What each rule that may hold a call for approval wants of it, in order and once each.
    fn approvals(&self) -> Vec<Approval> {
        let of =
            |rule: &Rule| rule.approval.clone().or_else(|| self.asking.iter().find_map(|rule| rule.approval.clone()));
        let asks = |rule: &Rule| !rule.shadow && rule.checks.iter().any(|check| check.effect == Effect::ApproveIf);
        let found = match self.ruling {
            Ruling::NeedsApproval(rule) => vec![of(rule)],
            Ruling::Permitted(_) | Ruling::PermittedByDefault => {
                self.asking.iter().filter(|rule| asks(rule)).map(|rule| of(rule)).collect()
            }
            Ruling::Hidden | Ruling::Denied(_) | Ruling::DeniedByDefault => Vec::new(),
        };
        let mut approvals = Vec::new();
        for approval in found.into_iter().map(|approval| approval.as_deref().cloned().unwrap_or_default()) {
            if !approvals.contains(&approval) {
                approvals.push(approval);
            }
        }
        approvals
    }
}
