//! What can be wrong with training data, in words.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataProblem {
    /// The line, from 1; `None` for what is wrong with the whole file.
    pub line: Option<u64>,
    /// What it is.
    pub fault: DataFault,
}

impl fmt::Display for DataProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.fault),
            None => self.fault.fmt(f),
        }
    }
}

/// What is wrong. Members are named by their place, such as `messages[2].content`; texts of the data are never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataFault {
    /// Some bytes are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The line is not JSON.
    #[error("not JSON, from column {column} on")]
    NotJson {
        /// Where reading stopped, in bytes from 1.
        column: usize,
    },
    /// The line is JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// The line is longer than 16 MiB and was not looked at.
    #[error("longer than 16 MiB")]
    TooLong,
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A list is empty.
    #[error("`{0}` is empty")]
    Empty(String),
    /// A member is of another kind.
    #[error("`{place}` is not {expected}")]
    Kind {
        /// The member.
        place: String,
        /// What it should be, such as `a list`.
        expected: &'static str,
    },
    /// No message is the model's: there is nothing to learn.
    #[error("`{0}` has no message of the assistant")]
    NoAnswer(String),
    /// Graded answers are the model's own: the last message asks for one.
    #[error("the last message is not the user's")]
    LastNotUser,
    /// Fewer examples than the service trains on.
    #[error("there are {0} examples, 10 are needed")]
    TooFew(u64),
    /// A larger file than the service takes.
    #[error("the file has {0} bytes, it may have less than 536870912")]
    TooLarge(u64),
}
