//! What can be wrong with a configuration, and how it is told. No message ever holds a secret.

use std::path::PathBuf;

use super::origin::Origin;

/// Everything that is wrong, at once: one problem a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    pub(super) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("`{}` cannot be read: {reason}", file.display())]
    Unreadable { file: PathBuf, reason: String },
    #[error("`{}` is not TOML: {reason}", file.display())]
    Syntax { file: PathBuf, reason: String },
    #[error("there is no setting `{key}` ({origin}){}", did_you_mean(.suggestion))]
    Unknown { key: String, origin: Origin, suggestion: Option<String> },
    #[error("`{key}` is {found}, expected {expected} ({origin})")]
    Invalid { key: String, found: String, expected: String, origin: Origin },
    #[error("`{key}` is missing, expected {expected}")]
    Missing { key: String, expected: &'static str },
    #[error("`{written}` is not carried out yet by this version ({origin})")]
    NotYet { written: String, origin: Origin },
    #[error("`{key}` {reason} ({origin})")]
    Unusable { key: String, reason: String, origin: Origin },
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(suggestion) => format!(", did you mean `{suggestion}`?"),
        None => String::new(),
    }
}
