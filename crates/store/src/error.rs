//! Why a record was not read or written: a variant for what a caller would do differently.

use std::error::Error;

/// What went wrong. No message has a password, a value that was to be kept, or an SQL text in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is too slow, or refuses. A write may or may not have happened: look before trying again.
    #[error("the store is unavailable: it could not {doing}")]
    Unavailable { doing: &'static str, source: Box<dyn Error + Send + Sync> },
    #[error("`{id}` exists already")]
    Exists { id: String },
    /// Somebody else changed it: it has this version now.
    #[error("it was changed meanwhile: its version is {version}")]
    Stale { version: i64 },
    #[error("there is no {what} `{id}`")]
    NotFound { what: &'static str, id: String },
    /// What was to be kept is too long, empty, or has characters that it must not have.
    #[error("{what} {why}")]
    Invalid { what: &'static str, why: String },
    #[error("there are {max} {what} already, which is the most that is kept")]
    Full { what: &'static str, max: i64 },
    /// What is kept cannot be read: written by a newer version, or by somebody else.
    #[error("the kept {what} `{id}` cannot be read")]
    Corrupt { what: &'static str, id: String, source: Box<dyn Error + Send + Sync> },
    #[error("the store was written by a newer version of Toolgate: its schema is {found}, and this program knows {known}")]
    Newer { found: i64, known: i64 },
    #[error("the store's URL {0}")]
    Url(&'static str),
}

/// Which step took too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct Slow(pub(crate) std::time::Duration);

impl StoreError {
    pub(crate) fn unavailable(doing: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Unavailable { doing, source: Box::new(source) }
    }

    pub(crate) fn corrupt(what: &'static str, id: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt { what, id: id.to_owned(), source: source.into() }
    }

    pub(crate) fn missing(what: &'static str, id: &str) -> Self {
        Self::NotFound { what, id: id.to_owned() }
    }
}
