//! A policy: compiled once, never changed, asked from any thread.

use std::sync::Arc;

use crate::catalogue::Classes;
use crate::check::{Check, Effect, Facts};
use crate::compile::{self, Compiled};
use crate::diagnostics::Findings;
use crate::read;
use crate::ruling::{Rule, Ruling};
use crate::source::{Action, ReverseEntry};
use crate::space::{Judgement, Space};
use crate::{Call, Catalogue, Counter, Finding, PolicyErrors, PolicyHash, Recorded, Reverse, Subject, lint};

/// A policy document, compiled.
#[derive(Debug)]
pub struct Policy {
    hash: PolicyHash,
    compiled: Compiled,
    reverse: ReverseEntry,
    hides: bool,
    asks: bool,
    /// Whether any rule wants values recorded.
    records: bool,
    classes: Classes,
    warnings: Vec<Finding>,
}

impl Policy {
    /// Reads a document, or says everything that is wrong with it at once. `name` appears in diagnostics; where it ends in
    /// `.yaml` or `.yml`, the text is read as YAML.
    /// A policy with rules by category or risk needs a catalogue; without one it is refused.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyErrors> {
        Self::read(name, text, None)
    }

    /// The same, by a catalogue's classification of tools. The hash is then of both.
    pub fn parse_with(name: &str, text: &str, catalogue: &Catalogue) -> Result<Self, PolicyErrors> {
        Self::read(name, text, Some(catalogue))
    }

    fn read(name: &str, text: &str, catalogue: Option<&Catalogue>) -> Result<Self, PolicyErrors> {
        let mut findings = Findings::new(name, text);
        let document = read::document(text, &mut findings);
        if catalogue.is_none() {
            lint::unclassified(&document, &mut findings);
        }
        let mut findings = findings.unless_errors()?;
        lint::lint(&document, &mut findings);
        let classes = catalogue.map(|catalogue| catalogue.tools.clone()).unwrap_or_default();
        let own = PolicyHash::of(text);
        let compiled = compile::compile(&document, &classes);
        lint::critical(&document, &classes, &compiled.tools, &mut findings);
        Ok(Self {
            hash: catalogue.map_or(own, |catalogue| own.with(&catalogue.hash)),
            compiled,
            classes,
            reverse: document.reverse,
            hides: document.hides(),
            asks: document.asks(),
            records: document.rules().any(|rule| !rule.record.is_empty()),
            warnings: findings.into_warnings(),
        })
    }

    pub fn hash(&self) -> &PolicyHash {
        &self.hash
    }

    /// Whether any name can be hidden, by `hide` or by a rule.
    pub fn hides(&self) -> bool {
        self.hides
    }

    /// Whether any call can need a person's approval.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// Whether a call of this may need a person's approval.
    pub fn may_ask(&self, subject: Subject<'_>) -> bool {
        let (Subject::Tool(name) | Subject::Resource(name) | Subject::Prompt(name)) = subject;
        let asks = |rule: &&Arc<Rule>| {
            let holds = |check: &Check| check.effect == Effect::ApproveIf;
            rule.matches(name) && (rule.action == Action::RequireApproval || rule.checks.iter().any(holds))
        };
        self.asks && self.matching(subject).iter().any(asks)
    }

    /// Whether a call of this is answered as if it did not exist.
    pub fn is_hidden(&self, subject: Subject<'_>) -> bool {
        matches!(self.judge(subject).ruling, Ruling::Hidden)
    }

    /// The arguments whose values belong into the record of a call: what all rules that match the name want.
    pub fn recorded(&self, subject: Subject<'_>) -> Vec<&Recorded> {
        let mut recorded = Vec::new();
        if self.records {
            let (Subject::Tool(name) | Subject::Resource(name) | Subject::Prompt(name)) = subject;
            let rules = self.matching(subject).into_iter().filter(|rule| rule.matches(name));
            for path in rules.flat_map(|rule| &rule.record) {
                if !recorded.contains(&path) {
                    recorded.push(path);
                }
            }
        }
        recorded
    }

    /// Whether the server may ask this of the client.
    pub fn reverse(&self, ask: Reverse) -> bool {
        match ask {
            Reverse::Sampling => self.reverse.sampling,
            Reverse::Elicitation => self.reverse.elicitation,
            Reverse::Roots => self.reverse.roots,
        }
    }

    /// Every counter that a call can owe to: one for each name and kind of key, one for each limit without a name.
    pub fn counters(&self) -> &[Counter] {
        &self.compiled.counters
    }

    /// What is allowed to be written so, but hardly meant.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    pub(crate) fn facts<'a>(&'a self, call: Call<'a>) -> Facts<'a> {
        Facts { call, classes: &self.classes }
    }

    pub(crate) fn matching(&self, subject: Subject<'_>) -> Vec<&Arc<Rule>> {
        match subject {
            Subject::Tool(name) => self.compiled.tools.matching(name),
            Subject::Resource(uri) => self.compiled.resources.matching(uri),
            Subject::Prompt(name) => self.compiled.prompts.matching(name),
        }
    }

    pub(crate) fn classes(&self) -> &Classes {
        &self.classes
    }

    pub(crate) fn tools(&self) -> &Space {
        &self.compiled.tools
    }

    pub(crate) fn resources(&self) -> &Space {
        &self.compiled.resources
    }

    pub(crate) fn prompts(&self) -> &Space {
        &self.compiled.prompts
    }

    /// The one question behind both calling and listing.
    pub(crate) fn judge(&self, subject: Subject<'_>) -> Judgement<'_> {
        match subject {
            Subject::Tool(name) => self.compiled.tools.judge(name),
            Subject::Resource(uri) => self.compiled.resources.judge(uri),
            Subject::Prompt(name) => self.compiled.prompts.judge(name),
        }
    }
}
