//! A policy: compiled once, never changed, asked from any thread.

use crate::compile::{self, Compiled};
use crate::diagnostics::Findings;
use crate::read;
use crate::ruling::Ruling;
use crate::source::ReverseEntry;
use crate::space::Judgement;
use crate::{Counter, Finding, PolicyErrors, PolicyHash, Reverse, Subject, lint};

/// A policy document, compiled.
#[derive(Debug)]
pub struct Policy {
    hash: PolicyHash,
    compiled: Compiled,
    reverse: ReverseEntry,
    hides: bool,
    warnings: Vec<Finding>,
}

impl Policy {
    /// Reads a document, or says everything that is wrong with it at once. `name` appears in diagnostics only.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyErrors> {
        let mut findings = Findings::new(name, text);
        let document = read::document(text, &mut findings);
        let mut findings = findings.unless_errors()?;
        lint::lint(&document, &mut findings);
        Ok(Self {
            hash: PolicyHash::of(text),
            compiled: compile::compile(&document),
            reverse: document.reverse,
            hides: document.hides(),
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

    /// Whether a call of this is answered as if it did not exist.
    pub fn is_hidden(&self, subject: Subject<'_>) -> bool {
        matches!(self.judge(subject).ruling, Ruling::Hidden)
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

    /// The one question behind both calling and listing.
    pub(crate) fn judge(&self, subject: Subject<'_>) -> Judgement<'_> {
        match subject {
            Subject::Tool(name) => self.compiled.tools.judge(name),
            Subject::Resource(uri) => self.compiled.resources.judge(uri),
            Subject::Prompt(name) => self.compiled.prompts.judge(name),
        }
    }
}
