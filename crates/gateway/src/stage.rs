//! Where a policy is played without a server behind it: the rules and limits that a call meets in the gateway, under a clock that is
//! moved by hand.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use policy::{Approval, Call, Context, Decision, DenyCode, Outcome, Permitted, RulePointer, Subject};
use ratelimit::{ManualClock, Reservation};
use serde_json::value::RawValue;

use crate::agent::Agent;
use crate::identity::Proof;
use crate::limits::{Counts, Place};
use crate::policies::Bound;
use crate::ruling::Ruling;

/// As many counts as the gateway keeps when nobody says otherwise.
const KEYS: usize = 1_000_000;

/// One policy, its counts, and their clock.
pub(crate) struct Stage {
    pub(crate) bound: Bound,
    /// What limits call the document: there is only one.
    name: Arc<str>,
    limits: Counts<ManualClock>,
    clock: ManualClock,
}

/// A call, as far as rules and limits ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) subject: Subject<'a>,
    pub(crate) arguments: Option<&'a RawValue>,
    pub(crate) caller: Caller<'a>,
    pub(crate) labels: &'a [(Box<str>, Box<str>)],
    pub(crate) session: Option<&'a str>,
    pub(crate) server: &'a str,
    /// The time of day, for conditions.
    pub(crate) time: SystemTime,
    /// The time that passed, for limits.
    pub(crate) at: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller<'a> {
    Known(&'a str),
    /// Nobody who said who it is; where it is known, what limits count on.
    Anonymous(Option<&'a str>),
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// `allowed`, or why not.
    pub(crate) code: &'static str,
    pub(crate) rule: Box<str>,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) approval: Option<Arc<Approval>>,
    /// The limits that had to hold, and those that were only counted.
    pub(crate) owed: Vec<RulePointer>,
    pub(crate) counted: Vec<RulePointer>,
    /// The longest window of those that had to hold.
    pub(crate) window: Option<Duration>,
    /// What the tightest limit has left, in millionths.
    pub(crate) remaining: Option<u64>,
    /// The code and the rule of what would have refused it.
    pub(crate) shadow: Option<(&'static str, Box<str>)>,
}

impl Stage {
    pub(crate) fn new(bound: Bound) -> Self {
        let clock = ManualClock::default();
        Self { bound, name: "policy".into(), limits: Counts::by(KEYS, clock.clone()), clock }
    }

    /// The steps of `pipeline.rs`: decide, owe, spend.
    pub(crate) fn ask(&self, asked: &Asked<'_>) -> Answer {
        let permitted = match self.bound.policy.decide(asked.call()) {
            Decision::Permit(permitted) => permitted,
            Decision::Deny(denial) => return Answer::refused(&Ruling::Denied(denial)),
        };
        self.clock.set(asked.at);
        let (server, agent) = (asked.server.into(), asked.agent());
        let place = Place { policy: &self.name, server: &server, agent: &agent };
        let Owed { owed, counted, window } = self.owed(&permitted);
        match self.limits.reserve(&self.bound, &permitted, &place) {
            Err(over) => Answer { owed, counted, window, ..Answer::refused(&Ruling::Limited(over)) },
            Ok(held) => {
                let left = held.iter().flat_map(|held| (0..permitted.owed().len()).filter_map(|n| held.remaining(n)));
                let remaining = left.map(|left| left.units).min();
                held.map(Reservation::spend).unwrap_or_default();
                let shadow = permitted.shadow().map(|denial| (denial.code.as_str(), denial.rule.as_str().into()));
                let rule = permitted.rule().as_str().into();
                Answer { owed, counted, window, remaining, shadow, ..Answer::new(Outcome::Permit, "allowed", rule) }
            }
        }
    }

    fn owed(&self, permitted: &Permitted<'_>) -> Owed {
        let mut all = Owed::default();
        for owed in permitted.owed() {
            let limits = self.bound.policy.counters().get(owed.counter).map(|counter| counter.limits.as_slice());
            let limit = |index: &usize| limits?.get(*index);
            for limit in owed.enforced.iter().filter_map(limit) {
                all.window = all.window.max(Some(limit.window));
                all.owed.push(limit.pointer.clone());
            }
            all.counted.extend(owed.shadowed.iter().filter_map(limit).map(|limit| limit.pointer.clone()));
        }
        all
    }
}

/// As an answer has it.
#[derive(Default)]
struct Owed {
    owed: Vec<RulePointer>,
    counted: Vec<RulePointer>,
    window: Option<Duration>,
}

impl<'a> Asked<'a> {
    pub(crate) fn call(&self) -> Call<'a> {
        let agent = match self.caller {
            Caller::Known(id) => Some(id),
            Caller::Anonymous(_) => None,
        };
        let context = Context { agent, labels: self.labels, server: self.server, time: self.time };
        Call { subject: self.subject, arguments: self.arguments, context }
    }

    /// Who limits count: an agent whatever its session, anybody else by session where there is one.
    fn agent(&self) -> Agent {
        let session = match self.caller {
            Caller::Known(_) => None,
            Caller::Anonymous(_) => self.session.map(Arc::from),
        };
        let key = match (self.caller, &session) {
            (Caller::Known(id) | Caller::Anonymous(Some(id)), _) => id.into(),
            (Caller::Anonymous(None), Some(session)) => format!("anonymous#{session}").into(),
            (Caller::Anonymous(None), None) => "anonymous".into(),
        };
        Agent { key, session, identity: None, proof: Proof::None }
    }
}

impl Answer {
    fn new(outcome: Outcome, code: &'static str, rule: Box<str>) -> Self {
        let (owed, counted) = (Vec::new(), Vec::new());
        let (reason, retry_after, approval, window, remaining, shadow) = (None, None, None, None, None, None);
        Self { outcome, code, rule, reason, retry_after, approval, owed, counted, window, remaining, shadow }
    }

    fn refused(ruling: &Ruling) -> Self {
        let (outcome, approval) = match ruling {
            Ruling::Limited(_) | Ruling::Unapproved(_) => (Outcome::Deny, None),
            Ruling::Denied(denial) => match denial.code {
                DenyCode::Hidden => (Outcome::Hide, None),
                DenyCode::ApprovalRequired => (Outcome::Approve, denial.approval.clone()),
                DenyCode::Rule | DenyCode::Condition | DenyCode::Default | DenyCode::Cost => (Outcome::Deny, None),
            },
        };
        let (reason, retry_after) = (ruling.reason().map(Into::into), ruling.retry_after());
        Self { reason, retry_after, approval, ..Self::new(outcome, ruling.code(), ruling.rule().into()) }
    }
}
