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
    #[error("`{by}` needs `{id}`")]
    InUse { id: String, by: String },
    #[error("`{id}` is the last one with the role `admin`")]
    LastAdmin { id: String },
    #[error("there are {max} {what} already, which is the most that is kept")]
    Full { what: &'static str, max: i64 },
    /// What is kept cannot be read: written by a newer version, or by somebody else.
    #[error("the kept {what} `{id}` cannot be read")]
    Corrupt { what: &'static str, id: String, source: Box<dyn Error + Send + Sync> },
    #[error(
        "the store was written by a newer version of Toolgate: its schema is {found}, and this program knows {known}"
    )]
    Newer { found: i64, known: i64 },
    #[error("the store's URL {0}")]
    Url(&'static str),
}

const SQLITE_CORRUPT: u32 = 11;
const SQLITE_NOTADB: u32 = 26;

/// Which step took too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct Slow(pub(crate) std::time::Duration);

impl StoreError {
    /// What sqlx says, sorted: a file that is no database is not one that is away. Only its words are kept, since PostgreSQL's errors carry values
    /// of the row along.
    pub(crate) fn failed(doing: &'static str, error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
        let sqlite = code.parse::<u32>().ok().map(|code| code & 0xff);
        match matches!(sqlite, Some(SQLITE_CORRUPT | SQLITE_NOTADB)) || matches!(&*code, "XX001" | "XX002") {
            true => Self::corrupt("database", "toolgate", error.to_string()),
            false => Self::unavailable(doing, error.to_string()),
        }
    }

    pub(crate) fn unavailable(doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { doing, source: source.into() }
    }

    pub(crate) fn corrupt(what: &'static str, id: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt { what, id: id.to_owned(), source: source.into() }
    }

    pub(crate) fn missing(what: &'static str, id: &str) -> Self {
        Self::NotFound { what, id: id.to_owned() }
    }
}
