//! One SQL text for two engines: `$1` placeholders, whole numbers and text, rows with named columns. Values are always bound, never written into the text.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type};

use crate::StoreError;

/// A value to bind. Booleans are 0 and 1, times are milliseconds, bytes are hex, everything else is JSON.
#[derive(Clone, Copy)]
pub(crate) enum Arg<'a> {
    Int(Option<i64>),
    Text(Option<&'a str>),
}

impl From<i64> for Arg<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Arg<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<Option<&'a str>> for Arg<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value)
    }
}

/// PostgreSQL keeps no NUL, so nothing that has one is found or kept, on either.
pub(crate) fn check(args: &[Arg<'_>]) -> Result<(), StoreError> {
    match args.iter().any(|arg| matches!(arg, Arg::Text(Some(text)) if text.contains('\0'))) {
        true => Err(StoreError::Invalid { what: "a text", why: "has a NUL".to_owned() }),
        false => Ok(()),
    }
}

/// `args![a, b]`: what `$1` and `$2` are.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::Arg::from($value)),*] };
}
pub(crate) use args;

/// A query of either engine with its values bound.
macro_rules! bound {
    ($sql:expr, $args:expr) => {
        $args.iter().fold(sqlx::query($sql), |query, arg| match *arg {
            $crate::sql::Arg::Int(value) => query.bind(value),
            $crate::sql::Arg::Text(value) => query.bind(value),
        })
    };
}
pub(crate) use bound;

pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What both engines read as the same type.
pub(crate) trait Value:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl Value for i64 {}
impl Value for String {}
impl Value for Option<i64> {}
impl Value for Option<String> {}

impl Row {
    /// A column by its name, or by its place.
    pub(crate) fn get<T: Value>(&self, column: &'static str) -> Result<T, StoreError> {
        self.at(column).map_err(|error| StoreError::corrupt("column", column, error))
    }

    fn at<T: Value, I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>>(&self, column: I) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}
