//! What is wrong or odd in a document: where it stands, under a stable code, with what to write instead.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

use crate::Code;
use crate::source::Span;

/// Everything wrong with one document, in the order of the text. Shows as one line; rendered by miette, as one report each.
#[derive(Clone, Debug)]
pub struct PolicyErrors {
    name: String,
    /// Never empty.
    errors: Vec<Finding>,
}

/// One error or warning, at a place in the text.
#[derive(Clone, Debug)]
pub struct Finding {
    code: Code,
    severity: Severity,
    message: String,
    /// The first is the place.
    labels: Vec<LabeledSpan>,
    help: Option<String>,
    text: Arc<NamedSource<Arc<str>>>,
}

/// Collects findings while a document is read.
#[derive(Debug)]
pub(crate) struct Findings {
    text: Arc<NamedSource<Arc<str>>>,
    list: Vec<Finding>,
}

impl PolicyErrors {
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.errors.iter()
    }
}

impl Finding {
    pub fn code(&self) -> Code {
        self.code
    }

    pub fn level(&self) -> Severity {
        self.severity
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Where it stands, in bytes of the text.
    pub fn span(&self) -> Span {
        self.labels.first().map_or(0..0, |label| label.offset()..label.offset() + label.len())
    }

    /// Line and column, counted from 1; columns in characters.
    pub fn position(&self) -> (usize, usize) {
        self.place_of(self.span().start)
    }

    /// Line and column of what follows it.
    pub fn end(&self) -> (usize, usize) {
        self.place_of(self.span().end)
    }

    fn place_of(&self, at: usize) -> (usize, usize) {
        let before = self.text.inner().get(..at).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        (before.matches('\n').count() + 1, column + 1)
    }

    pub(crate) fn label(&mut self, words: impl Into<String>) -> &mut Self {
        if let Some(place) = self.labels.first_mut() {
            place.set_label(Some(words.into()));
        }
        self
    }

    pub(crate) fn also(&mut self, span: Span, words: &str) -> &mut Self {
        self.labels.push(LabeledSpan::at(span, words));
        self
    }

    pub(crate) fn advise(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

impl Findings {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self { text: Arc::new(NamedSource::new(name, text.into())), list: Vec::new() }
    }

    pub(crate) fn has(&self, code: Code, word: &str) -> bool {
        self.list.iter().any(|finding| finding.code == code && finding.message.contains(word))
    }

    pub(crate) fn is_yaml(&self) -> bool {
        [".yaml", ".yml"].iter().any(|ending| self.text.name().ends_with(ending))
    }

    pub(crate) fn error(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, code, span, message.into())
    }

    pub(crate) fn warn(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, code, span, message.into())
    }

    /// For what is right, and yet worth a word.
    pub(crate) fn note(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Advice, code, span, message.into())
    }

    fn add(&mut self, severity: Severity, code: Code, span: Span, message: String) -> &mut Finding {
        let text = Arc::clone(&self.text);
        let start = text.inner().floor_char_boundary(span.start);
        let span = start..text.inner().ceil_char_boundary(span.end.max(start));
        let labels = vec![LabeledSpan::new_primary_with_span(None, span)];
        self.list.push_mut(Finding { code, severity, message, labels, help: None, text })
    }

    pub(crate) fn unless_errors(mut self) -> Result<Self, PolicyErrors> {
        if self.list.iter().all(|finding| finding.severity != Severity::Error) {
            return Ok(self);
        }
        self.list.retain(|finding| finding.severity == Severity::Error);
        Err(PolicyErrors { name: self.text.name().to_owned(), errors: self.sorted() })
    }

    pub(crate) fn into_warnings(self) -> Vec<Finding> {
        self.sorted()
    }

    fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| (finding.span().start, finding.span().end));
        self.list
    }
}

/// Input as it may stand in a message: on one line, of bounded length, nothing invisible left invisible.
pub(crate) fn quoted(input: &str) -> String {
    let shown = |c: char| match c {
        '"' | '\'' | '\\' => vec![c],
        _ => c.escape_debug().collect(),
    };
    let mut text = input.chars().take(60).flat_map(shown).collect::<String>();
    if input.chars().nth(60).is_some() {
        text.push('…');
    }
    format!("`{text}`")
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {} ", quoted(&self.name))?;
        let Some(first) = self.errors.first() else {
            return f.write_str("is bad");
        };
        let (line, column) = first.position();
        write!(f, "is bad at {line}:{column}: {first}")?;
        match self.errors.len() - 1 {
            0 => Ok(()),
            1 => f.write_str(" (and one more error)"),
            more => write!(f, " (and {more} more errors)"),
        }
    }
}

impl std::error::Error for PolicyErrors {}

impl Diagnostic for PolicyErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.errors.iter().map(|error| error as &dyn Diagnostic)))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

impl Diagnostic for Finding {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code.as_str()))
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
