//! Transactions of either engine. Dropped without `commit`, they are undone.

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{Postgres, Sqlite, Transaction};

use crate::StoreError;
use crate::sql::{self, Arg, Row, bound};

pub(crate) enum Pools {
    /// One connection writes: within this process, writers wait for it and not for a lock of SQLite's.
    Sqlite { read: SqlitePool, write: SqlitePool },
    /// `listen` is apart, so that who waits for changes takes no connection from who works.
    Postgres { work: PgPool, listen: PgPool },
}

pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Pools {
    /// All that is read in it is of one moment.
    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite { read, .. } => read.begin().await.map(Tx::Sqlite),
            Self::Postgres { work, .. } => {
                work.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map(Tx::Postgres)
            }
        }
        .map_err(|error| StoreError::failed("connect", error))
    }

    /// SQLite takes the one lock for writing now, so that nothing read in it is out of date; PostgreSQL locks rows as they are written.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite { write, .. } => write.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite),
            Self::Postgres { work, .. } => work.begin().await.map(Tx::Postgres),
        }
        .map_err(|error| StoreError::failed("connect", error))
    }
}

macro_rules! fetch {
    ($sql:expr, $args:expr, $from:expr, $row:path) => {
        bound!($sql, $args).fetch_all($from).await.map(|rows| rows.into_iter().map($row).collect())
    };
}

impl Pools {
    /// One statement that reads: a transaction by itself.
    pub(crate) async fn ask(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError> {
        sql::check(args)?;
        match self {
            Self::Sqlite { read, .. } => fetch!(sql, args, read, Row::Sqlite),
            Self::Postgres { work, .. } => fetch!(sql, args, work, Row::Postgres),
        }
        .map_err(|error| StoreError::failed("read", error))
    }
}

impl Tx {
    /// How many rows were written.
    pub(crate) async fn run(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        sql::check(args)?;
        match self {
            Self::Sqlite(tx) => bound!(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected()),
            Self::Postgres(tx) => bound!(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected()),
        }
        .map_err(|error| StoreError::failed("write", error))
    }

    pub(crate) async fn rows(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError> {
        sql::check(args)?;
        match self {
            Self::Sqlite(tx) => fetch!(sql, args, &mut **tx, Row::Sqlite),
            Self::Postgres(tx) => fetch!(sql, args, &mut **tx, Row::Postgres),
        }
        .map_err(|error| StoreError::failed("read", error))
    }

    pub(crate) async fn row(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Several statements, without values.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(drop),
            Self::Postgres(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(drop),
        }
        .map_err(|error| StoreError::failed("migrate", error))
    }

    /// The text for this engine, where the dialects differ.
    pub(crate) fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
        .map_err(|error| StoreError::failed("commit", error))
    }
}
