//! Plays the cases beside a policy: calls in order under a clock of their own, through the rules and limits of the gateway, and what
//! became of each against what was expected. Then, what of the policy no case has met.

mod compare;
mod find;
mod human;
mod json;
mod junit;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use policy::{Anatomy, Case, Cases, Catalogue, Named, PolicyErrors};

use crate::policies::{self, PolicyTrouble};
use crate::stage::{Answer, Asked, Caller, Stage};
use compare::Mismatch;
pub use find::{NoScript, Script, find};

/// What a case's server is called when it does not say.
const SERVER: &str = "server";

/// What became of several policies and their cases.
pub struct Report {
    rehearsed: Vec<Rehearsed>,
    /// How much of a policy must be met by its cases, in percent.
    fail_under: Option<u8>,
}

struct Rehearsed {
    script: Script,
    played: Result<Played, Unplayable>,
}

struct Played {
    cases: Vec<Tried>,
    coverage: Coverage,
}

/// One case, and how it ended.
struct Tried {
    title: String,
    line: usize,
    answer: Option<Answer>,
    failed: Option<Failed>,
}

struct Failed {
    /// Of a case that repeats its call, which time it was; counted from 1.
    call: u32,
    mismatches: Vec<Mismatch>,
}

/// How many rules, predicates and limits there are, and which of them no case has met. A rule is met by a call of a name that it
/// matches; a limit, by a call that it counts; a predicate, by a call that it objects to.
struct Coverage {
    parts: usize,
    unmet: Vec<String>,
}

/// A policy or a document of cases that is not valid.
enum Unplayable {
    Policy(PolicyTrouble),
    Cases(PolicyErrors),
}

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Policy(PolicyTrouble),
    #[error("cannot read cases `{path}`")]
    Cases { path: PathBuf, source: std::io::Error },
}

/// How it all ended; what is worse comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    Passed,
    /// A case went another way than expected, a policy is bad, or too little of one was met.
    Failed,
    /// There are no cases to be read.
    Unusable,
}

impl Report {
    /// Plays every script.
    pub fn of(scripts: Vec<Script>, fail_under: Option<u8>) -> Result<Self, Unreadable> {
        let play = |script: Script| Ok(Rehearsed { played: play(&script)?, script });
        Ok(Self { rehearsed: scripts.into_iter().map(play).collect::<Result<_, Unreadable>>()?, fail_under })
    }

    pub fn ending(&self) -> Ending {
        self.rehearsed.iter().map(|rehearsed| self.ending_of(rehearsed)).max().unwrap_or(Ending::Unusable)
    }

    /// What is wrong with documents, for whoever shows it in full.
    pub fn errors(&self) -> impl Iterator<Item = &PolicyErrors> {
        self.rehearsed.iter().filter_map(|rehearsed| match &rehearsed.played {
            Err(unplayable) => unplayable.errors(),
            Ok(_) => None,
        })
    }

    fn ending_of(&self, rehearsed: &Rehearsed) -> Ending {
        match &rehearsed.played {
            Err(Unplayable::Cases(_)) => Ending::Unusable,
            Err(Unplayable::Policy(_)) => Ending::Failed,
            Ok(played) if played.failed() > 0 || self.is_too_little(&played.coverage) => Ending::Failed,
            Ok(_) => Ending::Passed,
        }
    }

    fn is_too_little(&self, coverage: &Coverage) -> bool {
        self.fail_under.is_some_and(|least| coverage.percent() < usize::from(least))
    }
}

impl Played {
    fn failed(&self) -> usize {
        self.cases.iter().filter(|tried| tried.failed.is_some()).count()
    }
}

impl Coverage {
    fn met(&self) -> usize {
        self.parts - self.unmet.len()
    }

    /// Rounded down: 100 is all of it.
    fn percent(&self) -> usize {
        (self.met() * 100).checked_div(self.parts).unwrap_or(100)
    }
}

impl Unplayable {
    fn errors(&self) -> Option<&PolicyErrors> {
        match self {
            Self::Policy(PolicyTrouble::Invalid { source, .. }) | Self::Cases(source) => Some(source),
            Self::Policy(PolicyTrouble::Read { .. } | PolicyTrouble::Uncountable { .. }) => None,
        }
    }
}

fn play(script: &Script) -> Result<Result<Played, Unplayable>, Unreadable> {
    let unreadable = |source| Unreadable::Cases { path: script.cases.clone(), source };
    let cases = std::fs::read_to_string(&script.cases).map_err(unreadable)?;
    let documents = policies::documents(&script.policy).map_err(Unplayable::Policy);
    match documents.and_then(|(policy, catalogue)| perform(script, &policy, catalogue.as_ref(), &cases)) {
        Err(Unplayable::Policy(trouble @ PolicyTrouble::Read { .. })) => Err(Unreadable::Policy(trouble)),
        played => Ok(played),
    }
}

fn perform(script: &Script, policy: &str, catalogue: Option<&Catalogue>, cases: &str) -> Result<Played, Unplayable> {
    let name = |path: &Path| path.display().to_string();
    let bound = policies::bind(&script.policy, policy, catalogue).map_err(Unplayable::Policy)?;
    let invalid = |source| Unplayable::Policy(PolicyTrouble::Invalid { path: script.policy.clone(), source });
    let anatomy = Anatomy::parse(&name(&script.policy), policy, catalogue).map_err(invalid)?;
    let cases = Cases::parse(&name(&script.cases), cases).map_err(Unplayable::Cases)?;
    Ok(rehearse(&Stage::new(bound), &anatomy, &cases))
}

fn rehearse(stage: &Stage, anatomy: &Anatomy, cases: &Cases) -> Played {
    let mut met = BTreeSet::new();
    let mut tried = Vec::with_capacity(cases.list.len());
    for case in &cases.list {
        let asked = asked(case, cases);
        met.extend(
            anatomy.met(&stage.bound.policy, asked.call()).into_iter().map(|pointer| pointer.as_str().to_owned()),
        );
        tried.push(attempt(stage, case, &asked, &mut met));
    }
    let pointers: Vec<&str> = anatomy.pointers().map(policy::RulePointer::as_str).collect();
    let unmet =
        pointers.iter().filter(|pointer| !met.contains(**pointer)).map(|pointer| (*pointer).to_owned()).collect();
    Played { cases: tried, coverage: Coverage { parts: pointers.len(), unmet } }
}

/// Makes all calls of a case, and shows the first that went another way than expected.
fn attempt(stage: &Stage, case: &Case, asked: &Asked<'_>, met: &mut BTreeSet<String>) -> Tried {
    let mut tried = Tried { title: title(case), line: case.line, answer: None, failed: None };
    for call in 1..=case.times.get() {
        let answer = stage.ask(asked);
        for rule in answer.owed.iter().chain(&answer.counted).map(policy::RulePointer::as_str).chain([&*answer.rule]) {
            if !met.contains(rule) {
                met.insert(rule.to_owned());
            }
        }
        if let Some((_, rule)) = &answer.shadow {
            met.insert(rule.as_ref().to_owned());
        }
        if tried.failed.is_none() {
            let mismatches = compare::compare(&case.expected, &answer);
            tried.failed = (!mismatches.is_empty()).then_some(Failed { call, mismatches });
            tried.answer = Some(answer);
        }
    }
    tried
}

fn asked<'c>(case: &'c Case, cases: &Cases) -> Asked<'c> {
    Asked {
        subject: case.asked.as_subject(),
        arguments: case.arguments.as_deref(),
        caller: case.agent.as_deref().map_or(Caller::Anonymous(None), Caller::Known),
        labels: &case.labels,
        session: case.session.as_deref(),
        server: case.server.as_deref().unwrap_or(SERVER),
        time: cases.start + case.at,
        at: case.at,
    }
}

fn title(case: &Case) -> String {
    let call = match &case.asked {
        Named::Tool(name) => name.clone(),
        Named::Resource(uri) => format!("resource {uri}"),
        Named::Prompt(name) => format!("prompt {name}"),
    };
    let call = case.name.clone().unwrap_or(call);
    let times = if case.times.get() > 1 { format!(" ({} times)", case.times) } else { String::new() };
    crate::record::visible(&(call + &times))
}

#[cfg(test)]
mod tests;
